import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SeededRandom } from '../../sandbox/shopify/random.ts';
import { loadConfig } from '../../src/config/load-config.ts';
import { createWmsConnector } from '../../src/connectors/wms/wms-connector.ts';
import type { ChannelId, LocationId } from '../../src/domain/ids.ts';
import { LevelCommands } from '../../src/ledger/level-commands.ts';
import { Breaker } from '../../src/mesh/breaker.ts';
import { CountPoll } from '../../src/mesh/count-poll.ts';
import { CountSink } from '../../src/mesh/count-sink.ts';
import { parkedEntry } from '../../src/mesh/parked-rows.ts';
import { MemoryLimiter, MemoryLog, MemoryTokens } from '../connectors/shopify/parts.ts';
import {
  type OrderBench,
  levelOf,
  line,
  main,
  order,
  orderBench,
  wmsRouting,
} from '../support/order-bench.ts';
import { TrytonServer, hasTryton, password, username } from './tryton-server.ts';
import { eventually } from '../support/eventually.ts';

const isWanted = process.env['STOCKMESH_TRYTON'] === '1';
const isPossible = isWanted && (await hasTryton());
if (!isPossible) {
  console.log(
    isWanted
      ? 'The Tryton acceptance is skipped: install tryton-server and tryton-modules-stock'
      : 'The Tryton acceptance is skipped: set STOCKMESH_TRYTON=1 to run it',
  );
}

const seed = Number(process.env['STOCKMESH_TRYTON_SEED'] ?? 20_261_121);
const rounds = 12;
const movesPerRound = 10;
const skus = ['MUG-1', '007', 'A/B c', 'GRÖSSE-42', 'x'.repeat(40), 'KIT.9'];
const wms = 'tryton' as ChannelId;

