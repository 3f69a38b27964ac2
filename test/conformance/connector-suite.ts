// Long on purpose: every row of the suite, one below the other, is what a new connector is held against.
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type {
  Connector,
  PlatformListing,
  RowOutcome,
  WriteBatch,
  WriteResult,
} from '../../src/connectors/connector.ts';
import { StockmeshError } from '../../src/domain/errors.ts';
import { eventually } from '../support/eventually.ts';
import type { Delivery, PlatformUnderTest, Row, Shelf, StartOptions, Thing, World } from './platform.ts';
import { readAll, Seen, takeDelivery } from './seen.ts';

const never = new AbortController().signal;
/** Garbage that any sender may post. */
const garbage = [
  '',
  '{',
  'null',
  '[]',
  '"text"',
  '{}',
  '{"data":null}',
  '{"id":1e400}',
  '[[[[[[]]]]]]',
  '{"a":"\\ud800"}',
];

type Run = (world: World) => Promise<void>;
const rows: Readonly<Record<Row, readonly [string, Run, StartOptions?]>> = {
  duplicates: ['the same page, delivery or write twice is the same as once', duplicates],
  reordering: ['deliveries in any order, some twice, end where the platform is', reordering],
  loss: ['a poll finds what no push told', loss],
  'ambiguous write': [
    'a write without an answer is unknown, never confirmed, and ends right',
    ambiguousWrite,
    { requestTimeoutMs: 3_000 },
  ],
  throttling: ['a refusal is waited out, not hammered against', throttling, { slowRefill: true }],
  'token expiry mid-batch': ['one renewal, and the batch goes on', tokenExpiry, { smallPages: true }],
  'cursor regress': [
    'a late index, an older cursor or a wrong clock skip nothing',
    cursorRegress,
    { indexLagMs: 1_000 },
  ],
  'page shift': ['rows that move between two pages are not lost', pageShift, { smallPages: true }],
  'partial failure': ['every row has an outcome of its own', partialFailure],
  'poison row': ['what cannot be read is parked with its reason, the others flow', poisonRow],
  'huge ids': ['ids beyond 2^53 keep every digit', hugeIds],
  'base URL override': ['nothing leaves the configured address, redirects included', baseUrlOverride],
  'revoked access': ['one clear line says what the merchant must do', revokedAccess],
  'hung connection': ['no request outlives its time-out', hungConnection, { requestTimeoutMs: 1_500 }],
};

/** Holds a connector against everything that platforms and networks do, over real HTTP to the platform's emulator. */
export function describeConformance(platform: PlatformUnderTest): void {
  describe(platform.name, () => {
    let world: World;
    for (const [row, [promise, run, options]] of Object.entries(rows) as [Row, (typeof rows)[Row]][]) {
      const reason = platform.skipped?.[row];
      if (reason !== undefined) {
        test.skip(`${row}: cannot apply, ${reason}`, () => undefined);
        continue;
      }
      describe(row, () => {
        beforeEach(async () => {
          world = await platform.start(options);
        });
        afterEach(() => world.stop());
        test(promise, async () => {
          await run(world);
          expect(world.violations(), 'what the platform calls wrong').toEqual([]);
        });
      });
    }
  });
}

