// Long on purpose: every index of the map, and the one order of the rules that fill it.
import type { PlatformLine, PlatformListing, ListingRef, ListingProblem } from '../connectors/connector.ts';
import { gtinOf } from '../domain/barcode.ts';
import { type ListingId, type LocationId, type Sku, parseListingId, parseSku } from '../domain/ids.ts';
import { committedOf } from '../domain/order.ts';
import { type ChannelSettings, locationsAt } from './channel.ts';
import { SkuEvidence } from './sku-evidence.ts';

/** `person`: by command or file; `alias`: by the configuration; `exact`: by its own text; `barcode`: by the evidence of others. */
export const mappedBy = ['person', 'alias', 'exact', 'barcode'] as const;
export type MappedBy = (typeof mappedBy)[number];

/** What the platform itself says of a listing, as far as the mapping goes by it. */
export interface PlatformWords {
  readonly sku: string;
  readonly barcode: string | null;
  readonly problems: readonly ListingProblem[];
}

/** A listing of one channel, tied to our SKU and our locations. */
export interface MappedListing {
  readonly listingId: ListingId;
  readonly ref: ListingRef;
  /** Other ids under which order lines name the item. */
  readonly itemAliases?: readonly string[] | undefined;
  readonly sku: Sku;
  /** Our locations whose stock this listing shows, in the channel's order; empty: stock of somebody else. */
  readonly locations: readonly LocationId[];
  /** Without those that the mapping has settled. */
  readonly problems: readonly ListingProblem[];
  /** Absent in what a former version kept, until the channel is read. */
  readonly by?: MappedBy | undefined;
  readonly words?: PlatformWords | undefined;
  /** Platform clock, ms: when the listing was first read. Orders placed before are adopted instead of counted. */
  readonly baselineAtMs: number;
}

/** A listing that cannot be tied to a SKU, and why. */
export interface UnmappedListing {
  readonly ref: ListingRef;
  readonly reason: string;
  /** Several SKUs, or several items of the channel, could be meant; empty: none is known. */
  readonly candidates: readonly Sku[];
  readonly found: PlatformListing;
  /** As of a mapped one; it counts once the listing is tied. */
  readonly baselineAtMs: number;
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
  'beside-foreign-stock',
]);

export function isWritable(listing: MappedListing): boolean {
  return listing.locations.length > 0 && !listing.problems.some((problem) => writeBlocking.has(problem));
}

/** What is kept of a listing that is tied to no SKU: when it was first read, and nothing to go by. */
export function untied({ ref, baselineAtMs }: UnmappedListing): MappedListing {
  return {
    listingId: ref.key as ListingId,
    ref,
    sku: '' as Sku,
    locations: [],
    problems: ['missing-sku'],
    baselineAtMs,
  };
}

function isUntied({ sku }: MappedListing): boolean {
  return sku.length === 0;
}

/** Problems of a listing that a mapping of this kind leaves: who was told by a person which SKU it is lacks none. */
export function leftProblems(
  by: MappedBy | undefined,
  problems: readonly ListingProblem[],
): readonly ListingProblem[] {
  if (by === 'person')
    return problems.filter((problem) => problem !== 'missing-sku' && problem !== 'duplicate-sku');
  return by === 'barcode' ? problems.filter((problem) => problem !== 'missing-sku') : problems;
}

/**
 * Which listing of a channel is which SKU: by the word of a person, an alias of the configuration, the exact SKU text, or
 * else by a barcode that stands for one SKU and one item. Never by a guess. Two items with one SKU text are both mapped,
 * so that a sale of either is counted, and neither is written until a person has decided.
 *
 * In memory it is only a copy: the connector can tell all of it again, and `SkuMapStore` keeps it between runs.
 */
