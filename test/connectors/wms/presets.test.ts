import { createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Connector } from '../../../src/connectors/connector.ts';
import { everyItem } from '../../../src/connectors/counts.ts';
import { ManualClock } from '../../../sandbox/shopify/clock.ts';
import type { Account } from '../../../sandbox/wms/account.ts';
import { type WmsSandbox, startWmsSandbox } from '../../../sandbox/wms/server.ts';
import { eventually } from '../../support/eventually.ts';
import { never } from '../shopify/parts.ts';
import { type Rig, figures, poll, readOnce, rigFor, secret } from './parts.ts';

interface Vector {
  readonly id: string;
  readonly secret: string;
  readonly body: string;
  readonly header?: string;
  readonly expected?: string;
  readonly headers?: Record<string, string>;
}

const fixture = (name: string) =>
  JSON.parse(readFileSync(new URL(`../../fixtures/wms/${name}.json`, import.meta.url), 'utf8')) as {
    payload: unknown;
  };
const vectors = fixture('webhook-vectors') as unknown as Record<
  'shiphero' | 'shipbob',
  { vectors: Vector[] }
>;

let sandbox: WmsSandbox;
beforeEach(async () => {
  sandbox = await startWmsSandbox();
});
afterEach(async () => {
  const violations = sandbox.violations();
  await sandbox.stop();
  expect(violations).toEqual([]);
});

function shipHero(more: { pageSize?: number; webhookSecrets?: string[] } = {}): Rig & { account: Account } {
  const account = sandbox.account('hero');
  const credentials = { kind: 'login', username: 'user@example.com', password: secret('secret') } as const;
  const rig = rigFor(
    { kind: 'shiphero', credentials, pageSize: more.pageSize },
    { baseUrl: account.warehouse.baseUrl, webhookSecrets: more.webhookSecrets ?? ['s3cr3t-shared'] },
  );
  return { ...rig, account };
}

function shipBob(more: { pageSize?: number; webhookSecrets?: string[] } = {}): Rig & { account: Account } {
  const account = sandbox.account('bob');
  const rig = rigFor(
    { kind: 'shipbob', accessToken: secret('pat-sandbox'), pageSize: more.pageSize },
    { baseUrl: `${account.warehouse.baseUrl}/2026-01`, webhookSecrets: more.webhookSecrets ?? [] },
  );
  return { ...rig, account };
}

const genuine = (connector: Connector, body: string, headers: Record<string, string>) =>
  connector.verifyWebhook(Buffer.from(body), headers);