/** A stock system that others wrote, moved at random, against a ledger that only polls it. */
describe.skipIf(!isPossible)('Tryton', () => {
  let tryton: TrytonServer;
  let bench: OrderBench;
  let dir: string;
  let poll: CountPoll;
  const places = { supplier: 0, storage: 0, customer: 0, lost: 0 };
  const products = new Map<string, number>();
  let move: { readonly uom: number; readonly company: number; readonly currency: number };

  beforeAll(async () => {
    tryton = await TrytonServer.start();
    await setUp();
    bench = orderBench();
    await bench.caller.open();
    dir = mkdtempSync(join(tmpdir(), 'sm-tryton-config-'));
    poll = startPoll();
  }, 300_000);
  afterAll(async () => {
    await poll?.close();
    await bench?.close();
    await tryton?.stop();
    rmSync(dir, { recursive: true, force: true });
  });

  async function setUp(): Promise<void> {
    const currency = await tryton.create('currency.currency', {
      name: 'Euro',
      code: 'EUR',
      symbol: 'E',
      numeric_code: '978',
    });
    const party = await tryton.create('party.party', { name: 'Acme' });
    const company = await tryton.create('company.company', { party, currency });
    const user = await tryton.find('res.user', [['login', '=', username]]);
    await tryton.call('model.res.user.write', [user], { companies: [['add', [company]]], company });
    tryton.useContext({ company });
    for (const [name, code] of Object.entries({ supplier: 'SUP', storage: 'STO', customer: 'CUS' })) {
      places[name as keyof typeof places] = await tryton.find('stock.location', [['code', '=', code]]);
    }
    places.lost = await tryton.find('stock.location', [['type', '=', 'lost_found']]);
    const uom = await tryton.find('product.uom', [['symbol', '=', 'u']]);
    move = { uom, company, currency };
    for (const code of skus) {
      const template = await tryton.create('product.template', {
        name: code,
        type: 'goods',
        default_uom: uom,
        products: [['create', [{ suffix_code: code }]]],
      });
      products.set(code, await tryton.find('product.product', [['template', '=', template]]));
    }
  }

  /** The example configuration, pointed at this server. */
  function startPoll(): CountPoll {
    const example = readFileSync(new URL('../../config/examples/tryton.yaml', import.meta.url), 'utf8')
      .replace('https://tryton.acme.example', tryton.url)
      .replace('username: stockmesh', `username: ${username}`)
      .replaceAll("'7'", `'${places.storage}'`);
    const file = join(dir, 'stockmesh.yaml');
    writeFileSync(file, example);
    const [channel] = loadConfig(file, { TRYTON_PASSWORD: password }).channels;
    if (channel?.platform !== 'wms') throw new Error('the example is no warehouse');
    const connector = createWmsConnector({
      connection: channel.connection,
      webhookSecrets: [],
      limiter: new MemoryLimiter(),
      tokens: new MemoryTokens(),
      clock: { nowMs: () => Date.now() },
      log: new MemoryLog(),
    });
    const levels = new LevelCommands(bench.caller);
    const log = pino({ level: 'silent' });
    const sink = new CountSink({
      settings: {
        id: wms,
        platform: 'wms',
        mode: 'live',
        locations: [{ location: main, platformLocationId: String(places.storage), wmsOwned: true }],
        sourceRules: new Map(),
        openingFigure: 'on-hand',
        aliases: new Map(),
      },
      owned: new Map<LocationId, { pickLagMs: number }>([[main, { pickLagMs: 0 }]]),
      ledger: {
        applyCount: (count) => bench.counts.applyCount(count),
        adjust: (request) => bench.counts.adjust(request),
        peek: (wanted) => levels.peek(wanted),
        nowMs: () => bench.clock.nowMs(),
      },
      mesh: bench.mesh,
      sink: {
        async parkRows(id, rows) {
          for (const row of rows) await bench.mesh.park(parkedEntry(id, row));
        },
      },
      log,
      nowMs: () => Date.now(),
    });
    const started = new CountPoll({
      channel: wms,
      connector,
      sink,
      mesh: bench.mesh,
      breaker: new Breaker(),
      log,
      settings: { peakIntervalMs: 200, hintDelayMs: 5 },
    });
    started.start();
    return started;
  }

  const moveOf = (sku: string, units: number, from: keyof typeof places, to: keyof typeof places) =>
    tryton.create('stock.move', {
      product: products.get(sku),
      uom: move.uom,
      quantity: units,
      from_location: places[from],
      to_location: places[to],
      company: move.company,
      currency: move.currency,
      unit_price: { __class__: 'Decimal', decimal: '1' },
    });

  async function trytonStock(): Promise<Map<string, number>> {
    const rows = await tryton.call<readonly { code: string; quantity: number }[]>(
      'model.product.product.search_read',
      [],
      0,
      null,
      null,
      ['code'],
    );
    const stock = new Map(rows.map(({ code }) => [code, 0]));
    // Asked for with the location in its context, apart from how the connector asks.
    tryton.useContext({ company: move.company, locations: [places.storage] });
    for (const [sku, id] of products) {
      const [row] = await tryton.call<readonly { quantity: number }[]>(
        'model.product.product.read',
        [id],
        ['quantity'],
      );
      stock.set(sku, row?.quantity ?? Number.NaN);
    }
    tryton.useContext({ company: move.company });
    return stock;
  }

  test(`random moves, seed ${seed}: the ledger ends equal`, async () => {
    const random = new SeededRandom(seed);
    const pick = <Item>(list: readonly Item[]): Item => list[Math.floor(random.next() * list.length)] as Item;
    const expected = new Map(skus.map((sku) => [sku, 0]));
    const drafts: { readonly id: number; readonly sku: string; readonly change: number }[] = [];
    let done = 0;
    const finish = async (id: number, sku: string, change: number): Promise<void> => {
      await tryton.call('model.stock.move.do', [id]);
      expected.set(sku, (expected.get(sku) ?? 0) + change);
      done++;
    };
    for (const sku of skus) await finish(await moveOf(sku, 100, 'supplier', 'storage'), sku, 100);

    for (let round = 0; round < rounds; round++) {
      for (let i = 0; i < movesPerRound; i++) {
        const sku = pick(skus);
        const have = expected.get(sku) ?? 0;
        const units = 1 + Math.floor(random.next() * 12);
        const kind = random.next();
        // Drafted now, done rounds later: its id is then lower than many that were seen.
        const isLate = random.chance(0.2);
        const isIn = kind < 0.4 || have < units + 30;
        const from = isIn ? (kind < 0.3 ? 'supplier' : 'lost') : 'storage';
        const to = isIn ? 'storage' : kind < 0.85 ? 'customer' : 'lost';
        const change = isIn ? units : -units;
        const id = await moveOf(sku, units, from, to);
        if (isLate && isIn) drafts.push({ id, sku, change });
        else await finish(id, sku, change);
      }
      if (round % 4 === 3) for (const { id, sku, change } of drafts.splice(0)) await finish(id, sku, change);
      if (round === rounds / 2) {
        // The same unit is sold on a channel and shipped there; Tryton's own shipment is its count.
        await bench.orders.applyOrder(
          order('1', [line('a', 'MUG-1', { ordered: 2, shipped: 2 })]),
          wmsRouting,
        );
        await finish(await moveOf('MUG-1', 2, 'storage', 'customer'), 'MUG-1', -2);
      }
    }
    for (const { id, sku, change } of drafts.splice(0)) await finish(id, sku, change);

    const theirs = await trytonStock();
    expect(Object.fromEntries(theirs)).toEqual(Object.fromEntries(expected));
    await eventually(async () => {
      const ours = await Promise.all(
        skus.map(async (sku) => [sku, (await levelOf(bench, sku)).onHand] as const),
      );
      expect(Object.fromEntries(ours)).toEqual(Object.fromEntries(theirs));
      // The label's units are closed by a count after them.
      expect((await levelOf(bench, 'MUG-1')).committed).toBe(0);
    }, 60_000);
    expect(await bench.mesh.parkedCount()).toBe(0);
    await bench.audit();
    const entries = (await bench.movements()).length;
    const shown = skus.map((sku) => `${sku.slice(0, 12)}=${theirs.get(sku)}`).join(' ');
    console.log(
      `Tryton acceptance, seed ${seed}: ${done} moves done, ${entries} ledger entries, equal: ${shown}`,
    );
    expect(entries).toBeGreaterThan(skus.length);
  }, 300_000);

  test('a move that nobody announced is found by the next reading alone', async () => {
    const before = (await levelOf(bench, 'KIT.9')).onHand;
    await tryton.call('model.stock.move.do', [await moveOf('KIT.9', 7, 'storage', 'lost')]);
    await eventually(async () => expect((await levelOf(bench, 'KIT.9')).onHand).toBe(before - 7), 30_000);
  }, 60_000);
});
