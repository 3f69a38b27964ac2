import type { PlatformLine, PlatformListing, ListingRef, ListingProblem } from '../connectors/connector.ts';
import { type ListingId, type LocationId, type Sku, parseListingId, parseSku } from '../domain/ids.ts';
import { committedOf } from '../domain/order.ts';
import { type ChannelSettings, locationsAt } from './channel.ts';

/** A listing of one channel, tied to our SKU and our locations. */
export interface MappedListing {
  readonly listingId: ListingId;
  readonly ref: ListingRef;
  /** Other ids under which order lines name the item. */
  readonly itemAliases?: readonly string[] | undefined;
  readonly sku: Sku;
  /** Our locations whose stock this listing shows, in the channel's order; empty: stock of somebody else. */
  readonly locations: readonly LocationId[];
  readonly problems: readonly ListingProblem[];
  /** Platform clock, ms: when the listing was first read. Orders placed before are adopted instead of counted. */
  readonly baselineAtMs: number;
}

/** A listing that cannot be tied to a SKU, and why. */
export interface UnmappedListing {
  readonly ref: ListingRef;
  readonly reason: string;
}

export type LineResolution =
  | {
      readonly kind: 'mapped';
      readonly sku: Sku;
      /** Absent: the platform took from no listing of ours. */
      readonly listingId: ListingId | undefined;
      /** First reading of that listing, platform clock. */
      readonly baselineAtMs: number | undefined;
      /** `false`: the line could have been taken from several listings of its item. */
      readonly listingIsKnown: boolean;
      /** The item itself is not in the map: only its SKU text is. */
      readonly needsDiscovery: boolean;
    }
  /** All its units are at places that are not ours. */
  | { readonly kind: 'foreign' }
  | { readonly kind: 'unknown'; readonly reason: string };

export interface LearnResult {
  /** SKUs the map did not know before: parked rows that wait for them can be replayed. */
  readonly newSkus: readonly Sku[];
  readonly changed: readonly MappedListing[];
  readonly unmapped: readonly UnmappedListing[];
}

/** A problem that forbids writing; orders of the listing still count. */
const writeBlocking: ReadonlySet<ListingProblem> = new Set([
  'duplicate-sku',
  'missing-sku',
  'untracked',
  'inactive',
  'bundle-parent',
  'foreign-stock',
]);

export function isWritable(listing: MappedListing): boolean {
  return listing.locations.length > 0 && !listing.problems.some((problem) => writeBlocking.has(problem));
}

/**
 * Which listing of a channel is which SKU, by exact SKU text (or an alias of the configuration). Two items with one SKU
 * are both mapped, so that a sale of either is counted, and neither is written until a person has decided.
 *
 * In memory it is only a copy: the connector can tell all of it again, and `SkuMapStore` keeps it between runs.
 */
export class SkuMap {
  readonly settings: ChannelSettings;
  readonly #byListing = new Map<ListingId, MappedListing>();
  readonly #byItem = new Map<string, Map<ListingId, MappedListing>>();
  readonly #bySku = new Map<Sku, Map<ListingId, MappedListing>>();
  readonly #unmappedItems = new Map<string, UnmappedListing>();
  #lostBaselineAtMs: number | undefined;

  constructor(settings: ChannelSettings) {
    this.settings = settings;
  }

  get size(): number {
    return this.#byListing.size;
  }

  listing(listingId: ListingId): MappedListing | undefined {
    return this.#byListing.get(listingId);
  }

  listings(): IterableIterator<MappedListing> {
    return this.#byListing.values();
  }

