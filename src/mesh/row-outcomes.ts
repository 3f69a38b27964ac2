import type { RowOutcome } from '../connectors/connector.ts';
import type { ListingId } from '../domain/ids.ts';
import type { ListingState } from '../domain/listing.ts';
import type { WriteRecord } from '../ledger/contract.ts';
import type { PendingListing } from './pending-lanes.ts';
import { type PublishQueue, unknownCause } from './publish-queue.ts';
import type { PublisherOptions } from './publisher-options.ts';
import type { SettledOutcome } from './request-sender.ts';
import type { Setbacks } from './setbacks.ts';

/** A request that has ended, as its publisher sees it. */
export interface EndedRequest {
  readonly kind: WriteRecord['kind'];
  readonly rows: readonly { readonly listingId: ListingId; readonly to: number }[];
  /** Rows whose record is closed, and what became of them. */
  readonly outcomes: readonly SettledOutcome[];
  readonly pendings: ReadonlyMap<ListingId, PendingListing>;
  /** The record stays: rows without an outcome wait for its repeat. */
  readonly isOpen: boolean;
}

/** What the end of a request means for its listings. Whatever is not on the shelf is looked at again. */
export class RowOutcomes {
  readonly #options: PublisherOptions;
  readonly #queue: PublishQueue;
  readonly #setbacks: Setbacks;
  readonly #maxPutOffMs: number;

  constructor(options: PublisherOptions, queue: PublishQueue, setbacks: Setbacks, maxPutOffMs: number) {
    this.#options = options;
    this.#queue = queue;
    this.#setbacks = setbacks;
    this.#maxPutOffMs = maxPutOffMs;
  }

  apply(ended: EndedRequest): void {
    const { channel, metrics } = this.#options;
    // When every row of a larger batch is refused, the platform named no culprit.
    const written = new Map(ended.rows.map((row) => [row.listingId, row.to]));
    const isNamed =
      ended.rows.length === 1 || ended.outcomes.some(({ outcome }) => outcome.kind !== 'rejected');
    for (const { listingId, outcome, isDone, next } of ended.outcomes) {
      metrics.rows.inc({ channel, kind: ended.kind, outcome: outcome.kind });
      const pending = ended.pendings.get(listingId) ?? unknownCause(listingId);
      const to = written.get(listingId);
      if (to !== undefined && (outcome.kind === 'confirmed' || outcome.kind === 'accepted'))
        this.#options.ports.written?.(listingId, to, pending.causedAtMs);
      if (outcome.kind === 'confirmed') this.#shown(listingId, pending);
      else if (outcome.kind === 'rejected') this.#refused(listingId, outcome, isNamed, ended.rows.length);
      if (!isDone) {
        if (this.#awaitsRead(pending, outcome, next)) continue;
        const isShown = outcome.kind === 'confirmed';
        this.#queue.add(isShown ? { ...pending, causedAtMs: undefined } : pending);
      }
      // What waited for the end of this write may go on.
      this.#queue.recall(listingId);
    }
    if (ended.isOpen) return;
    // Rows somebody else settled meanwhile (a read that closed the write): their marks still stand.
    const judged = new Set(ended.outcomes.map(({ listingId }) => listingId));
    for (const { listingId } of ended.rows) {
      if (!judged.has(listingId)) this.#queue.add(unknownCause(listingId));
    }
  }

  /**
   * Accepted and nothing newer known of it: no look could say anything else than "read it then". What changes sooner brings
   * the listing up by itself.
   */
  #awaitsRead(pending: PendingListing, outcome: RowOutcome, next: ListingState): boolean {
    const { rules, ports, nowMs } = this.#options;
    const { listingId } = pending;
    if (outcome.kind !== 'accepted' || this.#queue.isWaiting(listingId)) return false;
    const readMs = rules.readBackMs(next);
    if (readMs === undefined || next.openWrites.some((write) => write.outcome !== 'accepted')) return false;
    ports.needsRead(listingId, readMs);
    const forMs = Math.max(0, readMs - nowMs()) + this.#maxPutOffMs;
    this.#queue.putOff({ ...pending, causedAtMs: undefined }, forMs);
    return true;
  }

  #shown(listingId: ListingId, { causedAtMs }: PendingListing): void {
    const { channel, metrics, ports, nowMs } = this.#options;
    if (causedAtMs !== undefined) {
      const tookMs = Math.max(0, nowMs() - causedAtMs);
      metrics.saleToShelfS.observe({ channel }, tookMs / 1000);
      ports.tookToShelf?.(tookMs);
    }
    if (this.#setbacks.clear(listingId)) ports.unparked(listingId);
  }

  #refused(
    listingId: ListingId,
    { isPermanent, reason }: Extract<RowOutcome, { kind: 'rejected' }>,
    isNamed: boolean,
    batchRows: number,
  ): void {
    const { channel, metrics, ports, listing, log } = this.#options;
    const verdict = this.#setbacks.refused(listingId, { isPermanent, isNamed, batchRows }, performance.now());
    log.warn({ channel, listingId, reason, verdict }, 'the platform refused a row');
    const mapped = listing(listingId);
    if (verdict !== 'parked' || mapped === undefined) return;
    metrics.parked.inc({ channel });
    ports.parked(mapped, reason);
  }
}
