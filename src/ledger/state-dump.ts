import type { Redis } from 'ioredis';
import type { Level } from '../domain/movement.ts';
import { GS, type LedgerKeys, RS, US } from './keys.ts';

/** Everything the scripts keep beside the log, read for checking. Not one moment: compare only while nothing writes. */
export interface LedgerState {
  readonly epoch: number;
  readonly seq: number;
  /** Lowest sequence still in the stream; entries before it are archived. */
  readonly first: number;
  readonly levels: ReadonlyMap<string, ReadonlyMap<string, Level>>;
  readonly versions: ReadonlyMap<string, number>;
  /** Units marked shipping, per `sku US location`. */
  readonly shipping: ReadonlyMap<string, number>;
  readonly holds: readonly StoredHold[];
  /** Deadline by hold id. */
  readonly due: ReadonlyMap<string, number>;
  readonly lines: readonly StoredLine[];
  readonly credits: readonly StoredCredit[];
  readonly listings: readonly StoredListing[];
  readonly pools: ReadonlyMap<string, number>;
  readonly agents: ReadonlyMap<string, number>;
}

export interface StoredHold {
  readonly holdId: string;
  readonly state: string;
  readonly deadlineMs: number;
  readonly agent: string;
  readonly pool: string;
  readonly lines: readonly { readonly sku: string; readonly location: string; readonly units: number }[];
}

export interface StoredLine {
  /** `<channel>:<order id>` */
  readonly order: string;
  readonly lineId: string;
  readonly sku: string;
  readonly listingId: string;
  readonly counters: readonly number[];
  readonly open: readonly { readonly location: string; readonly units: number }[];
}

export interface StoredCredit {
  readonly order: string;
  readonly sku: string;
  readonly open: readonly { readonly location: string; readonly units: number }[];
}

export interface StoredListing {
  readonly channel: string;
  readonly listingId: string;
  readonly sku: string;
  readonly taken: number;
  readonly provisional: number;
  readonly provisionalAt: string;
}

const batch = 500;

export async function dumpState(redis: Redis, keys: LedgerKeys): Promise<LedgerState> {
  const ledger = await redis.hgetall(keys.ledger);
  const levels = new Map<string, Map<string, Level>>();
  const versions = new Map<string, number>();
  const shipping = new Map<string, number>();
  for await (const [sku, fields] of hashesOf(redis, keys.skus, `${keys.prefix}sku:`)) {
    versions.set(sku, Number(fields['v'] ?? 0));
    levels.set(sku, levelsOf(fields));
    for (const [name, text] of Object.entries(fields)) {
      if (name.startsWith('g:') && text !== '') shipping.set(`${sku}${US}${name.slice(2)}`, sumOfMarks(text));
    }
  }
  const { lines, credits } = await dumpOrders(redis, keys);
  return {
    epoch: Number(ledger['epoch'] ?? 0),
    seq: Number(ledger['seq'] ?? 0),
    first: Number(ledger['first'] ?? 1),
    levels,
    versions,
    shipping,
    holds: Object.entries(await redis.hgetall(keys.holds)).map(([id, record]) => parseHold(id, record)),
    due: pairsOf(await redis.zrange(keys.due, '0', '-1', 'WITHSCORES')),
    lines,
    credits,
    listings: await dumpListings(redis, keys),
    pools: numbersOf(await redis.hgetall(keys.pools)),
    agents: numbersOf(await redis.hgetall(keys.agents)),
  };
}

export function levelsOf(fields: Readonly<Record<string, string>>): Map<string, Level> {
  const found = new Map<string, { onHand: number; committed: number; reserved: number }>();
  const names = { o: 'onHand', c: 'committed', r: 'reserved' } as const;
  for (const [field, text] of Object.entries(fields)) {
    const name = names[field.slice(0, 1) as keyof typeof names];
    if (name === undefined || field[1] !== ':') continue;
    const location = field.slice(2);
    const level = found.get(location) ?? { onHand: 0, committed: 0, reserved: 0 };
    level[name] = Number(text);
    found.set(location, level);
  }
  return found;
}

/** `at:units,at:units` */
export function sumOfMarks(text: string): number {
  return text.split(',').reduce((sum, mark) => sum + Number(mark.split(':')[1] ?? 0), 0);
}

