import { afterEach, beforeEach, expect, test } from 'vitest';
import { ApiKeys } from '../../src/http/api/api-keys.ts';
import { RecordCommands } from '../../src/ledger/record-commands.ts';
import { failOnLeakedConnections } from '../support/redis-connections.ts';
import { type LedgerParts, ledgerParts } from '../support/ledger-parts.ts';

failOnLeakedConnections();

let parts: LedgerParts;
beforeEach(async () => {
  parts = ledgerParts();
  await parts.caller.open();
});
afterEach(() => parts.close());

/** What one daemon of the merchant knows of its keys. */
async function daemon(): Promise<ApiKeys> {
  const keys = new ApiKeys(new RecordCommands(parts.caller), Date.now, (error) => {
    throw error;
  });
  await keys.reload();
  return keys;
}

test.each(['one daemon', 'two daemons'])(
  'revoked while it is rotated, it stays revoked: %s',
  async (which) => {
    const here = await daemon();
    const there = which === 'one daemon' ? here : await daemon();
    const { view, token } = await here.create({ name: 'shop', class: 'checkout', scopes: ['reserve'] });
    const [rotated, revoked] = await Promise.all([
      there.rotate(view.id, 60_000),
      here.revoke(view.id),
      there.rotate(view.id, 60_000),
    ]);
    expect(revoked?.state).toBe('revoked');
    for (const keys of [here, there, await daemon()]) {
      await keys.reload();
      for (const given of [token, rotated?.token ?? token])
        expect(['revoked', 'unknown']).toContain(keys.check(given));
      expect(keys.list()).toMatchObject([{ id: view.id, state: 'revoked' }]);
    }
    expect(await here.rotate(view.id, 60_000)).toBeUndefined();
  },
);

test('many rotations at once: every one that was answered made the next of its predecessor', async () => {
  const keys = await daemon();
  const { view } = await keys.create({ name: 'shop', class: 'checkout', scopes: ['reserve'] });
  const made = await Promise.all(Array.from({ length: 5 }, () => keys.rotate(view.id, 60_000)));
  const answers = made.map((one) => keys.check(one?.token ?? ''));
  // The newest, and the one before it for its grace.
  expect(answers.filter((answer) => answer !== 'unknown')).toHaveLength(2);
});

test('a key that does not exist is neither rotated nor revoked', async () => {
  const keys = await daemon();
  expect(await keys.rotate('aaaaaaaaaa', 1)).toBeUndefined();
  expect(await keys.revoke('aaaaaaaaaa')).toBeUndefined();
});