async function duplicates(world: World): Promise<void> {
  const { connector } = world;
  const [thing] = [world.happen(), world.happen()];
  if (thing !== undefined) world.change(thing);
  await settled(world);
  const first = await readAll(connector);
  const again = await readAll(connector);
  expect(first.states.size).toBeGreaterThanOrEqual(2);
  expect(again.states).toEqual(first.states);
  // Applied on top of itself it changes nothing.
  expect((await readAll(connector, null, { into: again })).states).toEqual(first.states);
  const deliveries = await world.deliveriesOf?.(() => world.change(world.happen()));
  for (const { raw, headers } of deliveries ?? []) {
    expect(connector.verifyWebhook(raw, headers)).toMatchObject({ kind: 'genuine' });
    expect(connector.verifyWebhook(raw, headers)).toEqual(connector.verifyWebhook(raw, headers));
    expect(connector.parseWebhook(raw, headers)).toEqual(connector.parseWebhook(raw, headers));
  }
  if (deliveries !== undefined) expect(deliveries.length).toBeGreaterThan(0);
  if (world.shelf === undefined) return;
  const [sku] = world.shelf.skus;
  const before = world.shelf.shown(sku);
  const batch = await batchOf(world, [[sku, before - 3]]);
  for (let time = 0; time < 2; time++)
    expect(isTaken((await connector.write(batch, never)).rows[0])).toBe(true);
  expect(await shownSoon(world.shelf, sku, before - 3)).toBe(before - 3);
}

async function reordering(world: World): Promise<void> {
  const { connector } = world;
  const things = [world.happen(), world.happen()];
  const deliveries = await pushed(world, () => {
    things.push(world.happen());
    for (const thing of things) world.change(thing);
    for (const thing of things) world.change(thing);
  });
  await settled(world);
  const truth = await readAll(connector);
  const seen = new Seen();
  // The newest first, and at last two that were told long ago, once more.
  for (const late of [deliveries.toReversed(), deliveries.slice(0, 1), deliveries.slice(1, 2)]) {
    for (const { raw, headers } of late) {
      await takeDelivery(connector, connector.parseWebhook(raw, headers), seen);
    }
    for (const { key } of things) expect(seen.states.get(key), key).toBe(truth.states.get(key));
  }
  expect(seen.parked).toEqual([]);
}

async function loss(world: World): Promise<void> {
  const early = [world.happen(), world.happen()];
  await settled(world);
  const first = await readAll(world.connector);
  for (const { key } of early) expect([...first.states.keys()]).toContain(key);
  const late = [world.happen(), world.happen()];
  for (const thing of [...early.slice(0, 1), ...late]) world.change(thing);
  await settled(world);
  const next = await readAll(world.connector, first.cursor);
  const truth = await readAll(world.connector);
  for (const { key } of [...early.slice(0, 1), ...late]) {
    expect(next.states.get(key), key).toBe(truth.states.get(key));
  }
  expect(next.states.get(early[0]?.key ?? '')).not.toBe(first.states.get(early[0]?.key ?? ''));
}

async function ambiguousWrite(world: World): Promise<void> {
  const { connector, proxy } = world;
  const shelf = shelfOf(world);
  const [sku] = shelf.skus;
  for (const kind of ['lose-reply', 'hang-after'] as const) {
    const before = shelf.shown(sku);
    const batch = await batchOf(world, [[sku, before - 2]]);
    proxy.strike({ kind, on: (request) => world.isWrite(request) });
    const lost = await connector.write(batch, never);
    proxy.calm();
    expect(lost.rows, kind).toMatchObject([{ kind: 'unknown', reason: expect.stringMatching(/./) }]);
    // It was applied, and nobody was told.
    expect(await shownSoon(shelf, sku, before - 2)).toBe(before - 2);
    if (connector.capabilities.idempotencyKey) {
      expect((await connector.write(batch, never)).rows).toEqual([{ kind: 'confirmed' }]);
    } else {
      const read = await connector.readStock(
        batch.rows.map(({ ref }) => ref),
        never,
      );
      expect(read.rows).toMatchObject([{ value: before - 2 }]);
      expect(isTaken((await connector.write(batch, never)).rows[0])).toBe(true);
    }
    expect(await shownSoon(shelf, sku, before - 2)).toBe(before - 2);
  }
  // It never arrived: that cannot be told from the above, and must not be called done.
  const before = shelf.shown(sku);
  const batch = await batchOf(world, [[sku, before - 1]]);
  proxy.strike({ kind: 'reset', on: (request) => world.isWrite(request) });
  const outcome = await connector.write(batch, never).catch((error: unknown) => error);
  if (outcome instanceof StockmeshError) expect(outcome.code).toBe('CONNECTOR_UNREACHABLE');
  else expect((outcome as WriteResult).rows).toMatchObject([{ kind: 'unknown' }]);
  expect(shelf.shown(sku)).toBe(before);
}

