import type { UnitRange } from '../domain/expected-range.ts';
import { type Judgement, judgeDrift } from '../domain/verdict.ts';
import type { Ledger } from '../ledger/contract.ts';
import type { MappedListing } from '../mesh/sku-map.ts';
import type { SyncJournal } from '../mesh/sync-journal.ts';
import type { FindingsDesk } from './findings-desk.ts';
import type { ReconciledChannel } from './reconciled-channel.ts';
import type { RecentMovements } from './recent-movements.ts';

export interface DriftEvidenceOptions {
  readonly channel: ReconciledChannel;
  readonly desk: Pick<FindingsDesk, 'openOf' | 'correctionsBefore'>;
  readonly ledger: Pick<Ledger, 'nowMs'>;
  readonly journal: Pick<SyncJournal, 'newest'>;
  readonly movements: Pick<RecentMovements, 'keptOnCancel'>;
}

const dayMs = 86_400_000;
/** A write that did not land is one of the newest. */
const newestWrites = 4;
const recordsLookedAt = 20_000;

/** What is known of a listing besides its number: our newest writes, cancelled units, corrections; and what that makes of a difference. */
export class DriftEvidence {
  readonly #options: DriftEvidenceOptions;

  constructor(options: DriftEvidenceOptions) {
    this.#options = options;
  }

  async judge(listing: MappedListing, difference: UnitRange): Promise<Judgement> {
    const { channel, desk, journal, movements, ledger } = this.#options;
    const { listingId } = listing;
    const sinceMs = ledger.nowMs() - dayMs;
    const records = await journal.newest(
      (record) =>
        record.channel === channel.id &&
        record.listingId === listingId &&
        record.atMs >= sinceMs &&
        (record.outcome === 'confirmed' || record.outcome === 'accepted'),
      newestWrites,
      recordsLookedAt,
    );
    const open = desk.openOf(listingId);
    // What was corrected and has not come right yet is no second writer's, unless a correction is known to have landed.
    const correctedAtMs =
      open?.steps.findLast(({ what }) => what === 're-publish')?.atMs ?? Number.POSITIVE_INFINITY;
    const hasLanded = records.some(
      ({ kind, from, to, atMs }) =>
        atMs >= correctedAtMs && (kind === 'repair' || kind === 'put' || to - from === -(open?.units ?? 0)),
    );
    const openCorrections = open === undefined ? undefined : hasLanded ? open.corrections : 0;
    return judgeDrift({
      difference,
      writes: records.toReversed().map(({ from, to }) => to - from),
      keptOnCancel: movements.keptOnCancel(channel.id, listingId, sinceMs),
      corrections: openCorrections ?? (await desk.correctionsBefore(listingId)),
    });
  }
}
