import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { breaches } from '../../sandbox/posting/breaches.ts';
import { type ShopifySandbox, startShopifySandbox } from '../../sandbox/shopify/server.ts';
import { DaemonUnderTest } from './daemon.ts';

const cli = new URL('../../src/cli.ts', import.meta.url).pathname;

let sandbox: ShopifySandbox;
let daemon: DaemonUnderTest;

afterEach(async () => {
  await daemon.remove();
  await sandbox.stop();
});

interface Ran {
  readonly code: number;
  readonly out: string;
}

/** An operator's command, with JSON as its answer. */
function command(...args: string[]): Promise<Ran> {
  const config = join(daemon.dir, 'stockmesh.yaml');
  return new Promise((resolve) => {
    execFile(process.execPath, [cli, ...args, '--json', '--config', config], (failure, out, error) => {
      resolve({ code: Number(failure?.code ?? 0), out: failure === null ? out : out + error });
    });
  });
}

async function post(path: string, body: object, key?: string): Promise<Record<string, unknown>> {
  const response = await fetch(`${daemon.privateUrl}/inventory/v1/${path}`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
    },
    body: JSON.stringify(body),
  });
  return { http: response.status, ...((await response.json()) as object) };
}

test('what an agent holds leaves the shelves of the shops; given back it returns; an operator can prove it all', async () => {
  sandbox = await startShopifySandbox();
  const shops = ['shop-a', 'shop-b'].map((name) => {
    const shop = sandbox.addShop({ domain: `${name}.myshopify.com`, plan: 'plus' });
    shop.addItem({ sku: 'X', quantities: 10 });
    return shop;
  });
  const shown = (units: number) => shops.every((shop) => shop.available('X') === units);
  daemon = await DaemonUnderTest.make({ shops });
  daemon.start();
  await daemon.ready();
  await daemon.connected(1);

  // The first key closes the door to everybody without one; the operator's commands go on.
  const made = await command('keys', 'create', 'agents', '--class', 'agent');
  const key = (JSON.parse(made.out) as { token: string }).token;
  expect(await post('reservations', { sku: 'X', quantity: 1 })).toMatchObject({ http: 401 });
  expect((await fetch(`${daemon.privateUrl}/metrics`)).status).toBe(401);
  expect((await command('position')).code).toBe(0);
  expect((await command('keys', 'create', 'bad', '--class', 'agent', '--scope', 'adjust')).code).not.toBe(0);

  const ask = { sku: 'X', quantity: 4, agent_id: 'a', ttl_seconds: 300 };
  const hold = await post('reservations', ask, key);
  expect(hold).toMatchObject({ http: 201, outcome: 'held' });
  await daemon.until(async () => shown(6), 'the held units off every shelf');
  expect(await post(`reservations/${String(hold['hold_id'])}/release`, {}, key)).toMatchObject({ http: 200 });
  await daemon.until(async () => shown(10), 'the released units back on every shelf');

  // Bought on one of the shops: that shop goes on showing what its buyer is going to buy there.
  const settling = await post('reservations', { ...ask, agent_id: 'b', settles_on: 'shop-a' }, key);
  await daemon.until(
    async () => shops[0]?.available('X') === 10 && shops[1]?.available('X') === 6,
    'off the other shelf only',
  );
  const order = { channel: 'direct', order_id: 'web-1' };
  const done = await post(`reservations/${String(settling['hold_id'])}/commit`, { order }, key);
  expect(done).toMatchObject({ http: 200, outcome: 'committed' });
  await daemon.until(async () => shown(6), 'sold everywhere');

  const proof = await command('prove', 'direct:web-1');
  expect(proof.code).toBe(0);
  expect(JSON.parse(proof.out)).toMatchObject({
    decisions: [{ kind: 'reserve', outcome: 'held' }, { kind: 'commit' }],
    movements: [{ kind: 'held' }, { kind: 'hold-committed' }],
  });
  expect((await command('prove', 'direct:nothing')).code).toBe(1);
  expect(JSON.parse((await command('audit', 'verify')).out)).toMatchObject({ findings: [] });
  expect(JSON.parse((await command('ledger', 'verify')).out)).toMatchObject({ findings: [] });
  expect(breaches(sandbox.violations())).toEqual([]);

  // Keys, holds and answers outlive the process.
  expect(await daemon.kill('SIGKILL')).toMatchObject({ signal: 'SIGKILL' });
  daemon.start();
  await daemon.ready();
  const again = await post(`reservations/${String(settling['hold_id'])}/commit`, { order }, key);
  expect(again).toMatchObject({ http: 200, was_repeated: true });
  expect(JSON.parse((await command('audit', 'verify')).out)).toMatchObject({ findings: [] });
});
