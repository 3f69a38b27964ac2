import type { Movement } from '../../domain/movement.ts';
import { readEpoch } from '../entry-extra.ts';
import { LedgerFold } from '../fold.ts';
import { HoldReplay } from './hold-replay.ts';
import { LevelFieldsReplay } from './level-fields.ts';
import { ListingReplay } from './listing-replay.ts';
import { LogicalClock } from './logical-clock.ts';
import { OperationReplay } from './operation-replay.ts';
import { OrderReplay } from './order-replay.ts';
import { ShippingMarks } from './shipping-marks.ts';

export interface Retained {
  readonly holdsMs: number;
  readonly operationsMs: number;
}

/**
 * The whole ledger as its log tells it, entry by entry: what `rebuild` writes and what it holds against a live one. The
 * fold beside it judges the entries themselves.
 */
export class LedgerReplay {
  readonly fold = new LedgerFold({ followLines: false });
  readonly clock = new LogicalClock();
  readonly fields = new LevelFieldsReplay();
  readonly marks = new ShippingMarks();
  readonly orders = new OrderReplay();
  readonly listings = new ListingReplay();
  readonly holds: HoldReplay;
  readonly operations: OperationReplay;
  /** Ended epoch -> what followed it. */
  readonly epochs = new Map<
    number,
    { readonly next: number; readonly forkSeq: number; readonly lostTo: number }
  >();

  constructor(retained: Retained) {
    this.holds = new HoldReplay(retained.holdsMs);
    this.operations = new OperationReplay(retained.operationsMs);
  }

  add(m: Movement): void {
    this.fold.add(m);
    this.clock.add(m, m.kind === 'expired' ? this.holds.live.get(m.reference)?.deadlineMs : undefined);
    if (m.kind === 'epoch') {
      const { previous, forkSeq, lostTo } = readEpoch(m);
      this.epochs.set(previous, { next: m.epoch, forkSeq, lostTo });
      return;
    }
    this.fields.add(m);
    this.marks.add(m);
    this.holds.add(m, this.clock.nowMs);
    this.orders.add(m);
    this.listings.add(m);
    this.operations.add(m);
  }
}
