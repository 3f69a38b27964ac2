import { StockmeshError } from '../../domain/errors.ts';
import type { PlatformCount } from '../counts.ts';
import { type Guards, platform } from './options.ts';
import { type Tally, maxRows } from './tally.ts';

const maxBadRowRatio = 0.2;
/** Fewer bad rows than this never hold a snapshot of an API: they are parked one by one. */
const minBadRows = 3;

/** What a reading of everything says against itself, counted page by page or at once. */
export class WholeReading {
  pages = 0;
  #rows = 0;
  #badRows = 0;
  /** 0: no figure yet. */
  #newestMs = 0;

  /** Throws CONNECTOR_ANSWER_INVALID for more rows than a warehouse has. */
  add(tally: Pick<Tally, 'rows' | 'badRows'>, counts: readonly PlatformCount[]): void {
    this.#rows += tally.rows;
    this.#badRows += tally.badRows;
    this.#newestMs = counts.reduce((newest, { asOfMs }) => Math.max(newest, asOfMs), this.#newestMs);
    if (this.#rows > maxRows) throw tooMany(this.#rows);
  }

  /** Why none of it counts; undefined: nothing speaks against it. */
  flaw(guards: Guards | undefined, nowMs: number): string | undefined {
    if (
      this.#badRows >= minBadRows &&
      this.#badRows > this.#rows * (guards?.maxBadRowRatio ?? maxBadRowRatio)
    )
      return `${this.#badRows} of ${this.#rows} rows cannot be read`;
    const maxAgeMs = guards?.maxAgeMs;
    if (maxAgeMs !== undefined && this.#newestMs > 0 && this.#newestMs < nowMs - maxAgeMs)
      return `its newest figure is of ${new Date(this.#newestMs).toISOString()}`;
    return undefined;
  }
}

export function tooMany(rows: number): StockmeshError {
  const fields = { platform, operation: 'stock', reason: `more than ${rows} rows` };
  return new StockmeshError('CONNECTOR_ANSWER_INVALID', fields);
}
