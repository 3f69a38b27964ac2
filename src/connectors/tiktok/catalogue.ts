import type { ListingPage, ParkedRow, PlatformListing } from '../connector.ts';
import type { PlatformClock } from '../platform-clock.ts';
import type { ConnectorLog } from '../ports.ts';
import { isRecord, listOf, textOf } from '../raw-json.ts';
import type { TiktokApi } from './api.ts';
import { endpoints } from './endpoints.ts';
import { idOf, idsOf, secondsOf } from './ids.ts';
import type { TiktokSettings } from './options.ts';
import { failureOf, stuck, unreadable } from './outcome.ts';
import type { Inventory } from './inventory.ts';
import { listingsOf, shownBefore } from './product-listing.ts';
import type { ShelfMemory } from './shelf-memory.ts';
import { type SkuOwner, SkuOwners } from './sku-owners.ts';
import type { Warehouses } from './warehouses.ts';

const pageSize = 100;
const maxResults = 10_000;
const tooManyResults = 12052180;
const maxPagesPerSlice = 300;
const maxSlices = 10_000;
const walksPerSlice = 3;
/** TikTok Shop did not exist before. */
const beginningS = 1_500_000_000;

/** Products by their last change; without an end the newest are included, those changed during the walk too. */
interface Slice {
  readonly fromS: number | undefined;
  readonly toS: number | undefined;
}

interface ProductPage {
  readonly products: readonly unknown[];
  readonly next: string | undefined;
  readonly total: number | undefined;
  readonly readAtMs: number;
}

/**
 * Every listing of the shop. A search shows at most 10,000 products, so a larger shop is walked in slices by the time of
 * the last change, oldest first: a product that changes meanwhile moves into a later slice and is seen there. Within a
 * slice pages can shift; one that showed fewer products than TikTok counts is walked again.
 *
 * Two SKUs with one seller SKU are both named, the earlier one again, so that neither is written. Of what was shown only
 * ids are kept: the walk needs memory for a page, and for a few numbers a SKU.
 */
