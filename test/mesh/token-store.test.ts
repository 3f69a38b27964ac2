import { setTimeout as delay } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { ChannelId } from '../../src/domain/ids.ts';
import { Secret } from '../../src/domain/secret.ts';
import type { LeaseResult } from '../../src/ledger/contract.ts';
import { meshKeys } from '../../src/mesh/mesh-keys.ts';
import { RedisTokenStore } from '../../src/mesh/token-store.ts';
import { Vault } from '../../src/mesh/vault.ts';
import { connectTestRedis, failOnLeakedConnections } from '../support/redis-connections.ts';
import { uniqueMerchant } from '../support/redis.ts';

failOnLeakedConnections();

const masterKey = 'k'.repeat(44);
let redis: Redis;
let prefix: string;
/** One lease table for all stores of a test, as the ledger has. */
let leases: Map<string, { holder: string; token: number }>;
const secrets: string[] = [];
const ends: [string, number | undefined][] = [];

beforeEach(() => {
  redis = connectTestRedis();
  prefix = `sm:{${uniqueMerchant()}}:`;
  leases = new Map();
  secrets.length = 0;
  ends.length = 0;
});
afterEach(() => redis.disconnect());

function store(options: { key?: string; channel?: string } = {}): RedisTokenStore {
  return new RedisTokenStore({
    vault: new Vault({
      redis,
      merchant: 'acme',
      key: meshKeys({ prefix }).vault,
      scripts: { call: () => Promise.reject(new Error('nothing is rotated here')) },
      sealing: new Secret(options.key ?? masterKey),
    }),
    channel: (options.channel ?? 'shop-a') as ChannelId,
    ledger: {
      async takeLease(name, holder): Promise<LeaseResult> {
        const held = leases.get(name);
        if (held !== undefined && held.holder !== holder)
          return { kind: 'busy', holder: held.holder, freeInMs: 20 };
        const token = (held?.token ?? 0) + 1;
        leases.set(name, { holder, token });
        return { kind: 'taken', token, untilMs: 0 };
      },
      async giveUpLease(name) {
        leases.delete(name);
      },
    },
    onSecret: (secret) => secrets.push(secret),
    onToken: (name, endsAtMs) => ends.push([name, endsAtMs]),
  });
}

test('it is told when what renews a token ends, as it is renewed and as it is loaded by the next daemon', async () => {
  await store().renew('offline', async () => ({ accessToken: 'at-1', refreshExpiresAtMs: 5_000 }));
  await store().load('offline');
  await store().renew('other', async () => ({ accessToken: 'at-2' }));
  expect(ends).toEqual([
    ['offline', 5_000],
    ['offline', 5_000],
    ['other', undefined],
  ]);
});

test('a token sealed with another master key is refused, not garbled', async () => {
  await store().renew('offline', async () => ({ accessToken: 'at-1' }));
  await expect(store({ key: 'x'.repeat(44) }).load('offline')).rejects.toMatchObject({
    code: 'VAULT_RECORD_UNREADABLE',
  });
});

test('what opens and is no token is refused', async () => {
  const vault = new Vault({
    redis,
    merchant: 'acme',
    key: meshKeys({ prefix }).vault,
    scripts: { call: () => Promise.reject(new Error('nothing is rotated here')) },
    sealing: new Secret(masterKey),
  });
  await vault.write('shop-a', 'offline', '{"accessToken":5}');
  await expect(store().load('offline')).rejects.toMatchObject({ code: 'VAULT_RECORD_UNREADABLE' });
});

test('Redis holds no readable credential, and the log is told before the token is used', async () => {
  const renewed = { accessToken: 'canary-access', refreshToken: 'canary-refresh', expiresAtMs: 5 };
  expect(await store().renew('offline', async () => renewed)).toEqual(renewed);
  const records = Object.values(await redis.hgetall(meshKeys({ prefix }).vault));
  expect(records).toHaveLength(1);
  for (const record of records) {
    expect(record).not.toMatch(/canary/);
    expect(Buffer.from(record, 'base64').toString('latin1')).not.toMatch(/canary/);
  }
  expect(secrets).toEqual(expect.arrayContaining(['canary-access', 'canary-refresh']));
  expect(await store().load('offline')).toEqual(renewed);
});

test('renewals of two daemons run one after the other, each with what the one before stored', async () => {
  const stores = [store(), store()];
  let running = 0;
  const seen: (string | undefined)[] = [];
  await Promise.all(
    Array.from({ length: 6 }, (_, at) =>
      stores[at % 2]!.renew('offline', async (stored) => {
        running++;
        expect(running).toBe(1);
        seen.push(stored?.accessToken);
        await delay(5);
        running--;
        return { accessToken: `${stored?.accessToken ?? ''}+` };
      }),
    ),
  );
  expect(seen.map((accessToken) => accessToken?.length ?? 0)).toEqual([0, 1, 2, 3, 4, 5]);
});

test('a renewal that fails frees the way for the next one', async () => {
  const made = store();
  await expect(made.renew('offline', () => Promise.reject(new Error('refused')))).rejects.toThrow('refused');
  expect(await made.renew('offline', async () => ({ accessToken: 'at-2' }))).toEqual({ accessToken: 'at-2' });
  expect(await store({ channel: 'shop-b' }).load('offline')).toBeUndefined();
});
