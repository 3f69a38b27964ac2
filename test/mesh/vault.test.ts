import { assert, property, string } from 'fast-check';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { StockmeshError } from '../../src/domain/errors.ts';
import { Secret } from '../../src/domain/secret.ts';
import { meshKeys } from '../../src/mesh/mesh-keys.ts';
import { open, rewrap, seal, wrappingKey } from '../../src/mesh/vault-envelope.ts';
import { Vault, type VaultOptions } from '../../src/mesh/vault.ts';
import { type LedgerParts, ledgerParts } from '../support/ledger-parts.ts';
import { failOnLeakedConnections } from '../support/redis-connections.ts';

failOnLeakedConnections();

const first = new Secret('1'.repeat(44));
const second = new Secret('2'.repeat(44));
const place = { merchant: 'acme', channel: 'shop-a', field: 'offline' };
const key = wrappingKey(first, 'acme');

async function failure(work: Promise<unknown>): Promise<StockmeshError> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof StockmeshError) return error;
  throw new Error(`expected a StockmeshError, got ${String(error)}`);
}

describe('the envelope', () => {
  const record = seal('{"accessToken":"at-1"}', place, key);

  test('does not open for another merchant, channel, field or master key', () => {
    for (const other of [{ merchant: 'other' }, { channel: 'shop-b' }, { field: 'online' }])
      expect(open(record, { ...place, ...other }, [key])).toEqual({ kind: 'changed' });
    // A field that spells out where another channel begins is still another place.
    expect(open(record, { ...place, channel: 'shop-a/off', field: 'line' }, [key]).kind).toBe('changed');
    expect(open(record, place, [wrappingKey(second, 'acme')])).toEqual({
      kind: 'unknown-key',
      keyId: key.id,
    });
    // One master key serves several merchants, each with a wrapping key of its own.
    expect(wrappingKey(first, 'other').key).not.toEqual(key.key);
    expect(open(record, place, [wrappingKey(first, 'other')]).kind).toBe('unknown-key');
  });

  test('does not open after any change of any byte, nor cut, nor with something added', () => {
    const bytes = Buffer.from(record);
    for (let at = 0; at < bytes.length; at++) {
      for (const bit of [1, 2, 4, 8, 16, 32, 64]) {
        const changed = Buffer.from(bytes);
        changed[at] = (bytes[at] ?? 0) ^ bit;
        expect(open(changed.toString('latin1'), place, [key]).kind, `byte ${at}, bit ${bit}`).not.toBe(
          'opened',
        );
      }
      expect(open(record.slice(0, at), place, [key]).kind, `cut at ${at}`).not.toBe('opened');
    }
    for (const added of [`${record}.`, `${record}A`, `${record}=`, ` ${record}`, `${record}\n`])
      expect(open(added, place, [key]).kind).not.toBe('opened');
    expect(open('', place, [key])).toEqual({ kind: 'changed' });
    expect(open(record, place, [key])).toEqual({ kind: 'opened', text: '{"accessToken":"at-1"}' });
  });

  test('halves of two records do not make a third', () => {
    const other = seal('{"accessToken":"at-2"}', place, key).split('.');
    const [version, id, wrapped] = record.split('.');
    expect(open([version, id, wrapped, other[3]].join('.'), place, [key])).toEqual({ kind: 'changed' });
  });

  test('never seals two texts with one data key, and hides every text', () => {
    assert(
      property(string({ maxLength: 300, unit: 'binary' }), (text) => {
        const [a, b] = [seal(text, place, key), seal(text, place, key)];
        expect(a.split('.')[2]).not.toBe(b.split('.')[2]);
        if (text.length > 8) expect(a).not.toContain(text);
        const under = wrappingKey(second, 'acme');
        const moved = rewrap(a, place, [key], under);
        if (moved.kind !== 'rewrapped') throw new Error(moved.kind);
        // Only the wrapped data key is new.
        expect(moved.record.split('.')[3]).toBe(a.split('.')[3]);
        for (const sealed of [open(a, place, [key]), open(moved.record, place, [under])])
          expect(sealed).toEqual({ kind: 'opened', text: text.toWellFormed() });
        expect(open(moved.record, place, [key]).kind).toBe('unknown-key');
      }),
      { numRuns: 40 },
    );
  });

  test('a record that was changed is not re-wrapped either', () => {
    const cut = `${record.slice(0, -8)}AAAAAAAA`;
    expect(rewrap(cut, place, [key], wrappingKey(second, 'acme'))).toEqual({ kind: 'changed' });
  });
});