export function parseHold(holdId: string, record: string): StoredHold {
  const fields = record.split(US);
  const lines = (fields[14] ?? '').split(RS).filter((line) => line !== '');
  return {
    holdId,
    state: fields[0] ?? '',
    deadlineMs: Number(fields[1]),
    agent: fields[5] ?? '',
    pool: fields[6] ?? '',
    lines: lines.map((line) => {
      const [sku = '', location = '', units = ''] = line.split(GS);
      return { sku, location, units: Number(units) };
    }),
  };
}

async function dumpOrders(
  redis: Redis,
  keys: LedgerKeys,
): Promise<{ lines: StoredLine[]; credits: StoredCredit[] }> {
  const lines: StoredLine[] = [];
  const credits: StoredCredit[] = [];
  const orders = await redis.zrange(keys.orders, '0', '-1');
  for (let from = 0; from < orders.length; from += batch) {
    const part = orders.slice(from, from + batch);
    const hashes = await Promise.all(part.map((order) => redis.hgetall(`${keys.prefix}order:${order}`)));
    hashes.forEach((fields, index) => {
      const order = part[index] ?? '';
      for (const [field, record] of Object.entries(fields)) {
        if (field.startsWith('l:')) lines.push(parseLine(order, field.slice(2), record));
        if (field.startsWith('k:')) credits.push(parseCredit(order, field.slice(2), record));
      }
    });
  }
  return { lines, credits };
}

export function parseCredit(order: string, sku: string, record: string): StoredCredit {
  const open = (record.split(US)[1] ?? '').split(',').filter((place) => place !== '');
  return { order, sku, open: open.map((place) => placeOf(place)) };
}

/** `location:units[:…]`; locations hold no colon. */
function placeOf(text: string): { readonly location: string; readonly units: number } {
  const [location = '', units = ''] = text.split(':');
  return { location, units: Number(units) };
}

export function parseLine(order: string, lineId: string, record: string): StoredLine {
  const [sku = '', listingId = '', counters = '', , places = ''] = record.split(US);
  return {
    order,
    lineId,
    sku,
    listingId,
    counters: counters.split(',').map(Number),
    open: places
      .split(',')
      .filter((place) => place !== '')
      .map((place) => placeOf(place)),
  };
}

async function dumpListings(redis: Redis, keys: LedgerKeys): Promise<StoredListing[]> {
  const listings: StoredListing[] = [];
  // Channels are not enumerated anywhere else: their listing sets are found by name (checking only, never on a hot path).
  const sets = await scanKeys(redis, `${keys.prefix}listings:*`);
  for (const set of sets) {
    const channel = set.slice(`${keys.prefix}listings:`.length);
    for await (const [listingId, fields] of hashesOf(redis, set, `${keys.prefix}listing:${channel}:`)) {
      listings.push({
        channel,
        listingId,
        sku: fields['sku'] ?? '',
        taken: Number(fields['t'] ?? 0),
        provisional: Number(fields['pv'] ?? 0),
        provisionalAt: fields['pl'] ?? '',
      });
    }
  }
  return listings;
}

async function* hashesOf(
  redis: Redis,
  set: string,
  prefix: string,
): AsyncGenerator<[string, Record<string, string>]> {
  const members = await redis.smembers(set);
  for (let from = 0; from < members.length; from += batch) {
    const part = members.slice(from, from + batch);
    const hashes = await Promise.all(part.map((member) => redis.hgetall(`${prefix}${member}`)));
    for (const [index, fields] of hashes.entries()) yield [part[index] ?? '', fields];
  }
}

export async function scanKeys(redis: Redis, pattern: string): Promise<readonly string[]> {
  const found = new Set<string>();
  // The hash tag's braces are literal in a glob; the merchant id holds no glob character.
  let cursor = '0';
  do {
    const [next, page] = await redis.scan(cursor, 'MATCH', pattern, 'COUNT', 1_000);
    for (const key of page) found.add(key);
    cursor = next;
  } while (cursor !== '0');
  return [...found];
}

function numbersOf(fields: Readonly<Record<string, string>>): Map<string, number> {
  return new Map(Object.entries(fields).map(([name, text]) => [name, Number(text)]));
}

function pairsOf(flat: readonly string[]): Map<string, number> {
  const pairs = new Map<string, number>();
  for (let i = 0; i < flat.length; i += 2) pairs.set(flat[i] ?? '', Number(flat[i + 1]));
  return pairs;
}
