import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Account } from '../../sandbox/wms/account.ts';
import { applyAdjustments, readAdjustments } from '../../sandbox/wms/adjustments.ts';
import { type WmsSandbox, startWmsSandbox } from '../../sandbox/wms/server.ts';
import type { Connector } from '../../src/connectors/connector.ts';
import { createWmsConnector } from '../../src/connectors/wms/wms-connector.ts';
import type { ChannelId, LocationId, Sku } from '../../src/domain/ids.ts';
import { Secret } from '../../src/domain/secret.ts';
import { LevelCommands } from '../../src/ledger/level-commands.ts';
import { Breaker } from '../../src/mesh/breaker.ts';
import { CountPoll } from '../../src/mesh/count-poll.ts';
import { CountSink } from '../../src/mesh/count-sink.ts';
import { parkedEntry } from '../../src/mesh/parked-rows.ts';
import { MemoryLimiter, MemoryLog, MemoryTokens, never } from '../connectors/shopify/parts.ts';
import { type OrderBench, main, orderBench } from '../support/order-bench.ts';
import { failOnLeakedConnections } from '../support/redis-connections.ts';
import { eventually } from '../support/eventually.ts';

failOnLeakedConnections();

const wms = 'wms' as ChannelId;
const openingUnits = 20_000;
const adjustments = readAdjustments(
  new URL('../../demo/orders/online-retail-adjustments.csv.gz', import.meta.url),
).slice(0, 150);

let bench: OrderBench;
let sandbox: WmsSandbox;
const closing: (() => Promise<unknown> | void)[] = [];
beforeEach(async () => {
  bench = orderBench();
  await bench.caller.open();
  sandbox = await startWmsSandbox();
});
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
  await sandbox.stop();
  await bench.close();
});

function open(kind: 'shiphero' | 'shipbob'): { account: Account; connector: Connector } {
  const account = sandbox.add({ name: kind, kind, seed: 7 });
  for (const sku of new Set(adjustments.map((row) => row.sku))) {
    account.warehouse.addItem({ sku, onHand: openingUnits });
  }
  const { baseUrl } = account.warehouse;
  const password = new Secret('secret');
  const connector = createWmsConnector({
    connection:
      kind === 'shiphero'
        ? { kind, credentials: { kind: 'login', username: 'user@example.com', password }, pageSize: 100 }
        : { kind, accessToken: new Secret('pat-sandbox') },
    baseUrl: kind === 'shiphero' ? baseUrl : `${baseUrl}/2026-01`,
    webhookSecrets: [],
    limiter: new MemoryLimiter(),
    tokens: new MemoryTokens(),
    clock: { nowMs: () => Date.now() },
    log: new MemoryLog(),
  });
  return { account, connector };
}

function start(connector: Connector, place: string, peakIntervalMs: number): CountPoll {
  const levels = new LevelCommands(bench.caller);
  const log = pino({ level: 'silent' });
  const sink = new CountSink({
    settings: {
      id: wms,
      platform: 'wms',
      mode: 'live',
      locations: [{ location: main, platformLocationId: place, wmsOwned: true }],
      sourceRules: new Map(),
      openingFigure: 'on-hand',
      aliases: new Map(),
    },
    owned: new Map<LocationId, { pickLagMs: number }>([[main, { pickLagMs: 0 }]]),
    ledger: {
      applyCount: (count) => bench.counts.applyCount(count),
      adjust: (request) => bench.counts.adjust(request),
      peek: (skus) => levels.peek(skus),
      nowMs: () => bench.clock.nowMs(),
    },
    mesh: bench.mesh,
    sink: {
      async parkRows(channel, rows) {
        for (const row of rows) await bench.mesh.park(parkedEntry(channel, row));
      },
    },
    log,
    nowMs: () => Date.now(),
  });
  const poll = new CountPoll({
    channel: wms,
    connector,
    sink,
    mesh: bench.mesh,
    breaker: new Breaker(),
    log,
    settings: { peakIntervalMs, hintDelayMs: 5, retryMs: 5 },
  });
  poll.start();
  closing.push(() => poll.close());
  return poll;
}

/** What the public listener and the inbox do with a delivery of a warehouse. */
async function listen(connector: Connector, poll: CountPoll): Promise<string> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const raw = Buffer.concat(chunks);
      const isGenuine = connector.verifyWebhook(raw, request.headers).kind === 'genuine';
      response.writeHead(isGenuine ? 200 : 401).end(connector.acknowledgement ?? '');
      if (isGenuine) poll.doorbell(connector.parseWebhook(raw, request.headers).levelHints);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`;
}

async function differences(account: Account): Promise<string[]> {
  const shelves = account.warehouse.shelves();
  const { levels } = await new LevelCommands(bench.caller).peek(shelves.map(({ sku }) => sku as Sku));
  return shelves.flatMap(({ sku, onHand }) => {
    const ours = levels.get(sku as Sku)?.get(main)?.onHand ?? 0;
    return ours === onHand ? [] : [`${sku}: ${ours} instead of ${onHand}`];
  });
}

test('ShipHero: real write-offs and finds, told twice, late or never, end equal; nothing it forbids was done', async () => {
  const { account, connector } = open('shiphero');
  for (let item = 0; item < 400; item++) account.warehouse.addItem({ sku: `more-${item}`, onHand: 50 });
  // A page of changes costs 101 credits, an item 6, and 60 come back each second.
  const poll = start(connector, '13841', 5_000);
  const target = { callbackUrl: await listen(connector, poll) };
  expect((await connector.subscribe(target, never)).problems).toEqual([]);
  await eventually(async () => expect(await differences(account)).toEqual([]));
  Object.assign(account.desk.behaviour, {
    duplicateProbability: 0.2,
    lossProbability: 0.3,
    delayMs: { min: 0, max: 200 },
  });
  account.warehouse.setFaults([
    { kind: 'reset', operation: 'warehouse_products', probability: 0.05 },
    { kind: 'truncate', operation: 'inventory_changes', probability: 0.2 },
  ]);
  for (let from = 0; from < adjustments.length; from += 10) {
    applyAdjustments(account.warehouse, adjustments.slice(from, from + 10));
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  await eventually(async () => expect(await differences(account)).toEqual([]), 150_000);
  await account.desk.idle();
  account.warehouse.setFaults([]);
  // Item by item these would take 2,400 credits, forty seconds of what ShipHero gives; everything takes a few hundred.
  for (let item = 0; item < 400; item++) account.warehouse.adjust(`more-${item}`, item % 2 === 0 ? 1 : -2);
  await eventually(async () => expect(await differences(account)).toEqual([]), 150_000);
  await account.desk.idle();
  expect(sandbox.violations()).toEqual([]);
  expect(await bench.mesh.parkedCount()).toBe(0);
  await bench.audit();
}, 340_000);

test('ShipBob: polls alone end equal, within 150 requests a minute', async () => {
  const { account, connector } = open('shipbob');
  const poll = start(connector, '8', 400);
  await eventually(async () => expect(await differences(account)).toEqual([]));
  applyAdjustments(account.warehouse, adjustments);
  poll.pollNow();
  await eventually(async () => expect(await differences(account)).toEqual([]));
  expect(sandbox.violations()).toEqual([]);
  expect(await bench.mesh.parkedCount()).toBe(0);
  await bench.audit();
});