async function throttling(world: World): Promise<void> {
  const { connector, proxy, shelf } = world;
  const thing = world.happen();
  await connector.checkAccess(never);
  await settled(world);
  const sku = shelf?.skus[0];
  const before = shelf?.shown(sku ?? '') ?? 0;
  const batch = sku === undefined ? undefined : await batchOf(world, [[sku, before - 1]]);
  const spend = async (): Promise<'done' | 'refused'> => {
    try {
      if (batch === undefined) {
        expect([...(await readAll(connector)).states.keys()]).toContain(thing.key);
        return 'done';
      }
      const result = await connector.write(batch, never);
      if (isTaken(result.rows[0])) return 'done';
      expect(result.throttledForMs).toBeGreaterThan(0);
      expect(result.rows).toEqual([{ kind: 'not-applied' }]);
      return 'refused';
    } catch (error) {
      if (!(error instanceof StockmeshError)) throw error;
      expect(['CONNECTOR_THROTTLED', 'CONNECTOR_LIMIT_WAIT']).toContain(error.code);
      return 'refused';
    }
  };
  const throttled = (): number => proxy.answers.filter((answer) => world.isThrottled(answer)).length;
  const refused = async (): Promise<number> => {
    world.exhaust();
    await spend();
    return throttled();
  };
  // A pause of this process may refill the limit before the call that should find it used up: then once more.
  await expect.poll(refused, { message: 'refusals of a limit that is used up' }).toBeGreaterThan(0);
  for (let call = 1; call < 5; call++) await spend();
  expect(throttled(), 'refusals that five calls ran into').toBeLessThanOrEqual(2);
  await expect.poll(spend, { interval: 150 }).toBe('done');
  expect(throttled()).toBeLessThanOrEqual(4);
  if (shelf !== undefined && sku !== undefined) {
    expect(await shownSoon(shelf, sku, before - 1)).toBe(before - 1);
  }
}

async function tokenExpiry(world: World): Promise<void> {
  const { connector, proxy, shelf } = world;
  const things = Array.from({ length: world.thingsOverPages }, () => world.happen());
  await connector.checkAccess(never);
  await settled(world);
  let renewed = world.renewals();
  let isExpired = false;
  const happens = (): void => {
    isExpired = true;
    world.expireTokens();
  };
  proxy.strike({ kind: 'meanwhile', happens, on: (request) => world.isPage(request) });
  const seen = await readAll(connector);
  expect(isExpired).toBe(true);
  for (const { key } of things) expect(seen.states.has(key), key).toBe(true);
  expect(world.renewals() - renewed, 'renewals of one walk').toBe(1);
  renewed = world.renewals();
  world.expireTokens();
  await Promise.all(Array.from({ length: 4 }, () => connector.checkAccess(never)));
  expect(world.renewals() - renewed, 'renewals of four callers at once').toBe(1);
  if (shelf === undefined) return;
  const [sku] = shelf.skus;
  const batch = await batchOf(world, [[sku, shelf.shown(sku) - 1]]);
  renewed = world.renewals();
  world.expireTokens();
  expect(isTaken((await connector.write(batch, never)).rows[0])).toBe(true);
  expect(world.renewals() - renewed, 'renewals of a write').toBe(1);
}

