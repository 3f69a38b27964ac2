import type { ListingRef, ParkedRow, StockRead, StockRow } from '../connector.ts';
import type { PlatformClock } from '../platform-clock.ts';
import { isRecord, listOf } from '../raw-json.ts';
import { documents } from './documents.ts';
import type { ShopifyGraphql } from './graphql.ts';
import { gidOf, idOf } from './ids.ts';
import { type InactiveLevels, readLevel } from './levels.ts';
import { maxInputRows } from './options.ts';
import { PageSize, unreadable } from './pages.ts';

/** Reads levels by item and location. Each row carries the moment its question was sent, by Shopify's clock. */
export class StockReader {
  readonly #graphql: ShopifyGraphql;
  readonly #platformClock: PlatformClock;
  readonly #inactive: InactiveLevels;
  readonly #batch = new PageSize(maxInputRows);

  constructor(graphql: ShopifyGraphql, platformClock: PlatformClock, inactive: InactiveLevels) {
    this.#graphql = graphql;
    this.#platformClock = platformClock;
    this.#inactive = inactive;
  }

  async read(listings: readonly ListingRef[], signal: AbortSignal): Promise<StockRead> {
    const rows: StockRow[] = [];
    const missing: string[] = [];
    const parked: ParkedRow[] = [];
    // One location per request: the level's own id names the location only indirectly and is never parsed.
    for (const [locationId, wanted] of Map.groupBy(listings, (listing) => listing.locationId)) {
      for (let start = 0; start < wanted.length;) {
        let batch: readonly ListingRef[] = [];
        const variablesFor = (size: number) => {
          batch = wanted.slice(start, start + size);
          return {
            ids: [...new Set(batch.map((listing) => gidOf('InventoryItem', listing.itemId)))],
            locationId: gidOf('Location', locationId),
          };
        };
        const answer = await this.#batch.read(this.#graphql, documents.itemLevels, variablesFor, signal);
        start += batch.length;
        const items = itemsById(answer.data['nodes']);
        const readAtMs = this.#platformClock.at(answer.sentAtMs);
        for (const listing of batch)
          this.#row(listing, items.get(listing.itemId), readAtMs, { rows, missing, parked });
      }
    }
    return { rows, missing, parked };
  }

  #row(
    listing: ListingRef,
    item: Readonly<Record<string, unknown>> | undefined,
    readAtMs: number,
    found: { rows: StockRow[]; missing: string[]; parked: ParkedRow[] },
  ): void {
    const { key } = listing;
    const level = item?.['inventoryLevel'];
    // Null: the item is not stocked at the location. A missing row is no zero.
    if (item === undefined || level === null || level === undefined) {
      this.#inactive.note(key, false);
      found.missing.push(key);
      return;
    }
    const reading = readLevel(level);
    if (reading.kind === 'bad') {
      found.parked.push({ what: 'stock', reference: key, reason: reading.reason, content: '' });
      return;
    }
    // An untracked item has a level and a number, and sells without either.
    const isTracked = item['tracked'] !== false;
    this.#inactive.note(key, reading.isActive);
    const isActive = reading.isActive && isTracked;
    const reason = isTracked ? undefined : 'the platform does not track its stock';
    found.rows.push({ key, value: reading.available, readAtMs, isActive, reason });
  }
}

function itemsById(nodes: unknown): ReadonlyMap<string, Readonly<Record<string, unknown>>> {
  const list = listOf(nodes);
  if (list === undefined) throw unreadable(documents.itemLevels.name, 'nodes is no list');
  const items = new Map<string, Readonly<Record<string, unknown>>>();
  for (const node of list) {
    const id = isRecord(node) ? idOf(node['id']) : undefined;
    if (isRecord(node) && id !== undefined) items.set(id, node);
  }
  return items;
}
