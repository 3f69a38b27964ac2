import { US } from '../keys.ts';
import type { HoldReplay, ReplayedHold } from '../replay/hold-replay.ts';
import { parseHold, type StoredHold } from '../state-dump.ts';
import { batchesOf, pagesOf, readPinned, type VerifyContext } from './pinned-read.ts';

const batch = 200;
/** Above this the records of ended holds are too many to be read as of one moment. */
const maxHoldsAtOnce = 20_000;
const readings = 4;

/** Every live hold, its deadline and the counters made of them. Returns the holds looked at. */
export async function verifyHolds(
  context: VerifyContext,
  holds: HoldReplay,
  maxAtOnce = maxHoldsAtOnce,
): Promise<number> {
  const { redis, keys } = context;
  const seen = new Set<string>();
  const look = async (ids: readonly string[]): Promise<void> => {
    const fresh = [...new Set(ids)].filter((id) => !seen.has(id));
    for (const id of fresh) seen.add(id);
    for (const some of batchesOf(fresh, batch)) {
      const [records, deadlines] = await readPinned(context, (read) => {
        read.hmget(keys.holds, ...some).zmscore(keys.due, ...some);
      });
      for (const [index, id] of some.entries()) {
        const record = (records as readonly (string | null)[])[index] ?? undefined;
        const deadline = (deadlines as readonly (string | null)[])[index] ?? undefined;
        compareHold(
          context,
          holds.live.get(id),
          id,
          record === undefined ? undefined : parseHold(id, record),
          deadline,
        );
      }
    }
  };
  for await (const page of pagesOf((cursor) => redis.zscan(keys.due, cursor, 'COUNT', batch)))
    await look(page.filter((_text, index) => index % 2 === 0));
  // A record that is held and has no deadline would be missed by the index: it has to be looked for.
  for await (const page of pagesOf((cursor) => redis.hscan(keys.holds, cursor, 'COUNT', batch)))
    await look(
      page.filter((_text, index) => index % 2 === 0 && page[index + 1]?.startsWith(`H${US}`) === true),
    );
  await look([...holds.live.keys()]);
  if (context.isPartial) return seen.size;
  await verifyPools(context, holds);
  await verifyAgents(context, maxAtOnce);
  return seen.size;
}

function compareHold(
  context: VerifyContext,
  said: ReplayedHold | undefined,
  id: string,
  kept: StoredHold | undefined,
  deadline: string | undefined,
): void {
  const isHeld = kept?.state === 'H';
  if (isHeld !== (deadline !== undefined)) {
    context.find('due-index', id, isHeld ? 'is held and has no deadline' : 'has a deadline but is not held');
  } else if (isHeld && Number(deadline) !== kept.deadlineMs) {
    context.find('due-index', id, `deadline ${kept.deadlineMs}, index says ${deadline}`);
  }
  if (said === undefined) {
    if (isHeld && !context.isPartial) context.find('hold-ends-once', id, 'is held, the log says it is not');
    return;
  }
  if (!isHeld) {
    context.find('hold-ends-once', id, 'is held by the log, its record is gone or ended');
    return;
  }
  if (said.deadlineMs !== kept.deadlineMs)
    context.find('projection', id, `deadline ${kept.deadlineMs}, the log says ${said.deadlineMs}`);
  if (unitsText(said.lines) !== unitsText(kept.lines))
    context.find('projection', id, 'the hold and its entries name different units');
}

function unitsText(lines: StoredHold['lines']): string {
  const units = new Map<string, number>();
  for (const line of lines) {
    const key = `${line.sku}${US}${line.location}`;
    units.set(key, (units.get(key) ?? 0) + line.units);
  }
  return JSON.stringify([...units].toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

async function verifyPools(context: VerifyContext, holds: HoldReplay): Promise<void> {
  const [fields] = await readPinned(context, (read) => read.hgetall(context.keys.pools));
  compareCounters(context, 'pool', fields as Readonly<Record<string, string>>, holds.pools);
}

/**
 * Agents also count what they bought, until its record is purged: that is told by the records, not by the log. Where
 * there are too many to be read at one moment, a difference counts when it stays the same over several readings.
 */
async function verifyAgents(context: VerifyContext, maxAtOnce: number): Promise<void> {
  const { redis, keys } = context;
  if ((await redis.hlen(keys.holds)) <= maxAtOnce) {
    const [fields, records] = await readPinned(context, (read) =>
      read.hgetall(keys.agents).hvals(keys.holds),
    );
    const sums = new Map<string, number>();
    for (const record of records as readonly string[]) addToAgent(sums, record);
    compareCounters(context, 'agent', fields as Readonly<Record<string, string>>, sums);
    return;
  }
  const suspects = await readAgents(context);
  for (let reading = 1; reading < readings && suspects.size > 0; reading += 1) {
    const again = await readAgents(context);
    for (const [key, [kept, said]] of suspects) {
      const [keptNow, saidNow] = again.get(key) ?? [0, 0];
      if (keptNow - saidNow === kept - said && kept !== said) suspects.set(key, [keptNow, saidNow]);
      else suspects.delete(key);
    }
  }
  for (const [key, [kept, said]] of suspects) tellCounter(context, 'agent', key, kept, said);
}

/** Counter and sum of every agent and SKU, not as of one moment. */
async function readAgents(
  context: VerifyContext,
): Promise<Map<string, readonly [kept: number, said: number]>> {
  const { redis, keys } = context;
  const records = new Map<string, string>();
  for await (const page of pagesOf((cursor) => redis.hscan(keys.holds, cursor, 'COUNT', batch))) {
    // A hold may be met twice.
    for (let at = 0; at < page.length; at += 2) records.set(page[at] ?? '', page[at + 1] ?? '');
  }
  const sums = new Map<string, number>();
  for (const record of records.values()) addToAgent(sums, record);
  const fields = await redis.hgetall(keys.agents);
  const all = new Set([...Object.keys(fields), ...sums.keys()]);
  return new Map([...all].map((key) => [key, [Number(fields[key] ?? 0), sums.get(key) ?? 0]]));
}

function addToAgent(sums: Map<string, number>, record: string): void {
  const { state, agent, lines } = parseHold('', record);
  if (agent === '' || (state !== 'H' && state !== 'C')) return;
  for (const { sku, units } of lines) {
    const key = `${agent}${US}${sku}`;
    sums.set(key, (sums.get(key) ?? 0) + units);
  }
}

function compareCounters(
  context: VerifyContext,
  name: string,
  fields: Readonly<Record<string, string>>,
  sums: ReadonlyMap<string, number>,
): void {
  for (const key of new Set([...Object.keys(fields), ...sums.keys()])) {
    const [kept, said] = [Number(fields[key] ?? 0), sums.get(key) ?? 0];
    if (kept !== said) tellCounter(context, name, key, kept, said);
  }
}

function tellCounter(context: VerifyContext, name: string, key: string, kept: number, said: number): void {
  context.find(
    'reserved-sum',
    `${name} ${key.replace(US, ' ')}`,
    `counter is ${kept}, its holds add up to ${said}`,
  );
}
