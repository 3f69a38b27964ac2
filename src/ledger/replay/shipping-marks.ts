import type { Movement } from '../../domain/movement.ts';
import { marksClosed } from '../entry-extra.ts';
import { US } from '../keys.ts';
import { insertTimed, maxTimedUnits, type TimedUnits } from './timed-units.ts';

/** Units that left a location whose on-hand belongs to a WMS and that it has not confirmed, per `sku US location`. */
export class ShippingMarks {
  readonly levels = new Map<string, TimedUnits[]>();

  add(m: Movement): void {
    if (m.kind === 'counted' || (m.kind === 'shipped' && m.line === '')) {
      this.#close(m, -m.deltaCommitted, 'oldest');
    } else if (m.kind === 'shipped' || m.kind === 'written-off') {
      // Where the ledger owns the figure, units that leave lower on-hand at once.
      if (m.units > 0 && m.deltaOnHand === 0) this.#mark(m);
      else this.#close(m, marksClosed(m), 'newest');
    } else if (m.kind === 'unshipped') {
      this.#close(m, marksClosed(m), 'newest');
    }
  }

  /** Sum of the open marks. */
  unitsAt(key: string): number {
    return (this.levels.get(key) ?? []).reduce((sum, { units }) => sum + units, 0);
  }

  #mark(m: Movement): void {
    const key = `${m.sku}${US}${m.location}`;
    const marks = this.levels.get(key) ?? [];
    this.levels.set(key, marks);
    insertTimed(marks, m.atMs, m.units);
    const [oldest, next] = marks;
    if (marks.length > maxTimedUnits && oldest !== undefined && next !== undefined) {
      next.units += oldest.units;
      marks.shift();
    }
  }

  #close(m: Movement, units: number, from: 'oldest' | 'newest'): void {
    const key = `${m.sku}${US}${m.location}`;
    const marks = this.levels.get(key);
    if (marks === undefined) return;
    let left = units;
    while (left > 0) {
      const mark = marks.at(from === 'oldest' ? 0 : -1);
      if (mark === undefined) break;
      const closed = Math.min(left, mark.units);
      left -= closed;
      mark.units -= closed;
      if (mark.units > 0) continue;
      if (from === 'oldest') marks.shift();
      else marks.pop();
    }
    if (marks.length === 0) this.levels.delete(key);
  }
}