async function cursorRegress(world: World): Promise<void> {
  const { connector } = world;
  world.happen();
  const first = await readAll(connector);
  const cursors = [first.cursor];
  const found = new Set<string>();
  const things: (Thing & { readonly atMs: number })[] = [];
  const happen = (): void => {
    const atMs = Date.now();
    things.push({ ...world.happen(), atMs });
  };
  const readOn = async (): Promise<boolean> => {
    const { shown, cursor, upperBoundMs } = await readAll(connector, cursors.at(-1) ?? null);
    for (const key of shown) found.add(key);
    cursors.push(cursor);
    const missing = things.filter(({ key }) => !found.has(key));
    // A walk claims nothing that it did not show, and nothing that lies ahead of the platform, whatever our clock says.
    for (const { atMs } of missing) expect(upperBoundMs ?? 0).toBeLessThanOrEqual(atMs);
    expect(upperBoundMs ?? 0).toBeLessThanOrEqual(Date.now());
    return missing.length === 0;
  };
  const soon = { timeout: 20_000, interval: 300 };
  // Two that the search shows late, the older one later than the younger one.
  world.setIndexLag?.(700);
  happen();
  world.setIndexLag?.(0);
  happen();
  await expect.poll(readOn, soon).toBe(true);
  // The clock of this machine is an hour wrong, either way, and right again.
  for (const stepMs of [3_600_000, -7_200_000, 3_600_000]) {
    world.advance(stepMs);
    happen();
    await expect.poll(readOn, { ...soon, message: `after a step of ${stepMs} ms` }).toBe(true);
  }
  // The cursor that was made while the clocks disagreed leads on without a detour.
  happen();
  await delay((world.settleMs ?? 0) + 1_200);
  expect(await readOn()).toBe(true);
  // Redis came back with an older cursor: everything since is found again.
  await settled(world);
  const again = await readAll(connector, cursors[0] ?? null);
  for (const { key } of things) expect(again.states.has(key), key).toBe(true);
}

async function pageShift(world: World): Promise<void> {
  const { connector, proxy } = world;
  const things = Array.from({ length: world.thingsOverPages }, () => world.happen());
  await settled(world);
  const moved = [things[0], things[1], things.at(-1)].filter((thing) => thing !== undefined);
  let inserted: Thing | undefined;
  const happens = (): void => {
    // What was on the first page goes behind everything else: the rows between move up.
    for (const thing of moved) world.change(thing);
    inserted = world.happen();
  };
  proxy.strike({ kind: 'meanwhile', happens, on: (request) => world.isPage(request) });
  const seen = await readAll(connector);
  // One that changed before its page was read may be left to the next walk; one that stood still may not.
  const still = things.filter((thing) => !moved.includes(thing));
  for (const { key } of still) expect(seen.states.has(key), key).toBe(true);
  await settled(world);
  const next = await readAll(connector, seen.cursor, { into: seen });
  const truth = await readAll(connector);
  if (inserted === undefined) throw new Error('nothing happened between the pages');
  for (const { key } of [...moved, inserted]) expect(next.states.get(key), key).toBe(truth.states.get(key));
}

async function partialFailure(world: World): Promise<void> {
  const { connector } = world;
  const shelf = shelfOf(world);
  const [good, bad] = shelf.skus;
  const before = { good: shelf.shown(good), bad: shelf.shown(bad) };
  const goals = [
    [bad, before.bad - 1],
    [good, before.good - 1],
  ] as const;
  const whole = await batchOf(world, goals);
  shelf.breakSku(bad);
  const brokenAt = shelf.shown(bad);
  const size = connector.capabilities.lowerBatchSize;
  const outcomes: RowOutcome[] = [];
  for (let start = 0; start < whole.rows.length; start += size) {
    const part = whole.rows.slice(start, start + size);
    const result = await connector.write({ ...whole, key: keyOf(start), rows: part }, never);
    expect(result.rows).toHaveLength(part.length);
    outcomes.push(...result.rows);
  }
  const [ofBad, ofGood] = outcomes;
  expect(ofBad).toMatchObject({ kind: 'rejected', reason: expect.stringMatching(/\S/) });
  if (!isTaken(ofGood)) {
    // All or nothing: then it is told, and the row goes by itself.
    expect(ofGood).toEqual({ kind: 'not-applied' });
    expect(shelf.shown(good)).toBe(before.good);
    const alone = await connector.write({ ...whole, key: keyOf(9), rows: whole.rows.slice(1) }, never);
    expect(isTaken(alone.rows[0])).toBe(true);
  }
  expect(await shownSoon(shelf, good, before.good - 1)).toBe(before.good - 1);
  expect(shelf.shown(bad)).toBe(brokenAt);
}

