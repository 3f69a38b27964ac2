import { execFile } from 'node:child_process';
import { createHmac, randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { DaemonUnderTest } from './daemon.ts';

/** Every kind of credential the daemon is given or gets, each with a text that occurs nowhere else. */
const kinds = [
  'SHOPIFY_CLIENT_SECRET',
  'SHOPIFY_ACCESS_TOKEN',
  'SHOPIFY_STATIC_TOKEN',
  'SHOPIFY_REFRESH_TOKEN',
  'SHOPIFY_WEBHOOK_SECRET',
  'TIKTOK_APP_SECRET',
  'TIKTOK_ACCESS_TOKEN',
  'TIKTOK_REFRESH_TOKEN',
  'TIKTOK_REFRESH_TOKEN_2',
  'AMAZON_CLIENT_SECRET',
  'AMAZON_REFRESH_TOKEN',
  'AMAZON_ACCESS_TOKEN',
  'AMAZON_WEBHOOK_SECRET',
  'SQS_SECRET_KEY',
  'SQS_SESSION_TOKEN',
  'WMS_CLIENT_SECRET',
  'WMS_REFRESH_TOKEN',
  'WMS_ACCESS_TOKEN',
  'WMS_WEBHOOK_TOKEN',
  'SFTP_PASSWORD',
  'MASTER_KEY',
] as const;
type Kind = (typeof kinds)[number];

const canaries = Object.fromEntries(
  kinds.map((kind) => [
    kind,
    kind === 'MASTER_KEY' ? randomBytes(24).toString('hex') : `cnry${randomBytes(7).toString('hex')}`,
  ]),
) as Record<Kind, string>;

/** Never sent to a platform as they are: they only sign, or are for another protocol. */
const neverSent = new Set<Kind>([
  'SHOPIFY_WEBHOOK_SECRET',
  'AMAZON_WEBHOOK_SECRET',
  'SQS_SECRET_KEY',
  'WMS_WEBHOOK_TOKEN',
  'SFTP_PASSWORD',
  'MASTER_KEY',
]);

/** The ways a text may be spelt in what is searched. */
function formsOf(secret: string): readonly string[] {
  const inBase64 = [0, 1, 2].map((shift) => {
    const text = Buffer.concat([Buffer.alloc(shift, 0x20), Buffer.from(secret)]).toString('base64');
    return text.slice(shift === 0 ? 0 : 4, -4);
  });
  return [secret, Buffer.from(secret).toString('hex'), ...inBase64];
}

function found(text: string): readonly Kind[] {
  return kinds.filter((kind) => formsOf(canaries[kind]).some((form) => text.includes(form)));
}

/**
 * A platform that gives out tokens and answers everything else with a failure that repeats what it was sent: as an error
 * message of each platform's own form, as a stack, as a page of text.
 */
class Parrot {
  readonly heard = new Set<Kind>();
  readonly #server: Server = createServer((request, response) => void this.#answer(request, response));
  #requests = 0;
  #tokenRequests = 0;

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async listen(): Promise<void> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
  }

  stop(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks).toString();
    const sent = `${decodeURIComponent(request.url ?? '')} ${JSON.stringify(request.headers)} ${body}`;
    const secrets = found(sent);
    for (const kind of secrets) this.heard.add(kind);
    const tokens = tokensOf(new URL(request.url ?? '/', 'http://parrot').pathname);
    const json = { 'content-type': 'application/json' };
    // Now and then the token endpoint quotes, too.
    if (tokens !== undefined && this.#tokenRequests++ % 4 !== 3) {
      response.writeHead(200, json).end(JSON.stringify(tokens));
      return;
    }
    // Short enough to survive where messages are cut.
    const quoted = `access token expired or invalid: ${secrets.map((kind) => canaries[kind]).join(' ')}`;
    const [status, code] = [
      [401, 105002],
      [403, 105005],
      [500, 36009003],
      [200, 36009004],
      [400, 12052001],
      [200, 0],
    ][this.#requests++ % 6] ?? [500, 1];
    const error = {
      code: 'Unauthorized',
      message: quoted,
      details: quoted,
      extensions: { code: 'ACCESS_DENIED' },
    };
    response.writeHead(status ?? 500, { ...json, 'x-request-id': quoted }).end(
      JSON.stringify({
        errors: [error],
        error: quoted,
        code,
        message: quoted,
        data: null,
        items: [{ sku: 5, qty: quoted }],
      }),
    );
  }
}