export class SkuMap {
  readonly settings: ChannelSettings;
  readonly #byListing = new Map<ListingId, MappedListing>();
  readonly #byItem = new Map<string, Map<ListingId, MappedListing>>();
  readonly #bySku = new Map<Sku, Map<ListingId, MappedListing>>();
  readonly #unmapped = new Map<string, UnmappedListing>();
  /** By every id under which an order line may name the item. */
  readonly #unmappedItems = new Map<string, UnmappedListing>();
  readonly #itemsByGtin = new Map<string, Set<string>>();
  readonly #gtinOfItem = new Map<string, string>();
  readonly #evidence: SkuEvidence;
  readonly #decided: (itemId: string) => Sku | undefined;
  /** Of listings that are, or were when the last run ended, tied to no SKU. */
  readonly #untiedBaselines = new Map<string, number>();
  #lostBaselineAtMs: number | undefined;

  constructor(
    settings: ChannelSettings,
    { evidence, decided }: { evidence?: SkuEvidence; decided?: (itemId: string) => Sku | undefined } = {},
  ) {
    this.settings = settings;
    this.#evidence = evidence ?? new SkuEvidence();
    this.#decided = decided ?? (() => undefined);
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

  /** How many listings of the channel are this SKU. */
  countOf(sku: Sku): number {
    return this.#bySku.get(sku)?.size ?? 0;
  }

  ofItem(itemId: string): readonly MappedListing[] {
    return [...(this.#byItem.get(itemId)?.values() ?? [])];
  }

  unmapped(): IterableIterator<UnmappedListing> {
    return this.#unmapped.values();
  }

  unmappedItem(itemId: string): UnmappedListing | undefined {
    return this.#unmappedItems.get(itemId);
  }

  hasSku(sku: Sku): boolean {
    return this.#bySku.has(sku);
  }

  /** Other SKUs for which the listing's barcode stands on some channel: a person has to say whether they are one. */
  sharesBarcodeWith({ sku, words }: MappedListing): readonly Sku[] {
    const gtin = gtinOf(words?.barcode);
    return gtin === undefined ? [] : this.#evidence.skusOf(gtin).filter((other) => other !== sku);
  }

  learn(listings: readonly PlatformListing[]): LearnResult {
    const newSkus = new Set<Sku>();
    const changed = new Map<ListingId, MappedListing>();
    const unmapped = new Map<string, UnmappedListing>();
    const again = new Map<string, PlatformListing>();
    const learnOne = (found: PlatformListing): void => {
      const mapped = this.#map(found);
      if ('reason' in mapped) {
        changed.delete(found.ref.key as ListingId);
        this.#putUnmapped(mapped);
        unmapped.set(found.ref.key, mapped);
        return;
      }
      unmapped.delete(found.ref.key);
      if (isSame(this.#byListing.get(mapped.listingId), mapped)) return;
      if (!this.#bySku.has(mapped.sku)) newSkus.add(mapped.sku);
      this.#put(mapped);
      changed.set(mapped.listingId, mapped);
    };
    for (const found of listings) this.#noteBarcode(found);
    for (const found of listings) learnOne(found);
    // A second item with the barcode, or one that shows the SKU itself, takes back what was the only answer before.
    for (const found of listings)
      for (const other of this.#tiedLike(found)) again.set(other.ref.key, platformListingOf(other));
    for (const found of again.values()) learnOne(found);
    return { newSkus: [...newSkus], changed: [...changed.values()], unmapped: [...unmapped.values()] };
  }

  /**
   * Judges again what was read before: `open`, after other channels told something new, what has no SKU or has it by a
   * barcode; `all`, after a person decided, everything.
   */
  relearn(which: 'open' | 'all'): LearnResult {
    const listings: PlatformListing[] = [...this.#unmapped.values()].map(({ found }) => found);
    for (const listing of this.#byListing.values()) {
      if (listing.words === undefined || (which === 'open' && listing.by !== 'barcode')) continue;
      listings.push(platformListingOf(listing));
    }
    return this.learn(listings);
  }

  /** Takes over what was kept: the same as `learn`, for listings that were mapped once. */
  restore(listings: Iterable<MappedListing>): void {
    for (const listing of listings) {
      if (isUntied(listing)) {
        this.#untiedBaselines.set(listing.listingId, listing.baselineAtMs);
        continue;
      }
      if (listing.words !== undefined) this.#noteBarcode(platformListingOf(listing));
      this.#put(listing);
    }
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
      const { words } = listing;
      missing.push({
        ...listing,
        problems: [...listing.problems, 'inactive'],
        ...(words === undefined ? {} : { words: { ...words, problems: [...words.problems, 'inactive'] } }),
      });
    }
    for (const listing of missing) this.#put(listing);
    for (const gone of this.#unmapped.values()) {
      if (!seen.has(gone.ref.key)) this.#dropUnmapped(gone.ref.key);
    }
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
    // The item is known and nobody can tell which SKU it is: the same text is no better here.
    if (problem !== undefined && (line.sku === '' || line.sku === problem.found.sku))
      return { kind: 'unknown', reason: problem.reason };
    const text = this.settings.aliases.get(line.sku) ?? line.sku;
    const sku = parseSku(text);
    if (sku.kind === 'bad') return { kind: 'unknown', reason: sku.reason };
    if (!this.#bySku.has(sku.value)) {
      return { kind: 'unknown', reason: `sku ${JSON.stringify(text)} is not known` };
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
    const known = this.#byListing.get(found.ref.key as ListingId);
    const baselineAtMs =
      known?.baselineAtMs ??
      this.#untiedBaselines.get(found.ref.key) ??
      this.#lostBaselineAtMs ??
      found.readAtMs;
    const refused = (reason: string, candidates: readonly Sku[] = []): UnmappedListing => {
      return { ref: found.ref, reason, candidates, found, baselineAtMs };
    };
    if (listingId.kind === 'bad') return refused(listingId.reason);
    const { settings } = this;
    const mapped = (sku: Sku, by: MappedBy): MappedListing => ({
      listingId: listingId.value,
      ref: found.ref,
      ...(found.itemAliases === undefined ? {} : { itemAliases: found.itemAliases }),
      sku,
      locations: locationsAt(settings, found.ref.locationId).map((place) => place.location),
      problems: leftProblems(by, found.problems),
      by,
      words: { sku: found.sku, barcode: found.barcode, problems: found.problems },
      baselineAtMs,
    });
    const decided = this.#decided(found.ref.itemId);
    if (decided !== undefined) return mapped(decided, 'person');
    const alias = settings.aliases.get(found.sku);
    const sku = parseSku(alias ?? found.sku);
    const strange = sku.kind === 'bad' ? sku.reason : this.#strange(sku.value, alias !== undefined);
    if (sku.kind === 'ok' && strange === undefined)
      return mapped(sku.value, alias === undefined ? 'exact' : 'alias');
    const reason = strange ?? 'sku is missing';
    const gtin = gtinOf(found.barcode);
    if (gtin === undefined) return refused(reason);
    const candidates = this.#evidence.skusOf(gtin);
    const [only] = candidates;
    if (candidates.length > 1)
      return refused(`${reason}; its barcode ${gtin} is that of several`, candidates);
    // What one barcode told once counts while nobody contradicts it, also while its witness is not read yet.
    const isKept = known?.by === 'barcode' && gtinOf(known.words?.barcode) === gtin;
    const meant = only ?? (isKept ? known.sku : undefined);
    if (meant === undefined) return refused(`${reason}; no SKU is known by its barcode ${gtin}`);
    const rival = this.#rivalOf(found.ref.itemId, gtin, meant);
    return rival === undefined
      ? mapped(meant, 'barcode')
      : refused(`${reason}; its barcode ${gtin} is that of ${meant}, and so is the item ${rival}`, [meant]);
  }

  #strange(sku: Sku, isSaid: boolean): string | undefined {
    return isSaid ? undefined : this.#evidence.strangeTo(this.settings.id, sku);
  }

  /** Another item of this channel that could be the same SKU. */
  #rivalOf(itemId: string, gtin: string, sku: Sku): string | undefined {
    for (const other of this.#itemsByGtin.get(gtin) ?? []) if (other !== itemId) return other;
    return this.ofSku(sku).find(({ ref }) => ref.itemId !== itemId)?.ref.itemId;
  }

  /** Listings tied by a barcode to what a listing just read is, or whose barcode it has. */
  #tiedLike(found: PlatformListing): readonly MappedListing[] {
    const gtin = gtinOf(found.barcode);
    const items = gtin === undefined ? [] : [...(this.#itemsByGtin.get(gtin) ?? [])];
    const sku = this.#byListing.get(found.ref.key as ListingId)?.sku;
    const like = [
      ...(items.length > 1 ? items.flatMap((item) => this.ofItem(item)) : []),
      ...(sku === undefined ? [] : this.ofSku(sku)),
    ];
    return like.filter(({ by, ref }) => by === 'barcode' && ref.itemId !== found.ref.itemId);
  }

  #noteBarcode({ ref: { itemId }, barcode }: PlatformListing): void {
    const gtin = gtinOf(barcode);
    const before = this.#gtinOfItem.get(itemId);
    if (before === gtin) return;
    if (before !== undefined) {
      const items = this.#itemsByGtin.get(before);
      items?.delete(itemId);
      if (items?.size === 0) this.#itemsByGtin.delete(before);
      this.#gtinOfItem.delete(itemId);
    }
    if (gtin === undefined) return;
    this.#gtinOfItem.set(itemId, gtin);
    const items = this.#itemsByGtin.get(gtin);
    if (items === undefined) this.#itemsByGtin.set(gtin, new Set([itemId]));
    else items.add(itemId);
  }

  #put(listing: MappedListing): void {
    this.#forget(listing.listingId);
    this.#dropUnmapped(listing.ref.key);
    this.#untiedBaselines.delete(listing.ref.key);
    this.#byListing.set(listing.listingId, listing);
    for (const itemId of itemNames(listing)) inner(this.#byItem, itemId).set(listing.listingId, listing);
    inner(this.#bySku, listing.sku).set(listing.listingId, listing);
    const isWitness = listing.by !== 'barcode';
    const gtin = isWitness ? gtinOf(listing.words?.barcode) : undefined;
    this.#evidence.note(this.settings.id, listing.listingId, listing.sku, gtin);
  }

  #putUnmapped(listing: UnmappedListing): void {
    this.#forget(listing.ref.key as ListingId);
    this.#dropUnmapped(listing.ref.key);
    this.#unmapped.set(listing.ref.key, listing);
    this.#untiedBaselines.set(listing.ref.key, listing.baselineAtMs);
    for (const itemId of itemNames(listing.found)) this.#unmappedItems.set(itemId, listing);
  }

  #dropUnmapped(key: string): void {
    const old = this.#unmapped.get(key);
    if (old === undefined) return;
    this.#unmapped.delete(key);
    for (const itemId of itemNames(old.found)) {
      if (this.#unmappedItems.get(itemId)?.ref.key === key) this.#unmappedItems.delete(itemId);
    }
  }

  #forget(listingId: ListingId): void {
    const old = this.#byListing.get(listingId);
    if (old === undefined) return;
    this.#byListing.delete(listingId);
    for (const itemId of itemNames(old)) remove(this.#byItem, itemId, listingId);
    remove(this.#bySku, old.sku, listingId);
    this.#evidence.forget(this.settings.id, listingId);
  }

  #preferred(listings: readonly MappedListing[]): MappedListing | undefined {
    for (const place of this.settings.locations) {
      const found = listings.find((listing) => listing.ref.locationId === place.platformLocationId);
      if (found !== undefined) return found;
    }
    return listings.find((listing) => listing.locations.length > 0);
  }
}

/** As it was read, for judging it again; its number is not kept. */
function platformListingOf({ ref, itemAliases, words, baselineAtMs }: MappedListing): PlatformListing {
  return {
    ref,
    itemAliases,
    sku: words?.sku ?? '',
    barcode: words?.barcode ?? null,
    title: null,
    value: null,
    readAtMs: baselineAtMs,
    problems: words?.problems ?? [],
  };
}

function itemNames(listing: Pick<MappedListing, 'ref' | 'itemAliases'>): readonly string[] {
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
    a.by === b.by &&
    a.words?.sku === b.words?.sku &&
    a.words?.barcode === b.words?.barcode &&
    a.words?.problems.join() === b.words?.problems.join() &&
    a.problems.join() === b.problems.join()
  );
}