async function poisonRow(world: World): Promise<void> {
  const { connector, proxy } = world;
  const things = [world.happen(), world.happen(), world.happen()];
  const [, poisoned] = things;
  if (poisoned === undefined) throw new Error('nothing to poison');
  await settled(world);
  let times = 0;
  const body = (page: string): string => {
    const spoilt = world.poison(page, poisoned);
    if (spoilt !== page) times++;
    return spoilt;
  };
  proxy.strike({
    kind: 'rewrite',
    body,
    times: Number.POSITIVE_INFINITY,
    on: (request) => world.isPage(request),
  });
  const seen = await readAll(connector);
  expect(times, 'pages that were spoilt').toBeGreaterThan(0);
  for (const { key } of things) if (key !== poisoned.key) expect(seen.states.has(key), key).toBe(true);
  expect(seen.parked.length).toBeGreaterThan(0);
  for (const { reason, reference } of seen.parked) {
    expect(reason).toMatch(/\S/);
    expect(reference).toMatch(/\S/);
  }
  proxy.calm();
  const healed = await readAll(connector);
  expect(healed.states.has(poisoned.key)).toBe(true);
  expect(healed.parked).toEqual([]);
  for (const text of garbage) {
    const parsed = connector.parseWebhook(Buffer.from(text), { 'content-type': 'application/json' });
    expect([parsed.orders, parsed.orderHints, parsed.counts ?? [], parsed.movements ?? []], text).toEqual([
      [],
      [],
      [],
      [],
    ]);
  }
}

async function hugeIds(world: World): Promise<void> {
  const { connector, proxy } = world;
  const thing = world.happen();
  const isHuge = (id: string): boolean => /^\d+$/.test(id) && !Number.isSafeInteger(Number(id));
  let { ids } = thing;
  if (!ids.some(isHuge)) {
    // The emulator's ids are short: one is made long on its way.
    const short = ids.filter((id) => /^\d{5,}$/.test(id)).at(-1);
    if (short === undefined) throw new Error('the thing has no number for an id');
    const long = '90071992547409931234';
    ids = ids.map((id) => (id === short ? long : id));
    const body = (page: string): string => page.replaceAll(short, long);
    proxy.strike({
      kind: 'rewrite',
      body,
      times: Number.POSITIVE_INFINITY,
      on: (request) => world.isPage(request),
    });
  }
  await settled(world);
  const seen = await readAll(connector);
  expect(ids.some(isHuge)).toBe(true);
  for (const id of ids) expect([...seen.ids], id).toContain(id);
  proxy.calm();
  let pushedThing: Thing | undefined;
  const deliveries = await world.deliveriesOf?.(() => {
    pushedThing = world.happen();
    world.change(pushedThing);
  });
  if (deliveries === undefined || pushedThing === undefined) return;
  const told = new Seen();
  for (const { raw, headers } of deliveries) {
    await takeDelivery(connector, connector.parseWebhook(raw, headers), told);
  }
  for (const id of pushedThing.ids) expect([...told.ids], id).toContain(id);
}

