import type { RowOutcome } from '../connectors/connector.ts';
import type { ChannelId, ListingId } from '../domain/ids.ts';
import type { PolicyRule, Target } from '../domain/policy.ts';
import type { WriteRecord } from '../ledger/contract.ts';
import type { MappedListing } from './sku-map.ts';
import type { SyncJournal } from './sync-journal.ts';

/** Listings whose newest write waits for a reading to show it; the oldest are forgotten beyond this. */
const maxAwaited = 20_000;
const maxPlans = 100_000;

/** What one channel tells the journal: its writes with the rule behind their number, and the first reading after each. */
export class ChannelJournal {
  readonly #journal: SyncJournal;
  readonly #channel: ChannelId;
  readonly #nowMs: () => number;
  readonly #plans = new Map<ListingId, { readonly rule: PolicyRule | ''; readonly readAtMs?: number }>();
  readonly #awaited = new Map<ListingId, { readonly to: number; readonly sequence: string }>();

  constructor(journal: SyncJournal, channel: ChannelId, nowMs: () => number) {
    this.#journal = journal;
    this.#channel = channel;
    this.#nowMs = nowMs;
  }

  /** The target a write of the listing is computed from, and the start of the reading behind it (ledger clock). */
  planned(listingId: ListingId, target: Target, readAtMs?: number): void {
    if (!this.#plans.has(listingId) && this.#plans.size >= maxPlans) return;
    const rule = decisiveRule(target);
    this.#plans.set(listingId, readAtMs === undefined ? { rule } : { rule, readAtMs });
  }

  written(
    record: WriteRecord,
    rows: readonly { readonly listingId: ListingId; readonly outcome: RowOutcome }[],
    listing: (listingId: ListingId) => MappedListing | undefined,
  ): void {
    const numbers = new Map(record.rows.map((row) => [row.listingId, row]));
    for (const { listingId, outcome } of rows) {
      const row = numbers.get(listingId);
      const mapped = listing(listingId);
      if (row === undefined || mapped === undefined) continue;
      const plan = this.#plans.get(listingId);
      this.#journal.add({
        channel: this.#channel,
        listingId,
        sku: mapped.sku,
        kind: record.kind,
        from: row.from,
        to: row.to,
        outcome: outcome.kind,
        reason: 'reason' in outcome ? outcome.reason : '',
        rule: plan?.rule ?? '',
        readAtMs: plan?.readAtMs,
        sequence: record.reference,
        atMs: this.#nowMs(),
      });
      if (outcome.kind === 'confirmed' || outcome.kind === 'accepted') this.#await(listingId, row.to, record);
    }
  }

  shown({ listingId, sku }: MappedListing, value: number): void {
    const awaited = this.#awaited.get(listingId);
    if (awaited === undefined) return;
    this.#awaited.delete(listingId);
    this.#journal.add({
      channel: this.#channel,
      listingId,
      sku,
      kind: 'read-back',
      from: awaited.to,
      to: value,
      outcome: value === awaited.to ? 'agrees' : 'differs',
      reason: '',
      rule: '',
      sequence: awaited.sequence,
      atMs: this.#nowMs(),
    });
  }

  #await(listingId: ListingId, to: number, { reference: sequence }: WriteRecord): void {
    this.#awaited.delete(listingId);
    this.#awaited.set(listingId, { to, sequence });
    const oldest = this.#awaited.keys().next();
    if (this.#awaited.size > maxAwaited && oldest.done !== true) this.#awaited.delete(oldest.value);
  }
}

/** The last rule that changed the number; empty where the channel shows all there is. */
export function decisiveRule({ steps }: Target): PolicyRule | '' {
  const last = steps.at(-1);
  if (last === undefined) return '';
  const isPlainSum = last.rule === 'sum' || (last.rule === 'not-below-zero' && last.units > 0);
  return isPlainSum ? '' : last.rule;
}
