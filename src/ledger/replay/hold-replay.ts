import type { LocationId, Sku } from '../../domain/ids.ts';
import type { Movement } from '../../domain/movement.ts';
import { readCommit, readDeadline } from '../entry-extra.ts';
import { US } from '../keys.ts';

export interface ReplayedLine {
  readonly sku: Sku;
  readonly location: LocationId;
  readonly units: number;
}

/** Times are logical. */
export interface ReplayedHold {
  readonly holdId: string;
  state: 'H' | 'C' | 'R' | 'X';
  deadlineMs: number;
  readonly createdMs: number;
  endedMs: number;
  readonly agent: string;
  readonly pool: string;
  readonly settlesOn: string;
  channel: string;
  orderId: string;
  extensions: number;
  lastExtension: string;
  seq: number;
  endSeq: number;
  /** As held; after a commit what was kept. */
  lines: ReplayedLine[];
  readonly kept: ReplayedLine[];
  /** Units that have not ended yet. */
  open: number;
}

/**
 * Holds as the log tells them. Live ones always; ended ones, which are the idempotency records of their commands, only
 * where they are asked for (`endedForMs`), as long as the ledger keeps them.
 */
export class HoldReplay {
  readonly live = new Map<string, ReplayedHold>();
  /** In the order they ended. */
  readonly ended = new Map<string, ReplayedHold>();
  /** Units of live holds per `pool US sku`; held units, and committed ones of `ended`, per `agent US sku`. */
  readonly pools = new Map<string, number>();
  readonly agents = new Map<string, number>();
  readonly #endedForMs: number | undefined;

  constructor(endedForMs?: number) {
    this.#endedForMs = endedForMs;
  }

  /** After the clock has taken the entry. */
  add(m: Movement, nowMs: number): void {
    if (m.kind === 'held') this.#hold(m);
    else if (m.kind === 'extended') this.#extend(m);
    else if (m.kind === 'released' || m.kind === 'expired' || m.kind === 'hold-committed')
      this.#end(m, nowMs);
  }

  #hold(m: Movement): void {
    let hold = this.live.get(m.reference);
    if (hold === undefined) {
      this.forget(m.reference);
      const { deadlineMs, logicalMs, agent, pool } = readDeadline(m);
      hold = {
        holdId: m.reference,
        state: 'H',
        deadlineMs,
        createdMs: logicalMs,
        endedMs: 0,
        agent,
        pool,
        settlesOn: m.line,
        channel: '',
        orderId: '',
        extensions: 0,
        lastExtension: '',
        seq: 0,
        endSeq: 0,
        lines: [],
        kept: [],
        open: 0,
      };
      this.live.set(m.reference, hold);
    }
    hold.seq = m.seq;
    hold.open += m.units;
    hold.lines.push({ sku: m.sku, location: m.location, units: m.units });
    this.#count(this.pools, hold.pool, m.sku, m.units);
    this.#count(this.agents, hold.agent, m.sku, m.units);
  }

  /** One entry per line, one extension in all. */
  #extend(m: Movement): void {
    const hold = this.live.get(m.reference);
    if (hold === undefined) return;
    hold.deadlineMs = readDeadline(m).deadlineMs;
    if (hold.lastExtension !== m.operationId) hold.extensions += 1;
    hold.lastExtension = m.operationId;
  }

  #end(m: Movement, nowMs: number): void {
    const hold = this.live.get(m.reference);
    if (hold === undefined) return;
    hold.open -= m.units;
    this.#count(this.pools, hold.pool, m.sku, -m.units);
    if (m.kind === 'hold-committed') {
      hold.kept.push({ sku: m.sku, location: m.location, units: m.units });
      const { channel, orderId } = readCommit(m);
      hold.channel = channel;
      hold.orderId = orderId;
    } else {
      this.#count(this.agents, hold.agent, m.sku, -m.units);
    }
    if (hold.open > 0) return;
    // What a commit does not keep is released beside it: the hold is committed all the same.
    hold.state = hold.kept.length > 0 ? 'C' : m.kind === 'expired' ? 'X' : 'R';
    if (hold.state === 'C') hold.lines = hold.kept;
    hold.endedMs = nowMs;
    hold.endSeq = m.seq;
    this.live.delete(hold.holdId);
    this.ended.set(hold.holdId, hold);
    this.#purge(nowMs - (this.#endedForMs ?? 0));
  }

  #purge(beforeMs: number): void {
    for (const [holdId, hold] of this.ended) {
      if (hold.endedMs > beforeMs && this.#endedForMs !== undefined) return;
      this.forget(holdId);
    }
  }

  /** The ledger purged the record of an ended hold: what it committed leaves its agent's cap. */
  forget(holdId: string): void {
    const hold = this.ended.get(holdId);
    if (hold === undefined) return;
    this.ended.delete(holdId);
    for (const { sku, units } of hold.kept) this.#count(this.agents, hold.agent, sku, -units);
  }

  #count(counters: Map<string, number>, name: string, sku: Sku, units: number): void {
    if (name === '') return;
    const key = `${name}${US}${sku}`;
    const value = (counters.get(key) ?? 0) + units;
    if (value > 0) counters.set(key, value);
    else counters.delete(key);
  }
}
