import { execFile } from 'node:child_process';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { SMTPServer } from 'smtp-server';
import { Webhook } from 'standardwebhooks';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type ShopifySandbox, startShopifySandbox } from '../../sandbox/shopify/server.ts';
import type { SandboxShop } from '../../sandbox/shopify/shop.ts';
import { DaemonUnderTest } from './daemon.ts';

/** One daemon with two shops: what happens by schedule, by itself after a start, and by the commands of a person. */
const cli = new URL('../../src/cli.ts', import.meta.url).pathname;
const secret = `whsec_${Buffer.from('a secret of the receiver').toString('base64')}`;
const zone = 'Asia/Kathmandu';
let sandbox: ShopifySandbox;
let shop: SandboxShop;
let daemon: DaemonUnderTest;
let mails: string[];
let posts: { readonly headers: Record<string, string>; readonly body: string }[];
let smtp: SMTPServer;
let receiver: Server;

/** Every second of this hour and the next there; in UTC those hours are long over or still to come. */
function hoursThere(): string {
  const hour = Number(
    new Intl.DateTimeFormat('en', { timeZone: zone, hour: 'numeric', hourCycle: 'h23' }).format(),
  );
  return `* * ${hour},${(hour + 1) % 24} * * *`;
}

beforeAll(async () => {
  mails = [];
  posts = [];
  smtp = new SMTPServer({
    authOptional: true,
    disabledCommands: ['STARTTLS'],
    onData(stream, _session, done) {
      let text = '';
      stream.on('data', (chunk: Buffer) => (text += chunk.toString()));
      stream.on('end', () => {
        mails.push(text);
        done();
      });
    },
  });
  await new Promise<void>((resolve) => smtp.listen(0, '127.0.0.1', () => resolve()));
  receiver = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      posts.push({ headers: request.headers as Record<string, string>, body });
      response.end();
    });
  });
  await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve));
  sandbox = await startShopifySandbox();
  const shops = ['there', 'here'].map((name) => {
    const made = sandbox.addShop({ domain: `${name}.myshopify.com`, plan: 'plus' });
    for (const sku of ['X', 'Y']) made.addItem({ sku, quantities: 10 });
    return made;
  });
  shop = shops[0] as SandboxShop;
  const port = (server: { address(): unknown }): number => (server.address() as AddressInfo).port;
  daemon = await DaemonUnderTest.make({
    shops,
    config: {
      // Every second, whatever the hour is: the first one that the daemon can.
      reports: {
        cron: '* * * * * *',
        mailTo: ['merchant@example.com'],
        webhook: { url: `http://127.0.0.1:${port(receiver)}/reports`, signingSecret: `env:REPORT_SECRET` },
      },
      alerts: {
        mail: {
          host: '127.0.0.1',
          port: port(smtp.server),
          security: 'none',
          from: 'stockmesh@example.com',
          to: ['ops@example.com'],
          minSeverity: 'critical',
        },
      },
      reconcile: {
        mode: 'repair',
        cron: hoursThere(),
        sweepSharePercent: 0,
        pushGraceMs: 200,
        spacingMs: 100,
        lookBackMs: 60_000,
      },
    },
  });
  await daemon.changeConfig((config) => {
    const channels = config['channels'] as Record<string, unknown>[];
    Object.assign(channels[0] ?? {}, { reconcile: { timeZone: zone } });
    Object.assign(channels[1] ?? {}, { reconcile: { timeZone: 'UTC' } });
  });
  daemon.start({ REPORT_SECRET: secret });
  await daemon.ready();
  await daemon.connected(2);
}, 180_000);

afterAll(async () => {
  await daemon.remove();
  await sandbox.stop();
  await new Promise<void>((resolve) => smtp.close(() => resolve()));
  receiver.closeAllConnections();
  await new Promise((resolve) => receiver.close(resolve));
});

interface RunRow {
  readonly channel: string;
  readonly cause: string;
  readonly kind: string;
  readonly state: string;
}

function run(...args: readonly string[]): Promise<{ code: number; out: string; error: string }> {
  return new Promise((resolve) => {
    const env = { ...process.env, REPORT_SECRET: secret };
    execFile(
      process.execPath,
      [cli, ...args, '--config', daemon.configPath],
      { env },
      (failure, out, error) => {
        resolve({ code: failure === null ? 0 : Number(failure.code), out, error });
      },
    );
  });
}

const runsOf = async (channel: string): Promise<readonly RunRow[]> =>
  (await daemon.get<{ runs: RunRow[] }>(`/reconcile/runs?channel=${channel}&limit=100`)).runs;

