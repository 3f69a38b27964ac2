import type { Connector, ParkedRow, ParsedDelivery, PlatformOrder } from '../../src/connectors/connector.ts';
import type { CountPage, PlatformCount } from '../../src/connectors/counts.ts';
import { type AppliedLine, mergeLine, nothingApplied } from '../../src/domain/merge.ts';

/** What walks and deliveries brought, as the ledger would keep it: orders merged line by line, counts by their moment. */
export class Seen {
  readonly parked: ParkedRow[] = [];
  /** Ids exactly as they were spelt. */
  readonly ids = new Set<string>();
  /** Order keys as they came on pages and in deliveries, repeats included. */
  readonly shown: string[] = [];
  cursor: string | null = null;
  upperBoundMs: number | undefined;
  readonly #lines = new Map<string, Map<string, AppliedLine>>();
  readonly #counts = new Map<string, PlatformCount>();

  /** Present state of every thing, comparable. */
  get states(): ReadonlyMap<string, string> {
    const states = new Map<string, string>();
    for (const [key, lines] of this.#lines) {
      const counters = [...lines].map(([lineId, { counters: values }]) => [lineId, values] as const);
      states.set(key, JSON.stringify(counters.toSorted(([a], [b]) => (a < b ? -1 : 1))));
    }
    for (const [key, { onHand }] of this.#counts) states.set(key, String(onHand));
    return states;
  }

  addOrder(order: PlatformOrder, source: 'fetch' | 'push', beganAtMs: number): void {
    this.shown.push(order.orderId);
    this.ids.add(order.orderId);
    const lines = this.#lines.get(order.orderId) ?? new Map<string, AppliedLine>();
    this.#lines.set(order.orderId, lines);
    for (const { lineId, counters } of order.lines) {
      this.ids.add(lineId);
      const merged = mergeLine(lines.get(lineId) ?? nothingApplied, { counters, source, beganAtMs });
      lines.set(lineId, merged.line);
    }
  }

  addCount(count: PlatformCount): void {
    const key = `${count.itemId}@${count.locationId}`;
    this.shown.push(key);
    for (const id of [count.itemId, count.locationId, count.sku]) this.ids.add(id);
    const known = this.#counts.get(key);
    if (known === undefined || known.asOfMs <= count.asOfMs) this.#counts.set(key, count);
  }
}

const never = new AbortController().signal;

export interface ReadOptions {
  readonly overlapMs?: number;
  readonly into?: Seen;
}

/** Everything that changed since the cursor, as the daemon reads it. */
export async function readAll(
  connector: Connector,
  cursor: string | null = null,
  options: ReadOptions = {},
): Promise<Seen> {
  const seen = options.into ?? new Seen();
  seen.cursor = cursor;
  if (connector.pollCounts !== undefined) await readCounts(connector, cursor, seen);
  else {
    await readOrders(connector, cursor, options.overlapMs ?? 60_000, seen);
    // Some walk by update and by creation in turns.
    if (cursor !== null) await readOrders(connector, seen.cursor, options.overlapMs ?? 60_000, seen);
  }
  return seen;
}

async function readOrders(
  connector: Connector,
  cursor: string | null,
  overlapMs: number,
  seen: Seen,
): Promise<void> {
  const sinceMs = Date.now() - 3_600_000;
  let isComplete = false;
  for await (const page of connector.pollOrders({ cursor, sinceMs, overlapMs, signal: never })) {
    for (const order of page.orders) seen.addOrder(order, 'fetch', performance.now());
    seen.parked.push(...page.parked);
    if (page.cursor !== null) seen.cursor = page.cursor;
    if (page.walk === undefined) continue;
    isComplete = true;
    seen.cursor = page.walk.cursor;
    seen.upperBoundMs = page.walk.upperBoundMs;
  }
  if (!isComplete) throw new Error('the walk was not completed');
}

async function readCounts(connector: Connector, cursor: string | null, seen: Seen): Promise<void> {
  const hints = new Set<string>();
  for await (const page of connector.pollCounts?.(cursor, never) ?? []) {
    await takeCounts(page, seen, hints);
    if (page.kind !== 'held' && page.cursor !== null) seen.cursor = page.cursor;
  }
  await fetchHinted(connector, hints, seen);
}

async function takeCounts(page: CountPage, seen: Seen, hints: Set<string>): Promise<void> {
  seen.parked.push(...page.parked);
  if (page.kind === 'held') throw new Error(`held: ${page.reason}`);
  for (const count of page.counts) seen.addCount(count);
  for (const hint of page.hints) hints.add(hint);
  await page.settled?.({ kind: 'applied' });
}

async function fetchHinted(connector: Connector, hints: ReadonlySet<string>, seen: Seen): Promise<void> {
  if (hints.size === 0 || connector.fetchCounts === undefined) return;
  await takeCounts(await connector.fetchCounts([...hints], never), seen, new Set());
}

/** One delivery, and what it only hints at. */
export async function takeDelivery(connector: Connector, parsed: ParsedDelivery, seen: Seen): Promise<void> {
  for (const order of parsed.orders) seen.addOrder(order, 'push', performance.now());
  for (const count of parsed.counts ?? []) seen.addCount(count);
  seen.parked.push(...parsed.parked);
  if (parsed.orderHints.length > 0) {
    const beganAtMs = performance.now();
    const fetched = await connector.fetchOrders(parsed.orderHints, never);
    for (const order of fetched.orders) seen.addOrder(order, 'fetch', beganAtMs);
    seen.parked.push(...fetched.parked);
  }
  if (connector.fetchCounts !== undefined) await fetchHinted(connector, new Set(parsed.levelHints), seen);
}
