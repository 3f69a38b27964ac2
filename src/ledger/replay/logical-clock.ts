import type { Movement } from '../../domain/movement.ts';
import { readDeadline } from '../entry-extra.ts';

const maxClockStepMs = 5_000;

/**
 * The ledger's logical clock, as far as the log tells it: exactly at every entry that sets a deadline, and never ahead
 * of the real one elsewhere. Behind is the safe side: a rebuilt hold may live on a little, it never ends early.
 */
export class LogicalClock {
  nowMs = 0;
  wallMs = 0;

  /** `dueMs`: deadline of the hold that an `expired` entry ended. */
  add(m: Movement, dueMs?: number): void {
    if (this.wallMs === 0) this.nowMs = m.atMs;
    else this.nowMs += Math.min(Math.max(m.atMs - this.wallMs, 0), maxClockStepMs);
    this.wallMs = m.atMs;
    if (m.kind === 'held' || m.kind === 'extended') this.nowMs = readDeadline(m).logicalMs;
    else if (dueMs !== undefined) this.nowMs = Math.max(this.nowMs, dueMs);
  }
}