  ofSku(sku: Sku): readonly MappedListing[] {
    return [...(this.#bySku.get(sku)?.values() ?? [])];
  }

  ofItem(itemId: string): readonly MappedListing[] {
    return [...(this.#byItem.get(itemId)?.values() ?? [])];
  }

  unmapped(): IterableIterator<UnmappedListing> {
    return this.#unmappedItems.values();
  }

  learn(listings: readonly PlatformListing[]): LearnResult {
    const newSkus = new Set<Sku>();
    const changed: MappedListing[] = [];
    const unmapped: UnmappedListing[] = [];
    for (const found of listings) {
      const mapped = this.#map(found);
      if ('reason' in mapped) {
        this.#unmappedItems.set(found.ref.itemId, mapped);
        this.#forget(found.ref.key as ListingId);
        unmapped.push(mapped);
        continue;
      }
      if (isSame(this.#byListing.get(mapped.listingId), mapped)) continue;
      if (!this.#bySku.has(mapped.sku)) newSkus.add(mapped.sku);
      this.#put(mapped);
      changed.push(mapped);
    }
    return { newSkus: [...newSkus], changed, unmapped };
  }

  /** Takes over what was kept: the same as `learn`, for listings that were mapped once. */
  restore(listings: Iterable<MappedListing>): void {
    for (const listing of listings) this.#put(listing);
  }

  /**
   * The kept map was lost, not never made: until `undefined` is given, listings that look new were known since this moment
   * at the earliest. A reading of today in its place would take every order since then for older than the ledger.
   */
  assumeBaseline(atMs: number | undefined): void {
    this.#lostBaselineAtMs = atMs;
  }

  /** Listings a complete reading of the channel did not show. They stay mapped for orders, but are not written. */
  markMissing(seen: ReadonlySet<string>): readonly MappedListing[] {
    const missing: MappedListing[] = [];
    for (const listing of this.#byListing.values()) {
      if (seen.has(listing.ref.key) || listing.problems.includes('inactive')) continue;
      missing.push({ ...listing, problems: [...listing.problems, 'inactive'] });
    }
    for (const listing of missing) this.#put(listing);
    return missing;
  }

  resolve(line: PlatformLine): LineResolution {
    const places = placesOf(line);
    const ours = places.filter((place) => locationsAt(this.settings, place).length > 0);
    if (places.length > 0 && ours.length === 0) return { kind: 'foreign' };

    const ofItem = line.itemId === null ? [] : this.ofItem(line.itemId);
    const first = ofItem[0];
    if (first === undefined) return this.#resolveByText(line);
    const named = ofItem.filter((listing) => ours.includes(listing.ref.locationId));
    const chosen = named[0] ?? this.#preferred(ofItem) ?? first;
    return {
      kind: 'mapped',
      sku: chosen.sku,
      listingId: chosen.listingId,
      baselineAtMs: chosen.baselineAtMs,
      listingIsKnown: named.length === 1 || ofItem.length === 1,
      needsDiscovery: false,
    };
  }

  /** Units of the line are open or lost, several places of ours could have sold them, and the line does not say which. */
  lacksPlace(line: PlatformLine): boolean {
    const units = committedOf(line.counters) + line.counters.writtenOff;
    if (line.itemId === null || units === 0 || placesOf(line).length > 0) return false;
    return this.ofItem(line.itemId).filter((listing) => listing.locations.length > 0).length > 1;
  }

  #resolveByText(line: PlatformLine): LineResolution {
    const problem = line.itemId === null ? undefined : this.#unmappedItems.get(line.itemId);
    const text = this.settings.aliases.get(line.sku) ?? line.sku;
    const sku = parseSku(text);
    if (sku.kind === 'bad') return { kind: 'unknown', reason: problem?.reason ?? sku.reason };
    if (!this.#bySku.has(sku.value)) {
      return { kind: 'unknown', reason: problem?.reason ?? `sku ${JSON.stringify(text)} is not known` };
    }
    return {
      kind: 'mapped',
      sku: sku.value,
      listingId: undefined,
      baselineAtMs: undefined,
      listingIsKnown: line.itemId === null,
      needsDiscovery: line.itemId !== null,
    };
  }

  #map(found: PlatformListing): MappedListing | UnmappedListing {
    const listingId = parseListingId(found.ref.key);
    if (listingId.kind === 'bad') return { ref: found.ref, reason: listingId.reason };
    const known = this.#byListing.get(listingId.value);
    const sku = parseSku(this.settings.aliases.get(found.sku) ?? found.sku);
    if (sku.kind === 'bad') return { ref: found.ref, reason: sku.reason };
    return {
      listingId: listingId.value,
      ref: found.ref,
      ...(found.itemAliases === undefined ? {} : { itemAliases: found.itemAliases }),
      sku: sku.value,
      locations: locationsAt(this.settings, found.ref.locationId).map((place) => place.location),
      problems: found.problems,
      baselineAtMs: known?.baselineAtMs ?? this.#lostBaselineAtMs ?? found.readAtMs,
    };
  }

  #put(listing: MappedListing): void {
    this.#forget(listing.listingId);
    this.#byListing.set(listing.listingId, listing);
    for (const itemId of itemNames(listing)) inner(this.#byItem, itemId).set(listing.listingId, listing);
    inner(this.#bySku, listing.sku).set(listing.listingId, listing);
    this.#unmappedItems.delete(listing.ref.itemId);
  }

  #forget(listingId: ListingId): void {
    const old = this.#byListing.get(listingId);
    if (old === undefined) return;
    this.#byListing.delete(listingId);
    for (const itemId of itemNames(old)) remove(this.#byItem, itemId, listingId);
    remove(this.#bySku, old.sku, listingId);
  }

  #preferred(listings: readonly MappedListing[]): MappedListing | undefined {
    for (const place of this.settings.locations) {
      const found = listings.find((listing) => listing.ref.locationId === place.platformLocationId);
      if (found !== undefined) return found;
    }
    return listings.find((listing) => listing.locations.length > 0);
  }
}

function itemNames(listing: MappedListing): readonly string[] {
  return [listing.ref.itemId, ...(listing.itemAliases ?? [])];
}

function placesOf(line: PlatformLine): readonly string[] {
  const places = new Set<string>();
  for (const { locationId, units } of line.committedAt ?? []) if (units > 0) places.add(locationId);
  for (const { locationId, units } of line.shippedFrom ?? []) if (units > 0) places.add(locationId);
  for (const { locationId, units } of line.lostFrom ?? []) if (units > 0) places.add(locationId);
  return [...places];
}

function inner<Key>(outer: Map<Key, Map<ListingId, MappedListing>>, key: Key): Map<ListingId, MappedListing> {
  let found = outer.get(key);
  if (found === undefined) {
    found = new Map();
    outer.set(key, found);
  }
  return found;
}

function remove<Key>(outer: Map<Key, Map<ListingId, MappedListing>>, key: Key, listingId: ListingId): void {
  const found = outer.get(key);
  found?.delete(listingId);
  if (found?.size === 0) outer.delete(key);
}

function isSame(a: MappedListing | undefined, b: MappedListing): boolean {
  return (
    a !== undefined &&
    a.sku === b.sku &&
    itemNames(a).join() === itemNames(b).join() &&
    a.ref.locationId === b.ref.locationId &&
    a.locations.join() === b.locations.join() &&
    a.problems.join() === b.problems.join()
  );
}