async function baseUrlOverride(world: World): Promise<void> {
  const { connector, proxy } = world;
  const thing = world.happen();
  const hosts = new Set<string>();
  const note = (message: unknown): void => {
    const { request } = message as { request: { host?: string; origin?: string } };
    hosts.add(request.host ?? new URL(request.origin ?? '').hostname);
  };
  const channels = ['http.client.request.start', 'undici:request:create'];
  for (const channel of channels) subscribe(channel, note);
  let redirected = 0;
  const elsewhere = createServer((_request, response) => {
    redirected++;
    response.end('{}');
  });
  elsewhere.listen(0, 'localhost');
  await once(elsewhere, 'listening');
  try {
    const before = proxy.answers.length;
    world.expireTokens();
    await everything(world, thing);
    expect(proxy.answers.length - before).toBeGreaterThan(3);
    expect([...hosts]).toEqual(['127.0.0.1']);
    const to = `http://localhost:${(elsewhere.address() as AddressInfo).port}`;
    proxy.strike({ kind: 'redirect', to, times: Number.POSITIVE_INFINITY });
    world.expireTokens();
    await Promise.all([
      connector.checkAccess(never).catch(() => undefined),
      readAll(connector).catch(() => undefined),
      writeOne(world).catch(() => undefined),
    ]);
    expect(redirected, 'requests that followed a redirect').toBe(0);
  } finally {
    for (const channel of channels) unsubscribe(channel, note);
    elsewhere.closeAllConnections();
    elsewhere.close();
  }
}

async function revokedAccess(world: World): Promise<void> {
  const { connector, shelf } = world;
  world.happen();
  const batch = shelf === undefined ? undefined : await batchOf(world, [[shelf.skus[0], 1]]);
  expect(await connector.checkAccess(never)).toMatchObject({ kind: 'ok' });
  world.revoke();
  const report = await connector.checkAccess(never);
  if (report.kind === 'ok') throw new Error('nothing is wrong with the access');
  for (const line of [report.reason, report.remedy]) expect(line).toMatch(/^\S[^\n\r]{3,299}$/);
  // Words for the merchant, not a status alone.
  expect(report.remedy.split(' ').length).toBeGreaterThan(3);
  const error = await failureOf(readAll(connector));
  expect(error).toMatchObject({
    code: 'CONNECTOR_ACCESS_DENIED',
    fields: { remedy: expect.stringMatching(/\S/) },
  });
  if (batch === undefined || shelf === undefined) return;
  const before = shelf.shown(shelf.skus[0]);
  expect(await failureOf(connector.write(batch, never))).toMatchObject({ code: 'CONNECTOR_ACCESS_DENIED' });
  expect(shelf.shown(shelf.skus[0])).toBe(before);
}

async function hungConnection(world: World): Promise<void> {
  const { connector, proxy, shelf } = world;
  world.happen();
  const batches: WriteBatch[] = [];
  // With so short a time-out a pause of this process can fail what nothing hangs.
  await eventually(async () => {
    if (shelf !== undefined) batches.push(await batchOf(world, [[shelf.skus[0], 1]]));
    await readAll(connector);
  });
  const batch = batches.at(-1);
  const refs = batch?.rows.map(({ ref }) => ref) ?? [];
  const { requestTimeoutMs } = connector.capabilities;
  proxy.strike({ kind: 'hang', times: Number.POSITIVE_INFINITY });
  const timed = async (work: () => Promise<unknown>): Promise<unknown> => {
    proxy.waitedMs.length = 0;
    const outcome = await failureOf(work());
    // The proxy learns a little later that nobody waits any more: not the next one's business.
    await expect.poll(() => proxy.waitedMs.length > 0 && proxy.hanging === 0).toBe(true);
    // A pause of this process counts too; without a time-out nobody would ever have given up.
    for (const waitedMs of proxy.waitedMs) expect(waitedMs).toBeLessThan(requestTimeoutMs + 10_000);
    // What may be repeated is repeated a few times, not for ever.
    expect(proxy.waitedMs.length).toBeLessThanOrEqual(4);
    return outcome;
  };
  const unreachable = { code: 'CONNECTOR_UNREACHABLE' };
  expect(await timed(() => connector.checkAccess(never))).toMatchObject(unreachable);
  if (batch === undefined) {
    expect(await timed(() => readAll(connector))).toMatchObject(unreachable);
    return;
  }
  expect(await timed(() => connector.readStock(refs, never))).toMatchObject(unreachable);
  const outcome = await timed(async () => {
    const { rows: outcomes } = await connector.write(batch, never);
    expect(outcomes).toMatchObject([{ kind: 'unknown' }]);
    throw new StockmeshError('CONNECTOR_UNREACHABLE', { platform: '', operation: '', reason: '' });
  });
  expect(outcome).toMatchObject(unreachable);
}

