import type { ChannelId, Sku } from '../domain/ids.ts';
import type { MappedBy, MappedListing, SkuMap, UnmappedListing } from './sku-map.ts';

/** One item of a channel and the SKU it is; over all its places. */
export interface MappingRow {
  readonly channel: ChannelId;
  readonly item: string;
  readonly platformSku: string;
  readonly barcode: string;
  /** Of items that are tied to nothing. */
  readonly title: string;
  /** Empty: nobody can tell. An ambiguous one whose orders count under a SKU has none here either. */
  readonly sku: Sku | '';
  readonly by: MappedBy | 'unmapped' | 'ambiguous';
  /** Why it is not mapped, or what a person might look at. */
  readonly reason: string;
  readonly candidates: readonly Sku[];
}

export type MappingShow = 'all' | 'open' | 'unmapped' | 'ambiguous';

/** Items of a channel in the order of their ids. `open`: whatever waits for the word of a person. */
export function mappingRows(map: SkuMap, show: MappingShow): readonly MappingRow[] {
  const rows = new Map<string, MappingRow>();
  const add = (row: MappingRow): void => {
    const isShown = show === 'all' || (show === 'open' ? isOpen(row) : row.by === show);
    if (isShown && !rows.has(row.item)) rows.set(row.item, row);
  };
  for (const unmapped of map.unmapped()) add(unmappedRow(map.settings.id, unmapped));
  for (const listing of map.listings()) add(mappedRow(map, listing));
  return [...rows.values()].toSorted((a, b) => (a.item < b.item ? -1 : 1));
}

export function mappingRow(map: SkuMap, item: string): MappingRow | undefined {
  for (const listing of map.ofItem(item)) if (listing.ref.itemId === item) return mappedRow(map, listing);
  const unmapped = map.unmappedItem(item);
  return unmapped?.ref.itemId === item ? unmappedRow(map.settings.id, unmapped) : undefined;
}

function isOpen({ by, candidates }: MappingRow): boolean {
  return by === 'unmapped' || by === 'ambiguous' || candidates.length > 0;
}

function unmappedRow(channel: ChannelId, { ref, reason, candidates, found }: UnmappedListing): MappingRow {
  return {
    channel,
    item: ref.itemId,
    platformSku: found.sku,
    barcode: found.barcode ?? '',
    title: found.title ?? '',
    sku: '',
    by: candidates.length > 0 ? 'ambiguous' : 'unmapped',
    reason,
    candidates,
  };
}

function mappedRow(map: SkuMap, listing: MappedListing): MappingRow {
  const { ref, words, sku, by = 'exact', problems } = listing;
  const isTwice = problems.includes('duplicate-sku');
  const twins = by === 'person' ? [] : map.sharesBarcodeWith(listing);
  return {
    channel: map.settings.id,
    item: ref.itemId,
    platformSku: words?.sku ?? '',
    barcode: words?.barcode ?? '',
    title: '',
    sku: isTwice ? '' : sku,
    by: isTwice ? 'ambiguous' : by,
    reason: isTwice
      ? `several items of the channel are ${sku}: its orders count, it is not written`
      : twins.length > 0
        ? 'its barcode is that of another SKU too'
        : '',
    candidates: isTwice ? [sku] : twins,
  };
}