test('after a start every channel is read once by itself', async () => {
  for (const channel of ['there', 'here']) {
    await daemon.until(
      async () =>
        (await runsOf(channel)).some(
          ({ cause, kind, state }) => cause === 'epoch' && kind === 'full' && state === 'completed',
        ),
      `${channel} read after the start`,
      90_000,
    );
  }
}, 120_000);

test('runs by cron: at the hour of the time zone that the channel names, and not at that of another', async () => {
  await daemon.until(
    async () => (await runsOf('there')).some(({ cause }) => cause === 'schedule'),
    'a scheduled run',
    // Once a minute, unless another run is waiting at that moment; then the next minute.
    140_000,
  );
  expect((await runsOf('here')).filter(({ cause }) => cause === 'schedule')).toEqual([]);
});

test('a scheduled report is mailed with its files and posted with a signature', async () => {
  await daemon.until(async () => mails.length > 0 && posts.length > 0, 'delivered', 60_000);
  const mail = mails[0] ?? '';
  expect(mail).toContain('To: merchant@example.com');
  expect(mail).toMatch(/Subject: Stock report e2e \d{4}-\d{2}-\d{2}: all channels agree/);
  for (const name of ['stock-report-', 'differences-', 'oversold-'])
    expect(mail).toContain(`filename=${name}`);
  const post = posts[0];
  const told = new Webhook(secret).verify(post?.body ?? '', post?.headers ?? {}) as {
    type: string;
    data: { id: string };
  };
  expect(told.type).toBe('report.made');
  expect(post?.headers['webhook-id']).toBe(told.data.id);
  // Kept as well: what was delivered can be fetched again.
  expect((await run('report', 'show', told.data.id, '--format', 'html')).out).toContain('<!doctype html>');
  expect(new Set(posts.map(({ headers }) => headers['webhook-id'])).size).toBe(posts.length);
});

test('a report made by command tells how long each channel takes at the published limits', async () => {
  // Both shops were read by now.
  const answer = await fetch(`${daemon.privateUrl}/reports`, { method: 'POST' });
  const { id } = (await answer.json()) as { id: string };
  const { channels } = await daemon.get<{ channels: { publishedCycleMs: number | null }[] }>(
    `/reports/${id}?format=json`,
  );
  // Two SKUs are one read of 60 points, at 100 a second.
  expect(channels.map(({ publishedCycleMs }) => publishedCycleMs)).toEqual([600, 600]);
});

test('stockmesh reconcile and drift: found without a repair, listed, shown, frozen, thawed, accepted', async () => {
  expect(await run('reconcile', 'nowhere')).toMatchObject({ code: 1 });
  expect(await run('drift', 'accept', 'nothing', '--reason', 'x')).toMatchObject({ code: 1 });
  expect((await run('drift', 'accept', 'nothing')).error).toContain('--reason TEXT is needed');
  expect(await run('drift')).toMatchObject({ code: 0 });
  shop.editStock('X', 14);
  const dry = await run('reconcile', 'there', '--dry-run', '--sku', 'X', '--json');
  const row = async () => {
    const { out } = await run('drift', 'list', 'there', '--json');
    return (JSON.parse(out) as { id: string; rule: string; verdict: string; state: string }[])[0];
  };
  // Somebody else's run (the schedule's) may have been first; then the dry run says that it is known.
  expect([0, 1]).toContain(dry.code);
  await daemon.until(async () => (await row())?.verdict === 'edited-on-channel', 'found', 60_000);
  const found = await row();
  const id = found?.id ?? '';
  expect((await run('drift')).code).toBe(1);
  expect((await run('drift', 'show', id)).out).toContain('edited-on-channel');
  expect((await run('drift', 'freeze', id, '--reason', 'stocktake')).out).toContain('frozen');
  expect(shop.available('X')).toBe(14);
  expect(await run('drift', 'thaw', id, '--reason', 'counted')).toMatchObject({ code: 0 });
  expect(await run('drift', 'accept', id, '--reason', 'four were found')).toMatchObject({ code: 0 });
  await daemon.until(async () => (await daemon.available('X')) === 14, 'the ledger follows');
  // Its base is new; a run before that has settled leaves the row unjudged.
  await daemon.until(
    async () => {
      await run('reconcile', 'there', '--sku', 'X');
      return (await row()) === undefined;
    },
    'resolved',
    90_000,
  );
  expect((await run('drift', 'resolved', 'there')).out).toContain(id);
  expect((await run('reconcile', 'runs', 'there')).out).toContain('state=completed');
  expect((await run('explain', 'X')).out).toMatch(
    /on hand 10 -> 14.*\(operator:.*: drift: adopted: four were found\)/,
  );
  expect((await run('export', 'history', '--sku', 'X')).out).toContain('four were found');
  expect(await daemon.findings()).toEqual([]);
}, 240_000);
