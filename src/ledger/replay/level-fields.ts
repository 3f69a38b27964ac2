import type { Movement } from '../../domain/movement.ts';
import { readAdjust, readCount, readOrderExtra } from '../entry-extra.ts';
import { US } from '../keys.ts';
import { insertTimed, maxTimedUnits, type TimedUnits } from './timed-units.ts';

/** What a level's hash holds beside its figures and its marks. */
export interface LevelFields {
  /** A figure that nothing ever set is absent, not 0: "never counted" is not "none left". */
  hasOnHand: boolean;
  hasCommitted: boolean;
  hasReserved: boolean;
  /** Movements of on-hand by the time they took effect, and the newest time that no longer fitted. */
  readonly ring: TimedUnits[];
  ringDroppedMs: number;
  countedAsOfMs: number | undefined;
  countSkewMs: number;
  /** Reserved units per channel on which they settle. */
  readonly settling: Map<string, number>;
}

/** Per `sku US location`. */
export class LevelFieldsReplay {
  readonly levels = new Map<string, LevelFields>();

  add(m: Movement): void {
    const fields = this.#at(m);
    fields.hasOnHand ||= m.deltaOnHand !== 0 || m.kind === 'counted';
    fields.hasCommitted ||= m.deltaCommitted !== 0;
    fields.hasReserved ||= m.deltaReserved !== 0;
    if (m.kind === 'counted') {
      const { asOfMs, skewMs } = readCount(m);
      fields.countedAsOfMs = asOfMs;
      fields.countSkewMs = skewMs;
    } else if (m.deltaOnHand !== 0) {
      noteOnHand(fields, effectiveAtOf(m), m.deltaOnHand);
    }
    if (m.line === '') return;
    if (m.kind === 'held') settle(fields, m.line, m.units);
    else if (m.kind === 'released' || m.kind === 'expired' || m.kind === 'hold-committed')
      settle(fields, m.line, -m.units);
  }

  #at(m: Movement): LevelFields {
    const key = `${m.sku}${US}${m.location}`;
    let fields = this.levels.get(key);
    if (fields === undefined) {
      fields = {
        hasOnHand: false,
        hasCommitted: false,
        hasReserved: false,
        ring: [],
        ringDroppedMs: 0,
        countedAsOfMs: undefined,
        countSkewMs: 0,
        settling: new Map(),
      };
      this.levels.set(key, fields);
    }
    return fields;
  }
}

/** Nothing takes effect later than it was heard of. */
function effectiveAtOf(m: Movement): number {
  if (m.kind === 'transferred') return m.atMs;
  const said = m.line === '' ? readAdjust(m).effectiveAtMs : readOrderExtra(m).platformMs;
  return Math.min(said ?? m.atMs, m.atMs);
}

function noteOnHand(fields: LevelFields, atMs: number, units: number): void {
  insertTimed(fields.ring, atMs, units);
  if (fields.ring.length <= maxTimedUnits) return;
  const dropped = fields.ring.shift();
  fields.ringDroppedMs = Math.max(fields.ringDroppedMs, dropped?.atMs ?? 0);
}

function settle(fields: LevelFields, channel: string, units: number): void {
  const left = (fields.settling.get(channel) ?? 0) + units;
  if (left > 0) fields.settling.set(channel, left);
  else fields.settling.delete(channel);
}
