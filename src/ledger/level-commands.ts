import type { LocationId, Sku } from '../domain/ids.ts';
import type { Level } from '../domain/movement.ts';
import type { Ledger, PeekResult } from './contract.ts';
import { checkText, checkWhole } from './request-checks.ts';
import type { ScriptCaller } from './script-caller.ts';

const maxSkusPerCall = 200;
const dayMs = 86_400_000;

export interface Retention {
  /** Ended holds: their ids are idempotency records. */
  readonly holdsMs: number;
  /** Operation ids. */
  readonly operationsMs: number;
}

export const defaultRetention: Retention = { holdsMs: dayMs, operationsMs: 30 * dayMs };

export type SweepResult = { readonly expired: number; readonly nextDueInMs: number | undefined };

/** peek and sweep. */
export class LevelCommands implements Pick<Ledger, 'peek' | 'sweep'> {
  readonly #caller: ScriptCaller;
  readonly #retention: Retention;

  constructor(caller: ScriptCaller, retention: Retention = defaultRetention) {
    this.#caller = caller;
    this.#retention = retention;
  }

  /** More than 200 SKUs take several calls; the position is that of the first, so nothing shown is older than it. */
  async peek(skus: readonly Sku[]): Promise<PeekResult> {
    const levels = new Map<Sku, ReadonlyMap<LocationId, Level>>();
    let position: PeekResult['position'] | undefined;
    for (let from = 0; from === 0 || from < skus.length; from += maxSkusPerCall) {
      const some = skus.slice(from, from + maxSkusPerCall).map((sku) => checkText('sku', sku));
      const reply = await this.#caller.call('peek', some);
      position ??= { epoch: this.#caller.epoch ?? 0, seq: reply.seq };
      for (const [index, sku] of some.entries()) levels.set(sku as Sku, readLevels(reply.fields[index]));
    }
    return { position: position ?? { epoch: 0, seq: 0 }, levels };
  }

  async sweep(limit: number): Promise<SweepResult> {
    const most = checkWhole('limit', limit, 1, 100);
    const reply = await this.#caller.call('sweep', [
      most,
      this.#retention.holdsMs,
      this.#retention.operationsMs,
    ]);
    const nextInMs = Number(reply.fields[1]);
    return { expired: Number(reply.fields[0]), nextDueInMs: nextInMs < 0 ? undefined : nextInMs };
  }
}

function readLevels(flat: unknown): ReadonlyMap<LocationId, Level> {
  const levels = new Map<LocationId, Level>();
  const row = flat as readonly (string | number)[];
  for (let i = 0; i < row.length; i += 4) {
    levels.set(row[i] as LocationId, {
      onHand: Number(row[i + 1]),
      committed: Number(row[i + 2]),
      reserved: Number(row[i + 3]),
    });
  }
  return levels;
}