/** Every kind of request. */
async function everything(world: World, thing: Thing): Promise<void> {
  const { connector } = world;
  const target = { callbackUrl: 'http://127.0.0.1:9/webhooks' };
  const steps: readonly (() => Promise<unknown>)[] = [
    () => connector.checkAccess(never),
    () => connector.subscribe(target, never),
    () => connector.checkSubscriptions(target, never),
    () => readAll(connector),
    () => listingsOf(connector),
    () =>
      connector.fetchCounts === undefined ? connector.fetchOrders([thing.key], never) : Promise.resolve(),
    () => connector.fetchCounts?.([thing.key.split('@')[0] ?? ''], never) ?? Promise.resolve(),
    () => writeOne(world),
  ];
  for (const step of steps) await step();
}

async function writeOne(world: World): Promise<void> {
  const { connector, shelf } = world;
  if (shelf === undefined) return;
  const batch = await batchOf(world, [[shelf.skus[0], 1]]);
  await connector.readStock(
    batch.rows.map(({ ref }) => ref),
    never,
  );
  await connector.write(batch, never);
}

async function settled({ settleMs = 0 }: World): Promise<void> {
  await delay(settleMs);
}

async function pushed(world: World, work: () => void): Promise<readonly Delivery[]> {
  const deliveries = await world.deliveriesOf?.(work);
  if (deliveries === undefined || deliveries.length === 0) throw new Error('nothing was pushed');
  return deliveries;
}

function shelfOf(world: World): Shelf {
  if (world.shelf === undefined) throw new Error('the platform is not written to');
  return world.shelf;
}

/** A fresh key each time; a delta lowers, an absolute platform gets the number. */
async function batchOf(world: World, goals: readonly (readonly [string, number])[]): Promise<WriteBatch> {
  const listings = await listingsOf(world.connector);
  const batchRows = goals.map(([sku, to]) => {
    const listing = listings.get(sku);
    if (listing === undefined) throw new Error(`no listing of ${sku}`);
    return { ref: listing.ref, from: shelfOf(world).shown(sku), to };
  });
  const kind = world.connector.capabilities.writes === 'delta' ? 'lower' : 'put';
  return { key: crypto.randomUUID(), kind, reference: '1-1', rows: batchRows };
}

function keyOf(index: number): string {
  return `00000000-0000-4000-8000-00000000000${index}`;
}

async function listingsOf(connector: Connector): Promise<ReadonlyMap<string, PlatformListing>> {
  const found = new Map<string, PlatformListing>();
  for await (const page of connector.readListings(null, never)) {
    for (const listing of page.listings) found.set(listing.sku, listing);
  }
  return found;
}

function isTaken(outcome: RowOutcome | undefined): boolean {
  return outcome?.kind === 'confirmed' || outcome?.kind === 'accepted';
}

/** Absolute platforms apply what they accepted a little later. */
async function shownSoon(shelf: Shelf, sku: string, wanted: number): Promise<number> {
  for (let turn = 0; turn < 100 && shelf.shown(sku) !== wanted; turn++) await delay(10);
  return shelf.shown(sku);
}

async function failureOf(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    (value) => {
      throw new Error(`it went well: ${JSON.stringify(value)}`);
    },
    (error: unknown) => error,
  );
}
