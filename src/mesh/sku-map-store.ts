import type { Redis } from 'ioredis';
import { z } from 'zod';
import { listingProblems } from '../connectors/connector.ts';
import type { ListingId, LocationId, Sku } from '../domain/ids.ts';
import { type MappedListing, mappedBy } from './sku-map.ts';

const problems = z.array(z.enum(listingProblems));

/**
 * `a` aliases, `i` item, `p` place, `s` sku, `l` our locations, `x` problems, `b` baseline, `y` what it was mapped by;
 * `w` the platform's own words: SKU, barcode, problems.
 */
const record = z.object({
  i: z.string(),
  p: z.string(),
  a: z.array(z.string()).optional(),
  s: z.string(),
  l: z.array(z.string()),
  x: problems,
  y: z.enum(mappedBy).optional(),
  w: z.tuple([z.string(), z.string().nullable(), problems]).optional(),
  b: z.number(),
});

const pageSize = 1_000;

/**
 * Keeps the listing map of a channel between runs, so that orders find their SKU from the first moment after a start.
 * The baseline of a listing is kept nowhere else: a second first reading would adopt orders that were never counted.
 */
export class SkuMapStore {
  readonly #redis: Redis;
  readonly #key: string;

  constructor(redis: Redis, key: string) {
    this.#redis = redis;
    this.#key = key;
  }

  async load(): Promise<readonly MappedListing[]> {
    const listings: MappedListing[] = [];
    let cursor = '0';
    do {
      const [next, pairs] = await this.#redis.hscan(this.#key, cursor, 'COUNT', pageSize);
      cursor = next;
      for (let at = 0; at + 1 < pairs.length; at += 2) {
        const listing = unpack(pairs[at] ?? '', pairs[at + 1] ?? '');
        if (listing !== undefined) listings.push(listing);
      }
    } while (cursor !== '0');
    return listings;
  }

  async save(listings: readonly MappedListing[]): Promise<void> {
    for (let start = 0; start < listings.length; start += pageSize) {
      const page = listings.slice(start, start + pageSize);
      await this.#redis.hset(this.#key, ...page.flatMap((listing) => [listing.listingId, pack(listing)]));
    }
  }
}

function pack(listing: MappedListing): string {
  const kept: z.input<typeof record> = {
    i: listing.ref.itemId,
    p: listing.ref.locationId,
    ...(listing.itemAliases === undefined ? {} : { a: [...listing.itemAliases] }),
    s: listing.sku,
    l: [...listing.locations],
    x: [...listing.problems],
    ...(listing.by === undefined ? {} : { y: listing.by }),
    ...(listing.words === undefined
      ? {}
      : { w: [listing.words.sku, listing.words.barcode, [...listing.words.problems]] }),
    b: listing.baselineAtMs,
  };
  return JSON.stringify(kept);
}

/** A record of another version is skipped: the next reading of the channel writes it anew. */
function unpack(key: string, text: string): MappedListing | undefined {
  const parsed = record.safeParse(JSON.parse(text));
  if (!parsed.success) return undefined;
  const { i, p, a, s, l, x, y, w, b } = parsed.data;
  return {
    listingId: key as ListingId,
    ref: { key, itemId: i, locationId: p },
    ...(a === undefined ? {} : { itemAliases: a }),
    sku: s as Sku,
    locations: l as LocationId[],
    problems: x,
    ...(y === undefined ? {} : { by: y }),
    ...(w === undefined ? {} : { words: { sku: w[0], barcode: w[1], problems: w[2] } }),
    baselineAtMs: b,
  };
}