function tokensOf(path: string): object | undefined {
  if (path.startsWith('/api/v2/token/')) {
    const inAnHourS = Math.floor(Date.now() / 1_000) + 3_600;
    const data = {
      access_token: canaries.TIKTOK_ACCESS_TOKEN,
      refresh_token: canaries.TIKTOK_REFRESH_TOKEN_2,
      access_token_expire_in: inAnHourS,
      refresh_token_expire_in: inAnHourS,
    };
    return { code: 0, message: 'success', data, request_id: 'r' };
  }
  const token = path.startsWith('/admin/oauth')
    ? canaries.SHOPIFY_ACCESS_TOKEN
    : path.startsWith('/auth/o2/')
      ? canaries.AMAZON_ACCESS_TOKEN
      : path.startsWith('/wms-token')
        ? canaries.WMS_ACCESS_TOKEN
        : undefined;
  return token === undefined ? undefined : { access_token: token, expires_in: 3_600, token_type: 'bearer' };
}

let parrot: Parrot;
let daemon: DaemonUnderTest;
const answers: string[] = [];

beforeAll(async () => {
  parrot = new Parrot();
  await parrot.listen();
  daemon = await DaemonUnderTest.make({ shops: [], config: configuration(parrot.url) });
  daemon.start(Object.fromEntries(kinds.map((kind) => [`CANARY_${kind}`, canaries[kind]])));
  await daemon.ready();
});

afterAll(async () => {
  await daemon.remove();
  parrot.stop();
});

function configuration(url: string): Record<string, unknown> {
  const secret = (kind: Kind): string => `env:CANARY_${kind}`;
  const common = { mode: 'live', baseUrl: url, authUrl: url, poll: { intervalMs: 300, overlapMs: 1_000 } };
  const map = { sku: 'sku', onHand: 'qty' };
  return {
    logLevel: 'trace',
    masterKey: secret('MASTER_KEY'),
    locations: [
      { id: 'main' },
      { id: 'hall', authority: 'channel:hall' },
      { id: 'files', authority: 'channel:files' },
    ],
    schedules: { accessCheckMs: 1_000, subscriptionCheckMs: 1_000, fullReadMs: 1_000 },
    channels: [
      {
        ...common,
        id: 'shop-a',
        platform: 'shopify',
        shop: 'a.myshopify.com',
        locations: { '*': ['main'] },
        credentials: {
          kind: 'client-credentials',
          clientId: 'id',
          clientSecret: secret('SHOPIFY_CLIENT_SECRET'),
        },
        webhookSecrets: [secret('SHOPIFY_WEBHOOK_SECRET')],
      },
      {
        ...common,
        id: 'shop-b',
        platform: 'shopify',
        shop: 'b.myshopify.com',
        locations: { '*': ['main'] },
        credentials: {
          kind: 'refresh-token',
          clientId: 'id',
          clientSecret: secret('SHOPIFY_CLIENT_SECRET'),
          refreshToken: secret('SHOPIFY_REFRESH_TOKEN'),
        },
      },
      {
        ...common,
        id: 'shop-c',
        platform: 'shopify',
        shop: 'c.myshopify.com',
        locations: { '*': ['main'] },
        credentials: { kind: 'static', accessToken: secret('SHOPIFY_STATIC_TOKEN') },
      },
      {
        ...common,
        id: 'tiktok',
        platform: 'tiktok',
        shop: '7494049642642441621',
        locations: { '*': ['main'] },
        credentials: {
          kind: 'refresh-token',
          appKey: 'appkey',
          appSecret: secret('TIKTOK_APP_SECRET'),
          refreshToken: secret('TIKTOK_REFRESH_TOKEN'),
        },
      },
      {
        ...common,
        id: 'amazon',
        platform: 'amazon',
        sellerId: 'A1SELLER',
        marketplaceIds: ['ATVPDKIKX0DER'],
        region: 'na',
        locations: ['main'],
        credentials: {
          clientId: 'id',
          clientSecret: secret('AMAZON_CLIENT_SECRET'),
          refreshToken: secret('AMAZON_REFRESH_TOKEN'),
        },
        webhookSecrets: [secret('AMAZON_WEBHOOK_SECRET')],
        queue: {
          url: `${url}/123456789012/queue`,
          arn: 'arn:aws:sqs:us-east-1:123456789012:queue',
          endpoint: url,
          access: {
            accessKeyId: 'AKIAEXAMPLE',
            secretAccessKey: secret('SQS_SECRET_KEY'),
            sessionToken: secret('SQS_SESSION_TOKEN'),
          },
        },
      },
      {
        id: 'hall',
        platform: 'wms',
        poll: common.poll,
        offPeakIntervalMs: 300,
        locations: { '*': ['hall'] },
        webhookSecrets: [secret('WMS_WEBHOOK_TOKEN')],
        connection: {
          kind: 'http',
          baseUrl: url,
          auth: {
            kind: 'refresh-token',
            tokenUrl: `${url}/wms-token`,
            clientId: 'id',
            clientSecret: secret('WMS_CLIENT_SECRET'),
            refreshToken: secret('WMS_REFRESH_TOKEN'),
          },
          snapshot: { request: { path: '/stock' }, paging: { kind: 'none' }, rows: 'items', map },
          webhook: {
            signature: { kind: 'token', header: 'x-warehouse-token' },
            topic: { constant: 'stock' },
            topics: { stock: { kind: 'counts', rows: 'items', map } },
          },
        },
      },
      {
        id: 'files',
        platform: 'wms',
        poll: common.poll,
        offPeakIntervalMs: 300,
        locations: { '*': ['files'] },
        connection: {
          kind: 'csv',
          from: {
            kind: 'sftp',
            host: '127.0.0.1',
            port: Number(new URL(url).port),
            username: 'user',
            password: secret('SFTP_PASSWORD'),
            path: '/',
            hostKeys: [`SHA256:${'A'.repeat(43)}`],
          },
          map,
        },
      },
    ],
  };
}

