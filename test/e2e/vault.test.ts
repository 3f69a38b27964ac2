import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { access, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type ShopifySandbox, startShopifySandbox } from '../../sandbox/shopify/server.ts';
import { DaemonUnderTest } from './daemon.ts';

interface State {
  readonly sealingKey: string;
  readonly records: readonly { readonly name: string; readonly key: string }[];
}

const cli = new URL('../../src/cli.ts', import.meta.url).pathname;
const env = {
  SM_E2E_KEY_1: randomBytes(32).toString('base64'),
  SM_E2E_KEY_2: randomBytes(32).toString('base64'),
};
let sandbox: ShopifySandbox;
let daemon: DaemonUnderTest;

beforeAll(async () => {
  sandbox = await startShopifySandbox();
  const shops = ['shop-a', 'shop-b'].map((name) => {
    const shop = sandbox.addShop({ domain: `${name}.myshopify.com`, plan: 'plus' });
    shop.addItem({ sku: 'X', quantities: 10 });
    const exchange = shop.tokens.exchange.bind(shop.tokens);
    shop.tokens.exchange = (parameters) => {
      tokensIssued++;
      return exchange(parameters);
    };
    return shop;
  });
  daemon = await DaemonUnderTest.make({ shops });
});

afterAll(async () => {
  await daemon.remove();
  await sandbox.stop();
});

function rotate(): Promise<{ code: number; out: string }> {
  const args = [cli, 'vault', 'rotate', '--json', '--config', join(daemon.dir, 'stockmesh.yaml')];
  return new Promise((resolve) => {
    execFile(process.execPath, args, { env: { ...process.env, ...env } }, (failure, out) => {
      resolve({ code: failure === null ? 0 : Number(failure.code), out });
    });
  });
}

async function start(extra: Readonly<Record<string, string>> = {}): Promise<State> {
  daemon.start({ ...env, ...extra });
  await daemon.ready();
  await daemon.connected(1);
  return daemon.get<State>('/vault');
}

const keyFile = (): string => join(daemon.dir, 'state/master.key');
const keysOf = (state: State): ReadonlySet<string> => new Set(state.records.map((record) => record.key));
/** Tokens that were stored are used again: no shop is asked for a new one. */
let tokensIssued = 0;
let issuedAtFirst = 0;

test('a key kept in the data directory is replaced, and a rotation that was killed is finished by the next', async () => {
  const first = await start({ STOCKMESH_FAILPOINT: 'vault-rewrapped@2=kill' });
  expect(first.records.map(({ name }) => name)).toEqual([
    '/check',
    'shop-a/shopify:shop-a.myshopify.com',
    'shop-b/shopify:shop-b.myshopify.com',
  ]);
  expect(keysOf(first)).toEqual(new Set([first.sealingKey]));
  issuedAtFirst = tokensIssued;
  expect(issuedAtFirst).toBe(2);
  const oldKey = await readFile(keyFile(), 'utf8');
  expect(await rotate()).toMatchObject({ code: 1 });
  expect(await daemon.exited()).toMatchObject({ signal: 'SIGKILL' });

  const second = await start();
  expect(daemon.output).toContain('run vault rotate');
  expect(keysOf(second).size).toBe(2);
  expect(second.sealingKey).not.toBe(first.sealingKey);
  const report = JSON.parse((await rotate()).out) as unknown;
  expect(report).toMatchObject({ isComplete: true, rewrapped: 1, already: 2, unreadable: [] });
  await expect(access(`${keyFile()}.next`)).rejects.toThrow('ENOENT');
  expect(await readFile(keyFile(), 'utf8')).not.toBe(oldKey);

  await daemon.kill('SIGTERM');
  const third = await start();
  expect(third.sealingKey).toBe(second.sealingKey);
  expect(keysOf(third)).toEqual(new Set([second.sealingKey]));
  expect(tokensIssued).toBe(issuedAtFirst);
}, 120_000);

test('a configured key takes over from the kept one, and another one from it', async () => {
  await daemon.kill('SIGTERM');
  await daemon.changeConfig((config) => (config['masterKey'] = 'env:SM_E2E_KEY_1'));
  expect(keysOf(await start()).size).toBe(1);
  expect(await rotate()).toMatchObject({ code: 0 });
  await daemon.kill('SIGTERM');
  await rm(keyFile());

  await daemon.changeConfig((config) => {
    config['masterKey'] = 'env:SM_E2E_KEY_2';
    config['otherMasterKeys'] = ['env:SM_E2E_KEY_1'];
  });
  const state = await start();
  expect([...keysOf(state)]).not.toContain(state.sealingKey);
  expect(await rotate()).toMatchObject({ code: 0 });
  await daemon.kill('SIGTERM');
  await daemon.changeConfig((config) => delete config['otherMasterKeys']);
  expect(keysOf(await start())).toEqual(new Set([state.sealingKey]));
  expect(tokensIssued).toBe(issuedAtFirst);
}, 120_000);

test('a wrong master key is a start error that says so, and changes nothing', async () => {
  await daemon.kill('SIGTERM');
  await daemon.changeConfig((config) => (config['masterKey'] = 'env:SM_E2E_KEY_1'));
  daemon.start(env);
  expect(await daemon.exited()).toMatchObject({ code: 78 });
  const [line] = daemon.output
    .split('\n')
    .filter((text) => text.startsWith('stockmesh: VAULT_KEY_UNKNOWN'))
    .slice(-1);
  expect(line).toContain('Set masterKey, or otherMasterKeys, to that key');
  expect(daemon.output).not.toContain(env.SM_E2E_KEY_1);

  await daemon.changeConfig((config) => (config['masterKey'] = 'env:SM_E2E_SHORT'));
  daemon.start({ ...env, SM_E2E_SHORT: 'too-short' });
  expect(await daemon.exited()).toMatchObject({ code: 78 });
  expect(daemon.output).toContain('MASTER_KEY_UNUSABLE');

  await daemon.changeConfig((config) => (config['masterKey'] = 'env:SM_E2E_KEY_2'));
  await start();
  expect(tokensIssued).toBe(issuedAtFirst);
});
