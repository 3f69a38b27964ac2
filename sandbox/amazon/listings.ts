import type { SandboxClock } from '../shopify/clock.ts';
import type { SeededRandom } from '../shopify/random.ts';
import type { ChangeCause, Records } from './records.ts';
import type { SellerSettings } from './settings.ts';

export interface Availability {
  quantity: number | null;
  leadTimeDays: number | null;
}

export interface ListingIssue {
  readonly code: string;
  readonly message: string;
  readonly severity: 'ERROR' | 'WARNING' | 'INFO';
  readonly categories: readonly string[];
  readonly attributeNames?: readonly string[];
}

export interface Listing {
  readonly sku: string;
  readonly asin: string;
  readonly title: string;
  readonly barcode: string | null;
  readonly productType: string;
  readonly createdAt: number;
  updatedAt: number;
  /** By fulfilment channel code. What is true now; reads may show older numbers. */
  readonly availability: Map<string, Availability>;
  /** Number of the seller's own stock over time, newest last, for reads that lag. */
  readonly history: { readonly at: number; readonly quantity: number | null }[];
  issues: readonly ListingIssue[];
  appliedWrite: number;
}

export interface ListingOptions {
  readonly sku: string;
  readonly quantity?: number | null;
  readonly title?: string;
  /** The external product id, an EAN. */
  readonly barcode?: string;
  readonly productType?: string;
  /** `AMAZON_NA` and the like: an offer that Amazon fulfils. */
  readonly channelCode?: string;
  readonly leadTimeDays?: number;
}

/** What a patch wants, once it is found sound. */
export interface AvailabilityChange {
  readonly code: string;
  readonly quantity: number | null;
  /** `replace` wipes what it does not name. */
  readonly leadTimeDays: number | null | undefined;
}

const MAX_HISTORY = 2_000;

/** The seller's listings: stock is one number per SKU, whatever the marketplace. */
export class ListingShelf {
  readonly listings = new Map<string, Listing>();
  /** Called when the seller's own number changed, with the new number. */
  onQuantity: (sku: string, quantity: number) => void = () => {};
  /** Called when a client was shown the seller's own number. */
  onRead: (sku: string) => void = () => {};
  readonly #sellerId: string;
  readonly #clock: SandboxClock;
  readonly #random: SeededRandom;
  readonly #settings: SellerSettings;
  readonly #records: Records;
  #writes = 0;

  constructor(parts: {
    readonly sellerId: string;
    readonly clock: SandboxClock;
    readonly random: SeededRandom;
    readonly settings: SellerSettings;
    readonly records: Records;
  }) {
    this.#sellerId = parts.sellerId;
    this.#clock = parts.clock;
    this.#random = parts.random;
    this.#settings = parts.settings;
    this.#records = parts.records;
  }

  add(options: ListingOptions): Listing {
    const { sku, channelCode = 'DEFAULT', quantity = 0 } = options;
    const now = this.#clock.now();
    const known = this.listings.get(sku);
    const listing: Listing = known ?? {
      sku,
      asin: `B0${String(this.listings.size + 1).padStart(8, '0')}`,
      title: options.title ?? sku,
      barcode: options.barcode ?? null,
      productType: options.productType ?? 'HOME',
      createdAt: now,
      updatedAt: now,
      availability: new Map(),
      history: [],
      issues: [],
      appliedWrite: 0,
    };
    this.listings.set(sku, listing);
    const isOwn = channelCode === 'DEFAULT';
    listing.availability.set(channelCode, {
      quantity: isOwn ? quantity : null,
      leadTimeDays: options.leadTimeDays ?? null,
    });
    if (isOwn) this.#note(listing, 'seed');
    return listing;
  }

  /** The number that is true now. */
  quantity(sku: string): number {
    return this.listings.get(sku)?.availability.get('DEFAULT')?.quantity ?? 0;
  }

  /** The number a read shows now. */
  visibleQuantity(listing: Listing): number | null {
    this.onRead(listing.sku);
    const atMs = this.#clock.now() - this.#settings.readLagMs;
    const seen = listing.history.findLast((entry) => entry.at <= atMs) ?? listing.history[0];
    return seen?.quantity ?? null;
  }

  /** A person changes the number in Seller Central. */
  edit(sku: string, quantity: number): void {
    const own = this.#own(sku);
    own.entry.quantity = quantity;
    this.#note(own.listing, 'stock-edit');
  }

  /** Orders and cancellations move the number that is true at that moment. */
  move(sku: string, units: number, cause: ChangeCause): void {
    const own = this.#own(sku);
    own.entry.quantity = Math.max(0, (own.entry.quantity ?? 0) + units);
    this.#note(own.listing, cause);
  }

  /** Accepted now, applied later, sometimes never. */
  accept(sku: string, change: AvailabilityChange, cause: 'api' | 'feed'): void {
    const listing = this.listings.get(sku);
    if (!listing) return;
    const write = ++this.#writes;
    const isLost = this.#random.chance(this.#settings.applyLossRate);
    const delayMs = this.#random.between(this.#settings.applyDelayMs);
    this.#clock.schedule(delayMs, () => {
      if (isLost) {
        listing.issues = [lostIssue];
        return;
      }
      // The newest accepted write stays, unless the platform is told to mix them up.
      if (write < listing.appliedWrite && !this.#settings.reorderApplies) return;
      listing.appliedWrite = write;
      const before = listing.availability.get(change.code);
      listing.availability.set(change.code, {
        quantity: change.quantity ?? before?.quantity ?? null,
        leadTimeDays:
          change.leadTimeDays === undefined ? (before?.leadTimeDays ?? null) : change.leadTimeDays,
      });
      if (change.code === 'DEFAULT') this.#note(listing, cause);
    });
  }

  #own(sku: string): { listing: Listing; entry: Availability } {
    const listing = this.listings.get(sku);
    const entry = listing?.availability.get('DEFAULT');
    if (!listing || !entry) throw new Error(`no listing ${sku} of the seller's own`);
    return { listing, entry };
  }

  #note(listing: Listing, cause: ChangeCause): void {
    const at = this.#clock.now();
    const quantity = listing.availability.get('DEFAULT')?.quantity ?? null;
    listing.updatedAt = at;
    listing.history.push({ at, quantity });
    if (listing.history.length > MAX_HISTORY) listing.history.splice(0, MAX_HISTORY / 2);
    const { sku } = listing;
    this.#records.levelChanged({ at, sellerId: this.#sellerId, sku, available: quantity ?? 0, cause });
    if (cause !== 'seed') this.onQuantity(sku, quantity ?? 0);
  }
}

const lostIssue: ListingIssue = {
  code: '99001',
  message: 'The submission could not be applied',
  severity: 'ERROR',
  categories: ['INVALID_ATTRIBUTE'],
};
