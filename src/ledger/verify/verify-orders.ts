import { type CounterName, counterNames } from '../../domain/order.ts';
import { counterList, hasOpenUnits, type OrderReplay, type ReplayedOrder } from '../replay/order-replay.ts';
import { parseCredit, parseLine, type StoredLine } from '../state-dump.ts';
import { batchesOf, pagesOf, readPinned, type VerifyContext } from './pinned-read.ts';

const batch = 100;

/** Every order of the part that `wants` names against the log. Returns the orders looked at. */
export async function verifyOrders(
  context: VerifyContext,
  orders: OrderReplay,
  wants: (order: string) => boolean,
): Promise<number> {
  const { redis, keys } = context;
  let looked = 0;
  const look = async (some: readonly string[]): Promise<void> => {
    looked += some.length;
    const hashes = await readPinned(context, (read) => {
      for (const order of some) read.hgetall(`${keys.prefix}order:${order}`);
    });
    for (const [index, order] of some.entries()) {
      compareOrder(context, order, hashes[index] as Record<string, string>, orders.orders.get(order));
    }
  };
  const seen = new Set<string>();
  for await (const page of pagesOf((cursor) => redis.zscan(keys.orders, cursor, 'COUNT', 500))) {
    const fresh = page.filter((order, index) => index % 2 === 0 && wants(order) && !seen.has(order));
    for (const order of fresh) seen.add(order);
    for (const some of batchesOf(fresh, batch)) await look(some);
  }
  const lost = [...orders.orders].filter(([order, record]) => !seen.has(order) && hasOpenUnits(record));
  for (const some of batchesOf(lost, batch)) await look(some.map(([order]) => order));
  return looked;
}

function compareOrder(
  context: VerifyContext,
  order: string,
  fields: Readonly<Record<string, string>>,
  said: ReplayedOrder | undefined,
): void {
  const lines = new Map<string, StoredLine>();
  const credits = new Map<string, StoredLine['open']>();
  for (const [field, record] of Object.entries(fields)) {
    if (field.startsWith('l:')) lines.set(field.slice(2), parseLine(order, field.slice(2), record));
    if (field.startsWith('k:')) credits.set(field.slice(2), parseCredit(order, '', record).open);
  }
  // Retention drops whole orders, but only when they promise nothing any more.
  if (lines.size === 0 && credits.size === 0) {
    if (said !== undefined && hasOpenUnits(said))
      context.find('counters', order, 'promises units by the log, its record is gone');
    return;
  }
  for (const lineId of new Set([...lines.keys(), ...(said?.lines.keys() ?? [])])) {
    const kept = lines.get(lineId);
    const told = said?.lines.get(lineId);
    const at = `${order} line ${lineId}`;
    const counters = told === undefined ? counterNames.map(() => 0) : counterList(told.counters);
    compareCounters(context, at, kept?.counters ?? counterNames.map(() => 0), counters);
    if (kept !== undefined && told !== undefined && kept.sku !== told.sku)
      context.find('counters', at, `is of ${kept.sku}, the log says ${told.sku}`);
    const open = (told?.places ?? []).map(({ location, open: units }) => ({ location, units }));
    compareOpen(context, 'counters', at, kept?.open ?? [], open);
  }
  for (const sku of new Set([...credits.keys(), ...(said?.credits.keys() ?? [])])) {
    const told = [...(said?.credits.get(sku as never)?.open ?? [])];
    const open = told.map(([location, units]) => ({ location, units }));
    compareOpen(context, 'committed-sum', `${order} credit of ${sku}`, credits.get(sku) ?? [], open);
  }
}

function compareCounters(
  context: VerifyContext,
  at: string,
  kept: readonly number[],
  said: readonly number[],
): void {
  for (const [index, name] of counterNames.entries()) {
    const [a, b] = [kept[index] ?? 0, said[index] ?? 0];
    if (a !== b) context.find('counters', at, `${name satisfies CounterName} is ${a}, the log says ${b}`);
  }
}

function compareOpen(
  context: VerifyContext,
  invariant: 'counters' | 'committed-sum',
  at: string,
  kept: StoredLine['open'],
  said: StoredLine['open'],
): void {
  const text = (places: StoredLine['open']): string =>
    places
      .filter(({ units }) => units !== 0)
      .map(({ location, units }) => `${units} at ${location}`)
      .toSorted()
      .join(', ');
  if (text(kept) !== text(said))
    context.find(invariant, at, `open: ${text(kept) || 'nothing'}, the log says ${text(said) || 'nothing'}`);
}