export class Catalogue {
  readonly #parts: {
    readonly api: TiktokApi;
    readonly settings: TiktokSettings;
    readonly warehouses: Warehouses;
    readonly platformClock: PlatformClock;
    readonly inventory: Inventory;
    readonly memory: ShelfMemory;
    readonly log: ConnectorLog;
  };

  constructor(parts: {
    readonly api: TiktokApi;
    readonly settings: TiktokSettings;
    readonly warehouses: Warehouses;
    readonly platformClock: PlatformClock;
    readonly inventory: Inventory;
    readonly memory: ShelfMemory;
    readonly log: ConnectorLog;
  }) {
    this.#parts = parts;
  }

  async *pages(cursor: string | null, signal: AbortSignal): AsyncGenerator<ListingPage> {
    const owners = new SkuOwners();
    this.#parts.warehouses.forget();
    let waiting: Slice[] = [{ fromS: secondsOf(cursor), toS: undefined }];
    for (let count = 0; count < maxSlices; count++) {
      const [slice, ...later] = waiting;
      if (slice === undefined) return;
      const first = await this.#page(slice, undefined, signal);
      if (first === 'too-many' || (first.total ?? 0) > maxResults) {
        const halves = this.#halves(slice);
        if (halves === undefined)
          throw unreadable(endpoints.products.name, 'one second holds too many products');
        waiting = [...halves, ...later];
        continue;
      }
      // Where a walk may be taken up again: what changed before is in the slices already shown.
      const reached = slice.toS === undefined ? null : String(slice.toS + 1);
      for await (const page of this.#slice(slice, first, signal)) {
        const found = await this.#listings(page, owners, signal);
        yield { ...found, cursor: page.next === undefined ? reached : null };
      }
      waiting = later;
    }
    throw stuck(endpoints.products.name, `more than ${maxSlices} slices`);
  }

  async *#slice(slice: Slice, first: ProductPage, signal: AbortSignal): AsyncGenerator<ProductPage> {
    const { name } = endpoints.products;
    const seen = new Set<string>();
    let page = first;
    for (let walk = 1; ; walk++) {
      const tokens = new Set<string>();
      // As counted when the walk began: what disappears meanwhile was either seen, or makes one more walk.
      const total = page.total ?? 0;
      for (;;) {
        for (const product of page.products) seen.add(productIdOf(product));
        const isLast = page.next === undefined;
        const isWhole = !isLast || walk >= walksPerSlice || seen.size >= total;
        // The last page of a walk that missed products is not the slice's last.
        yield isWhole ? page : { ...page, next: 'again' };
        if (isLast) break;
        if (tokens.has(page.next ?? '') || tokens.size >= maxPagesPerSlice)
          throw stuck(name, 'a page token came twice, or there are too many pages');
        tokens.add(page.next ?? '');
        const next = await this.#page(slice, page.next, signal);
        if (next === 'too-many') throw unreadable(name, 'the shop grew past 10,000 products during the walk');
        page = next;
      }
      if (seen.size >= total) return;
      const counts = { seen: seen.size, total };
      if (walk >= walksPerSlice) {
        this.#parts.log.warn(counts, 'TikTok counts more products than its search shows');
        return;
      }
      const again = await this.#page(slice, undefined, signal);
      if (again === 'too-many') return;
      page = again;
    }
  }

  #halves(slice: Slice): readonly [Slice, Slice] | undefined {
    const fromS = slice.fromS ?? beginningS;
    const toS = slice.toS ?? Math.floor(this.#parts.platformClock.nowMs() / 1_000);
    if (toS - fromS < 1) return undefined;
    const middleS = fromS + Math.floor((toS - fromS) / 2);
    return [
      { fromS: slice.fromS, toS: middleS },
      { fromS: middleS + 1, toS: slice.toS },
    ];
  }

  async #page(
    slice: Slice,
    token: string | undefined,
    signal: AbortSignal,
  ): Promise<ProductPage | 'too-many'> {
    const { api, platformClock } = this.#parts;
    const { name } = endpoints.products;
    const outcome = await api.tryRead(
      {
        endpoint: endpoints.products,
        query: { page_size: String(pageSize), ...(token === undefined ? {} : { page_token: token }) },
        body: {
          status: 'ALL',
          ...(slice.fromS === undefined ? {} : { update_time_ge: slice.fromS }),
          ...(slice.toS === undefined ? {} : { update_time_le: slice.toS }),
        },
      },
      signal,
    );
    if (outcome.kind === 'refused' && outcome.code === tooManyResults) return 'too-many';
    if (outcome.kind !== 'answer') throw failureOf(name, outcome);
    const { data } = outcome;
    const products = listOf(data['products']);
    const total = typeof data['total_count'] === 'number' ? data['total_count'] : undefined;
    if (products === undefined && (total ?? 0) > 0) throw unreadable(name, 'products is no list');
    const next = textOf(data['next_page_token']);
    return {
      products: products ?? [],
      // A token behind an empty page leads nowhere.
      next: next === '' || (products ?? []).length === 0 ? undefined : next,
      total,
      readAtMs: platformClock.at(outcome.sentAtMs),
    };
  }

  async #listings(
    page: ProductPage,
    owners: SkuOwners,
    signal: AbortSignal,
  ): Promise<{ listings: readonly PlatformListing[]; parked: readonly ParkedRow[] }> {
    const { settings, memory } = this.#parts;
    const warehouses = await this.#parts.warehouses.all(signal);
    const listings = new Map<string, PlatformListing>();
    const parked: ParkedRow[] = [];
    const earlier = new Map<string, { readonly owner: SkuOwner; readonly sellerSku: string }>();
    for (const product of page.products) {
      const found = listingsOf(product, { settings, warehouses, memory, readAtMs: page.readAtMs });
      parked.push(...found.parked);
      for (const listing of found.listings) {
        const { sku: sellerSku, ref } = listing;
        const ids = idsOf(ref);
        const owner = ids === undefined || sellerSku === '' ? undefined : owners.claim(sellerSku, ids);
        if (owner !== undefined) earlier.set(owner.skuId, { owner, sellerSku });
        listings.set(ref.key, owner === undefined ? listing : withProblem(listing));
      }
    }
    if (earlier.size === 0) return { listings: [...listings.values()], parked };
    const context = { settings, warehouses, memory, readAtMs: page.readAtMs };
    const onPage = Map.groupBy(listings.values(), ({ ref }) => ref.itemId);
    await this.#remember(earlier.keys(), signal);
    for (const { owner, sellerSku } of earlier.values()) {
      const known = onPage.get(`${owner.productId}/${owner.skuId}`);
      for (const listing of known ?? shownBefore({ ...owner, sellerSku }, context))
        if (!listing.problems.includes('duplicate-sku')) listings.set(listing.ref.key, withProblem(listing));
    }
    return { listings: [...listings.values()], parked };
  }

  /** Warehouses were noted when the SKU was shown; a walk that took long asks for what has been forgotten since. */
  async #remember(skuIds: Iterable<string>, signal: AbortSignal): Promise<void> {
    const { memory, inventory } = this.#parts;
    const unknown = [...skuIds].filter((skuId) => memory.warehousesOf(skuId) === undefined);
    if (unknown.length === 0) return;
    for await (const { parked } of inventory.read(unknown, signal))
      for (const { reference, reason } of parked)
        this.#parts.log.warn(
          { skuId: reference, reason },
          'a SKU whose seller SKU came twice cannot be read',
        );
  }
}

function withProblem(listing: PlatformListing): PlatformListing {
  return { ...listing, problems: [...listing.problems, 'duplicate-sku'] };
}

function productIdOf(product: unknown): string {
  return (isRecord(product) ? idOf(product['id']) : undefined) ?? '';
}