async function ask(url: string, init: RequestInit = {}): Promise<number> {
  const response = await fetch(url, { signal: AbortSignal.timeout(5_000), ...init });
  answers.push(`${response.status} ${JSON.stringify([...response.headers])} ${await response.text()}`);
  return response.status;
}

async function deliver(path: string, headers: Record<string, string>, body: string): Promise<number> {
  const init = { method: 'POST', body, headers: { 'content-type': 'application/json', ...headers } };
  return ask(`${daemon.publicUrl}/webhooks/${path}`, init);
}

async function filesBelow(directory: string): Promise<string> {
  let text = '';
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true }))
    if (entry.isFile()) text += await readFile(join(entry.parentPath, entry.name), 'latin1');
  return text;
}

test('the search finds what it looks for, however it is spelt', () => {
  for (const kind of kinds) {
    const secret = canaries[kind];
    const basic = Buffer.from(`user:${secret}`).toString('base64');
    for (const text of [`..${secret}..`, basic, Buffer.from(`u:${secret}`).toString('base64')])
      expect(found(text)).toContain(kind);
  }
  expect(found('nothing here')).toEqual([]);
});

test('every credential is in use: the platform has heard each one that is ever sent', async () => {
  await daemon.until(
    async () => kinds.every((kind) => neverSent.has(kind) || parrot.heard.has(kind)),
    // What the parrot gave out is stored and used too.
    'all sent',
    100_000,
  );
  const body = '{"id":1,"line_items":[{"id":2,"quantity":"x"}]}';
  const hmac = createHmac('sha256', canaries.SHOPIFY_WEBHOOK_SECRET).update(body).digest('base64');
  const shopify = {
    'x-shopify-topic': 'orders/create',
    'x-shopify-shop-domain': 'a.myshopify.com',
    'x-shopify-webhook-id': randomUUID(),
    'x-shopify-hmac-sha256': hmac,
  };
  expect(await deliver('shopify/shop-a', shopify, body)).toBe(200);
  expect(
    await deliver('wms/hall', { 'x-warehouse-token': canaries.WMS_WEBHOOK_TOKEN }, '{"items":[{"sku":1}]}'),
  ).toBe(200);
  expect(
    await deliver(
      'amazon/amazon',
      { authorization: canaries.AMAZON_WEBHOOK_SECRET },
      '{"notificationType":"ORDER_CHANGE","notificationVersion":"1.0","payload":{}}',
    ),
  ).toBe(200);
  // Credentials where they do not belong.
  await deliver('wms/hall', { 'x-warehouse-token': `${canaries.WMS_WEBHOOK_TOKEN}!` }, '{}');
  await deliver(
    'shopify/shop-a',
    { ...shopify, 'x-shopify-hmac-sha256': canaries.SHOPIFY_WEBHOOK_SECRET },
    body,
  );
  await deliver(`shopify/shop-a?token=${canaries.SHOPIFY_WEBHOOK_SECRET}`, shopify, body);
  // A few rounds of every failure.
  await delay(6_000);
}, 180_000);

