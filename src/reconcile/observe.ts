import type { ListingRef, PlatformListing, StockRead } from '../connectors/connector.ts';
import type { ListingId } from '../domain/ids.ts';
import type { ListingView } from '../ledger/contract.ts';
import type { MappedListing } from '../mesh/sku-map.ts';
import type { ReconciledChannel } from './reconciled-channel.ts';
import { SeenRows } from './seen-rows.ts';

/** One listing as the platform shows it, and as the ledger had it before and after. */
export interface ObservedRow {
  readonly listing: MappedListing;
  readonly before: Pick<ListingView, 'state'>;
  readonly after: ListingView;
  /** Null: the platform does not know it. */
  readonly shown: number | null;
  /** `false`: shown where nothing is sold. */
  readonly isActive: boolean;
  /** Platform clock. */
  readonly readAtMs: number;
}

export type Observation =
  | {
      readonly kind: 'rows';
      readonly rows: readonly ObservedRow[];
      /** Rows that changed under the reading, or could not be read. */
      readonly unjudged: number;
      readonly tookMs: number;
      /** `<epoch>-<seq>` of the look after the read. */
      readonly position: string;
    }
  /** The answer cannot be trusted as a whole: nothing is concluded from any of it. */
  | { readonly kind: 'unusable'; readonly reason: string };

/** Reads these listings (one request at most) and looks at them on both sides of the read. Throws as the platform does. */
export async function observe(
  channel: ReconciledChannel,
  listings: readonly MappedListing[],
  signal: AbortSignal,
  /** They are asked for because they may be gone: none of them being there is no empty answer. */
  mayBeGone = false,
): Promise<Observation> {
  const { connector, publishing } = channel;
  const before = byId(await publishing.states(listings));
  const startedMs = performance.now();
  const limit = AbortSignal.timeout(connector.capabilities.requestTimeoutMs * 2);
  const refs = listings.map(({ ref }) => ref);
  const read = await connector.readStock(refs, AbortSignal.any([signal, limit]));
  const tookMs = performance.now() - startedMs;
  const flaw = flawOf(refs, read, mayBeGone);
  if (flaw !== undefined) return { kind: 'unusable', reason: flaw };
  const view = await publishing.views(listings);
  const after = byId(view);
  const shown = new Map(read.rows.map((row) => [row.key, row]));
  const missing = new Set(read.missing);
  const rows: ObservedRow[] = [];
  for (const listing of listings) {
    const [was, is] = [before.get(listing.listingId), after.get(listing.listingId)];
    const row = shown.get(listing.ref.key);
    if (was === undefined || is === undefined) continue;
    // Mapped to another SKU under the reading.
    if (channel.map.listing(listing.listingId)?.sku !== listing.sku) continue;
    if (row !== undefined) {
      const { value, isActive, readAtMs } = row;
      rows.push({ listing, before: was, after: is, shown: value, isActive, readAtMs });
    } else if (missing.has(listing.ref.key)) {
      rows.push({
        listing,
        before: was,
        after: is,
        shown: null,
        isActive: false,
        readAtMs: startedAt(tookMs),
      });
    }
  }
  const { epoch, seq } = view.position;
  return { kind: 'rows', rows, unjudged: listings.length - rows.length, tookMs, position: `${epoch}-${seq}` };
}

/** Why an answer of the platform proves nothing. */
function flawOf(asked: readonly ListingRef[], read: StockRead, mayBeGone: boolean): string | undefined {
  const keys = new Set(asked.map(({ key }) => key));
  const answered = new Set<string>();
  for (const { key } of read.rows) {
    if (!keys.has(key)) return `the answer names ${key}, which was not asked for`;
    if (answered.has(key)) return `the answer names ${key} twice`;
    answered.add(key);
  }
  for (const key of read.missing) answered.add(key);
  const lacking = asked.length - answered.size - read.parked.length;
  if (lacking > 0)
    return `the answer was cut short: ${lacking} of ${asked.length} rows are neither in it nor missing`;
  // One listing may well be gone; all of several at once is an empty answer.
  if (!mayBeGone && asked.length > 1 && read.rows.length === 0 && read.parked.length === 0)
    return `the answer was empty: none of ${asked.length} listings`;
  return undefined;
}

/** Checks a bulk reading page by page: pages that shift while they are read repeat a listing, or leave many out. */
export class BulkCheck {
  readonly #seen: SeenRows;

  /** `known`: how many listings the reading will show at least. */
  constructor(known: number) {
    this.#seen = new SeenRows(known);
  }

  get seen(): number {
    return this.#seen.size;
  }

  has(key: string): boolean {
    return this.#seen.has(key);
  }

  page(listings: readonly PlatformListing[]): string | undefined {
    for (const { ref, problems } of listings) {
      // One that shares its SKU with a later one is named again by the connector, with that problem.
      if (this.#seen.note(ref.key) !== 'new' && !problems.includes('duplicate-sku'))
        return `the listings changed while they were read: ${ref.key} came twice`;
    }
    return undefined;
  }

  end(known: number): string | undefined {
    const { seen } = this;
    if (known === 0 || seen * 2 >= known) return undefined;
    if (seen === 0) return `the reading was empty, ${known} listings are known`;
    return `the reading was cut short: ${seen} listings, ${known} are known`;
  }
}

function byId(view: { readonly rows: readonly ListingView[] }): ReadonlyMap<ListingId, ListingView> {
  return new Map(view.rows.map((row) => [row.listingId, row]));
}

function startedAt(tookMs: number): number {
  return Math.floor(Date.now() - tookMs);
}