describe('the vault in Redis', () => {
  let parts: LedgerParts;
  let vaultKey: string;
  beforeEach(() => {
    parts = ledgerParts();
    vaultKey = meshKeys(parts.keys).vault;
  });
  afterEach(() => parts.close());

  function vault(options: Partial<VaultOptions> = {}): Vault {
    const { redis, merchant, caller } = parts;
    return new Vault({ redis, merchant, key: vaultKey, scripts: caller, sealing: first, ...options });
  }

  test('another master key is noticed at start, before anything was stored', async () => {
    await vault().check();
    const error = await failure(vault({ sealing: second }).check());
    expect(error.code).toBe('VAULT_KEY_UNKNOWN');
    expect(error.message).toContain((await vault().state()).sealingKey);
    expect(error.message).not.toMatch(/1{8}|2{8}/);
    await expect(vault({ sealing: second, opening: [first] }).check()).resolves.toBeUndefined();
    // The refused daemon left nothing behind that would refuse the right one.
    await expect(vault().check()).resolves.toBeUndefined();
  });

  test('one damaged record concerns its own channel only, with a typed error', async () => {
    await vault().write('shop-a', 'offline', 'secret-a');
    await vault().write('shop-b', 'offline', 'secret-b');
    await parts.redis.hset(vaultKey, 'shop-a/offline', 'v1.something');
    await vault().check();
    expect(await failure(vault().read('shop-a', 'offline'))).toMatchObject({
      code: 'VAULT_RECORD_UNREADABLE',
      fields: { channel: 'shop-a', field: 'offline' },
    });
    expect(await vault().read('shop-b', 'offline')).toBe('secret-b');
    expect(await vault().read('shop-c', 'offline')).toBeUndefined();
    expect(await vault().rotate()).toMatchObject({ unreadable: [expect.stringContaining('shop-a/offline')] });
  });

  test('a record put into the place of another one does not open there', async () => {
    await vault().write('shop-a', 'offline', 'secret-a');
    await parts.redis.hset(
      vaultKey,
      'shop-b/offline',
      (await parts.redis.hget(vaultKey, 'shop-a/offline')) ?? '',
    );
    expect((await failure(vault().read('shop-b', 'offline'))).message).toContain('copied from another place');
  });

  test('rotation: both keys read meanwhile, a repeat goes on where the first one was cut, then one key is enough', async () => {
    await vault().check();
    for (let at = 0; at < 8; at++) await vault().write(`shop-${at}`, 'offline', `secret-${at}`);
    let calls = 0;
    const dies: VaultOptions['scripts'] = {
      call(command, args) {
        if (++calls > 4) return Promise.reject(new Error('the process was killed'));
        return parts.caller.call(command, args);
      },
    };
    const rotating = vault({ sealing: second, opening: [first], scripts: dies });
    await expect(rotating.rotate()).rejects.toThrow('killed');
    // Half of them are under either key now; a daemon of the old set-up and of the new one read all.
    const halfway = new Set((await vault().state()).records.map((record) => record.key));
    expect(halfway.size).toBe(2);
    const both = [vault({ opening: [second] }), vault({ sealing: second, opening: [first] })];
    for (const reader of both)
      for (let at = 0; at < 8; at++) expect(await reader.read(`shop-${at}`, 'offline')).toBe(`secret-${at}`);
    expect(await failure(vault({ sealing: second }).check())).toMatchObject({ code: 'VAULT_KEY_UNKNOWN' });

    const resumed = await vault({ sealing: second, opening: [first] }).rotate();
    expect(resumed).toMatchObject({ rewrapped: 5, already: 4, unreadable: [] });
    await vault({ sealing: second }).check();
    for (let at = 0; at < 8; at++)
      expect(await vault({ sealing: second }).read(`shop-${at}`, 'offline')).toBe(`secret-${at}`);
    expect(await failure(vault().read('shop-1', 'offline'))).toMatchObject({
      code: 'VAULT_RECORD_UNREADABLE',
    });
  });

  test('a token renewed during the rotation is not overwritten by the one before', async () => {
    await vault().write('shop-a', 'offline', 'before');
    const renewsMeanwhile: VaultOptions['scripts'] = {
      async call(command, args) {
        if ((await vault({ opening: [second] }).read('shop-a', 'offline')) === 'before')
          await vault().write('shop-a', 'offline', 'renewed');
        return parts.caller.call(command, args);
      },
    };
    const report = await vault({ sealing: second, opening: [first], scripts: renewsMeanwhile }).rotate();
    expect(report).toMatchObject({ rewrapped: 1 });
    expect(await vault({ sealing: second }).read('shop-a', 'offline')).toBe('renewed');
  });

  test('rotations, renewals and readers at once: every reader sees a whole and current token', async () => {
    const keys = [first, second, new Secret('3'.repeat(44))];
    await vault().write('shop-a', 'offline', '0');
    const progress = { written: 0, isOver: false };
    const reading = (async () => {
      for (let last = 0; !progress.isOver;) {
        const seen = Number(await vault({ opening: keys }).read('shop-a', 'offline'));
        expect(seen).toBeGreaterThanOrEqual(last);
        last = seen;
      }
    })();
    const writing = (async () => {
      for (let at = 1; at <= 60; at++) {
        await vault({ sealing: keys[at % 3]! }).write('shop-a', 'offline', String(at));
        progress.written = at;
        await delay(1);
      }
    })();
    for (let at = 0; progress.written < 60; at++)
      await vault({ sealing: keys[at % 3]!, opening: keys }).rotate();
    await writing;
    progress.isOver = true;
    await reading;
    expect(await vault({ opening: keys }).read('shop-a', 'offline')).toBe('60');
  });
});