test('no answer of a listener and no operator command shows one', async () => {
  for (const path of [
    'healthz',
    'readyz',
    'metrics',
    'position',
    'stock',
    'channels',
    'parked?limit=1000',
    'ledger',
    'vault',
    'nothing',
  ]) {
    await ask(`${daemon.privateUrl}/${path}`);
  }
  await ask(`${daemon.privateUrl}/vault/rotate`, { method: 'POST' });
  await ask(`${daemon.privateUrl}/parked/retry`, { method: 'POST', body: '{"id":5}' });
  const channels = await daemon.channels();
  expect(channels.some((channel) => channel['attention'] !== undefined || channel['status'] !== 'ok')).toBe(
    true,
  );
  expect((await daemon.parked()).length).toBeGreaterThan(0);
  for (const answer of answers) expect(found(answer), answer.slice(0, 3_000)).toEqual([]);

  const cli = new URL('../../src/cli.ts', import.meta.url).pathname;
  const main = new URL('../../src/main.ts', import.meta.url).pathname;
  const config = ['--config', join(daemon.dir, 'stockmesh.yaml')];
  const env = {
    ...process.env,
    ...Object.fromEntries(kinds.map((kind) => [`CANARY_${kind}`, canaries[kind]])),
  };
  for (const args of [
    [cli, 'channels'],
    [cli, 'parked'],
    [cli, 'vault'],
    [main, '--print-config'],
  ]) {
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [...args, ...config], { env });
    expect(found(stdout + stderr), args.join(' ')).toEqual([]);
  }
});

test('nothing that Redis or the daemon keeps on disk holds one', async () => {
  const kept = await filesBelow(join(daemon.dir, 'state'));
  // Proof that this is what Redis wrote: the vault and the inbox are in it.
  expect(kept).toContain('sm:{e2e}:vault');
  expect(kept).toContain('shop-b/');
  expect(kept).toContain('a.myshopify.com');
  const seen = found(kept).map((kind) => {
    const at =
      formsOf(canaries[kind])
        .map((form) => kept.indexOf(form))
        .find((index) => index >= 0) ?? 0;
    return `${kind}: ${JSON.stringify(kept.slice(Math.max(0, at - 300), at + 60))}`;
  });
  expect(seen).toEqual([]);
});

test('neither the log at its finest level nor what a dying daemon prints shows one', async () => {
  await daemon.kill('SIGTERM');
  expect(daemon.output).toContain('CONNECTOR_ACCESS_DENIED');
  const seen = found(daemon.output).map((kind) => {
    const at = daemon.output.indexOf(canaries[kind]);
    return `${kind}: ${daemon.output.slice(Math.max(0, at - 500), at + 60)}`;
  });
  expect(seen).toEqual([]);

  // It breaks on purpose while it has them in hand.
  const env = Object.fromEntries(kinds.map((kind) => [`CANARY_${kind}`, canaries[kind]]));
  const before = daemon.output.length;
  daemon.start({ ...env, STOCKMESH_FAILPOINT: 'webhook-read@1=throw' });
  await daemon.ready();
  await deliver('wms/hall', { 'x-warehouse-token': canaries.WMS_WEBHOOK_TOKEN }, '{}');
  await daemon.kill('SIGABRT');
  expect(found(daemon.output.slice(before))).toEqual([]);
});