/** A receiver for the sandbox's webhooks. */
async function receiver(
  connector: Connector,
): Promise<{ url: string; verdicts: string[]; bodies: string[]; stop(): void }> {
  const verdicts: string[] = [];
  const bodies: string[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const raw = Buffer.concat(chunks);
      const verdict = connector.verifyWebhook(raw, request.headers);
      verdicts.push(verdict.kind === 'genuine' ? verdict.topic : verdict.kind);
      if (verdict.kind === 'genuine') bodies.push(raw.toString());
      response.writeHead(verdict.kind === 'genuine' ? 200 : 401);
      response.end(connector.acknowledgement ?? '');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`,
    verdicts,
    bodies,
    stop: () => server.close(),
  };
}

describe('ShipHero', () => {
  const addHero = (): void => {
    const { warehouse } = sandbox.add({
      name: 'hero',
      kind: 'shiphero',
      places: [
        { id: '13841', name: 'CA' },
        { id: '13842', name: 'NJ' },
      ],
    });
    for (let i = 0; i < 25; i++) warehouse.addItem({ sku: `s${i}`, onHand: i });
    warehouse.addItem({ sku: 's1', onHand: 40, place: '13842' });
  };
  beforeEach(addHero);

  test.each(vectors.shiphero.vectors)('vector $id is genuine, and forged with one byte more', (vector) => {
    const { connector } = shipHero();
    const headers = { [vector.header ?? '']: vector.expected ?? '', 'X-Shiphero-Message-ID': 'm-1' };
    expect(genuine(connector, vector.body, headers)).toMatchObject({ kind: 'genuine' });
    expect(genuine(connector, `${vector.body} `, headers)).toMatchObject({ kind: 'forged' });
    expect(genuine(connector, vector.body, {})).toMatchObject({ kind: 'forged' });
    const other = shipHero({ webhookSecrets: ['another'] });
    expect(genuine(other.connector, vector.body, headers)).toMatchObject({ kind: 'forged' });
    expect(genuine(shipHero({ webhookSecrets: [] }).connector, vector.body, headers)).toMatchObject({
      kind: 'forged',
    });
  });

  test('reads every shelf by its place, in pages, less what is not for sale', async () => {
    const { connector, account } = shipHero({ pageSize: 10 });
    account.warehouse.setNonSellable('s20', 5);
    const page = await readOnce(connector);
    expect(page.kind).toBe('snapshot');
    expect(page.counts).toHaveLength(26);
    expect(figures(page)).toEqual(expect.arrayContaining(['s1@13841=1', 's1@13842=40', 's20@13841=15']));
    const costs = sandbox.records.requests.all().map(({ cost }) => cost);
    expect(costs.filter((cost) => cost > 2)).toEqual([11, 11, 11]);
  });

  test('changes are hints; the item is then read at every place', async () => {
    const { connector, account } = shipHero();
    const { cursor } = await readOnce(connector);
    account.warehouse.adjust('s1', 5, { place: '13842' });
    account.warehouse.adjust('s3', -1);
    const pages = await poll(connector, cursor);
    const hints = pages.flatMap((page) => (page.kind === 'held' ? [] : page.hints));
    expect(hints.toSorted()).toEqual(['s1', 's3']);
    const page = await connector.fetchCounts?.(hints, never);
    expect(page?.kind === 'changes' && figures(page)).toEqual(['s1@13841=1', 's1@13842=45', 's3@13841=2']);
  });

  test('everything is cheaper than many items, by credits, and can be asked for between snapshots', async () => {
    const { connector, advance } = shipHero({ pageSize: 10 });
    expect(connector.isAllCheaper?.(1_000)).toBe(false);
    const { cursor } = await readOnce(connector);
    // Three pages of 1 + 10 credits; an item takes 1 + 5.
    expect([5, 6].map((items) => connector.isAllCheaper?.(items))).toEqual([false, true]);
    const pages = await poll(connector, cursor, 'all');
    expect(pages.map(({ kind }) => kind)).toEqual(['snapshot']);
    advance(3_600_000);
    const kinds = async (want?: 'changes') => (await poll(connector, cursor, want)).map(({ kind }) => kind);
    expect(await kinds('changes')).not.toContain('snapshot');
    expect(await kinds()).toEqual(['snapshot']);
  });

  test('credits that are used up are waited for, as long as the answer says', async () => {
    await sandbox.stop();
    // Its own clock: credits would come back while this process pauses.
    const clock = new ManualClock(Date.now());
    sandbox = await startWmsSandbox({ clock });
    addHero();
    const { connector, account, limiter } = shipHero({ pageSize: 10 });
    if (account.kind === 'shiphero') account.api.credits.drain();
    const reading = readOnce(connector);
    const isTold = (): boolean => limiter.learned.some(({ pauseMs }) => pauseMs === 1_000);
    await expect.poll(isTold).toBe(true);
    clock.advance(1_000);
    expect((await reading).counts).toHaveLength(26);
  });

  test('a token that ends in the middle of a reading is renewed, and the reading goes on', async () => {
    const { connector, account, tokens } = shipHero({ pageSize: 10 });
    account.warehouse.setFaults([{ kind: 'slow', operation: 'warehouse_products', delayMs: 1, count: 1 }]);
    await poll(connector);
    const before = tokens.renewals;
    account.api.tokens.expireAll();
    expect((await readOnce(connector)).counts).toHaveLength(26);
    expect(tokens.renewals).toBe(before + 1);
  });

  test.each(['reset', 'html', 'truncate', 'lose-response', 'status'] as const)(
    '%s in the middle gives nothing',
    async (kind) => {
      const { connector, account } = shipHero({ pageSize: 10 });
      await poll(connector);
      account.warehouse.setFaults([{ kind, operation: 'warehouse_products', skip: 1, count: 1 }]);
      await expect(poll(connector)).rejects.toMatchObject({ name: 'StockmeshError' });
      expect((await readOnce(connector)).counts).toHaveLength(26);
    },
  );

  test('the published bodies: the account total is never a place, an undated figure is a hint, a kit is nothing', () => {
    const { connector } = shipHero();
    const parse = (name: string) =>
      connector.parseWebhook(Buffer.from(JSON.stringify(fixture(name).payload)), {});
    expect(parse('shiphero-inventory-update')).toMatchObject({
      levelHints: ['100100'],
      counts: [],
      parked: [],
    });
    expect(parse('shiphero-inventory-update-legacy')).toMatchObject({
      levelHints: ['1122334856'],
      counts: [],
    });
    expect(parse('shiphero-inventory-change')).toMatchObject({ levelHints: ['LOT01'], parked: [] });
    const dated = {
      webhook_type: 'Inventory Update',
      inventory: [
        {
          sku: 'a',
          on_hand: '45',
          virtual: false,
          timestamp: 1_763_000_000.5,
          updated_warehouse: { warehouse_id: 13_841, on_hand: '35' },
        },
        {
          sku: 'kit',
          on_hand: '1',
          virtual: true,
          updated_warehouse: { warehouse_id: 13_841, on_hand: '1' },
        },
      ],
    };
    expect(connector.parseWebhook(Buffer.from(JSON.stringify(dated)), {})).toMatchObject({
      counts: [{ sku: 'a', locationId: '13841', onHand: 35, asOfMs: 1_763_000_000_500 }],
      levelHints: [],
    });
    expect(connector.parseWebhook(Buffer.from('{"webhook_type":"Nonsense"}'), {}).parked).toHaveLength(1);
    expect(connector.parseWebhook(Buffer.from('{'), {}).parked).toHaveLength(1);
  });

  test('webhooks are made once, their secrets kept, and their deliveries acknowledged as ShipHero wants it', async () => {
    const { connector, account, tokens } = shipHero({ webhookSecrets: [] });
    const hook = await receiver(connector);
    const target = { callbackUrl: hook.url };
    expect(await connector.checkSubscriptions(target, never)).toMatchObject({ created: [], present: [] });
    const made = await connector.subscribe(target, never);
    expect(made.created).toEqual(['Inventory Update', 'Inventory Change', 'Shipment Update']);
    expect((await connector.subscribe(target, never)).created).toEqual([]);
    account.warehouse.adjust('s5', -2, { reason: 'damaged' });
    account.desk.behaviour.duplicateProbability = 1;
    account.warehouse.ship([{ sku: 's7', units: 1 }]);
    await new Promise((resolve) => setTimeout(resolve, 20));
    await account.desk.idle();
    expect(new Set(hook.verdicts)).toEqual(new Set(made.created));
    const hints = hook.bodies.flatMap((body) => connector.parseWebhook(Buffer.from(body), {}).levelHints);
    expect(new Set(hints)).toEqual(new Set(['s5', 's7']));
    // The next daemon finds the secrets in the store.
    const next = rigFor(
      {
        kind: 'shiphero',
        credentials: { kind: 'login', username: 'user@example.com', password: secret('secret') },
      },
      { baseUrl: account.warehouse.baseUrl, tokens },
    );
    const [delivered = ''] = hook.bodies;
    const signature = createHmac('sha256', account.desk.subscriptions()[0]?.secret ?? '').update(delivered);
    const headers = { 'x-shiphero-hmac-sha256': signature.digest('base64') };
    expect(genuine(next.connector, delivered, headers)).toMatchObject({ kind: 'forged' });
    // One that another daemon subscribed meanwhile is genuine when it comes again; a restarted daemon knows it at once.
    await eventually(() =>
      expect(genuine(next.connector, delivered, headers)).toMatchObject({ kind: 'genuine' }),
    );
    const restarted = rigFor(
      {
        kind: 'shiphero',
        credentials: { kind: 'login', username: 'user@example.com', password: secret('secret') },
      },
      { baseUrl: account.warehouse.baseUrl, tokens },
    );
    await restarted.connector.prepare?.();
    expect(genuine(restarted.connector, delivered, headers)).toMatchObject({ kind: 'genuine' });
    const [subscription] = account.desk.subscriptions();
    expect((await next.connector.subscribe(target, never)).problems).toEqual([]);
    if (subscription !== undefined) subscription.isEnabled = false;
    expect((await next.connector.checkSubscriptions(target, never)).problems[0]).toContain('switched off');
    hook.stop();
  });

  test('a wrong password is one line for a person', async () => {
    const { connector } = rigFor(
      {
        kind: 'shiphero',
        credentials: { kind: 'login', username: 'user@example.com', password: secret('wrong') },
      },
      { baseUrl: sandbox.account('hero').warehouse.baseUrl },
    );
    expect(await connector.checkAccess(never)).toMatchObject({ kind: 'needs-attention' });
  });
});

describe('ShipBob', () => {
  beforeEach(() => {
    const { warehouse } = sandbox.add({
      name: 'bob',
      kind: 'shipbob',
      places: [
        { id: '8', name: 'Cicero' },
        { id: '156', name: 'Moreno Valley' },
      ],
    });
    for (let i = 0; i < 25; i++) warehouse.addItem({ sku: `s${i}`, onHand: i });
    warehouse.addItem({ sku: 's1', onHand: 22, place: '156' });
  });

  test.each(vectors.shipbob.vectors)(
    'vector $id is genuine within its five minutes, and only then',
    (vector) => {
      const { connector, advance } = shipBob({ webhookSecrets: ['whsec_AAAA', vector.secret] });
      const stamp = Number(vector.headers?.['webhook-timestamp']) * 1_000;
      const headers = vector.headers ?? {};
      expect(genuine(connector, vector.body, headers)).toMatchObject({
        kind: 'forged',
        reason: expect.stringContaining('timestamp') as string,
      });
      advance(stamp - Date.now() + 200_000);
      expect(genuine(connector, vector.body, headers)).toMatchObject({
        kind: 'genuine',
        topic: 'order.shipped',
      });
      expect(
        genuine(connector, vector.body, {
          ...headers,
          'webhook-signature': `v1,AAAA ${headers['webhook-signature']}`,
        }),
      ).toMatchObject({ kind: 'genuine' });
      expect(
        genuine(connector, vector.body, {
          ...headers,
          'webhook-signature': `v2,${headers['webhook-signature']?.slice(3)}`,
        }),
      ).toMatchObject({ kind: 'forged' });
      expect(genuine(connector, vector.body, { ...headers, 'webhook-id': 'msg_x' })).toMatchObject({
        kind: 'forged',
      });
      expect(genuine(connector, `${vector.body} `, headers)).toMatchObject({ kind: 'forged' });
    },
  );

  test('reads the published answer: on hand, never what may be sold', async () => {
    const { connector, account } = shipBob();
    const page = await readOnce(connector);
    expect(page.counts).toHaveLength(26);
    expect(figures(page)).toEqual(expect.arrayContaining(['s1@8=1', 's1@156=22', 's24@8=24']));
    expect(page.counts.find(({ sku }) => sku === 's1')?.itemId).toBe(
      String(account.warehouse.item('s1')?.inventoryId),
    );
  });

  test('follows `next` to the last page, within the published limit', async () => {
    const { connector } = shipBob({ pageSize: 4 });
    expect((await readOnce(connector)).counts).toHaveLength(26);
    expect(sandbox.records.requests.all()).toHaveLength(7);
  });

  test('429 is waited out as x-retry-after says', async () => {
    const { connector, account, limiter } = shipBob();
    account.warehouse.setFaults([{ kind: 'throttled', retryAfterSeconds: 1, count: 1 }]);
    expect((await readOnce(connector)).counts).toHaveLength(26);
    expect(limiter.learned).toEqual([{ pauseMs: 1_000 }]);
  });

  test('a shipment is a hint for its items; an event without items is one for everything', async () => {
    const { connector, account } = shipBob({
      webhookSecrets: [`whsec_${btoa('a secret of ours, 24 bytes')}`],
    });
    const hook = await receiver(connector);
    const made = await connector.subscribe({ callbackUrl: hook.url }, never);
    expect(made.created).toEqual([
      'order.shipped',
      'order.shipment.exception',
      'order.shipment.cancelled',
      'return.completed',
    ]);
    expect((await connector.subscribe({ callbackUrl: hook.url }, never)).present).toEqual(made.created);
    account.warehouse.ship([{ sku: 's9', units: 4 }]);
    await new Promise((resolve) => setTimeout(resolve, 20));
    await account.desk.idle();
    expect(hook.verdicts).toEqual(['order.shipped']);
    const headers = { 'x-webhook-topic': 'order.shipped' };
    const { levelHints } = connector.parseWebhook(Buffer.from(hook.bodies[0] ?? ''), headers);
    expect(levelHints).toEqual([String(account.warehouse.item('s9')?.inventoryId)]);
    const page = await connector.fetchCounts?.(levelHints, never);
    expect(page?.kind === 'changes' && figures(page)).toEqual(['s9@8=5']);
    expect(connector.parseWebhook(Buffer.from('{"id":1}'), headers).levelHints).toEqual([everyItem]);
    hook.stop();
  });

  test('a token that was taken back is one line for a person', async () => {
    const { connector, account } = shipBob();
    account.api.tokens.expireAll();
    expect(await connector.checkAccess(never)).toMatchObject({ kind: 'needs-attention', reason: 'HTTP 401' });
  });
});
