import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { noCatalogue } from '../../src/domain/catalogue.ts';
import { availability } from '../../src/http/reservations/answers.ts';
import { failOnLeakedConnections } from '../support/redis-connections.ts';
import { receive } from '../support/stock.ts';
import { ReservationRig, rigSettings } from './support/reservation-rig.ts';

failOnLeakedConnections();

let rig: ReservationRig;
beforeEach(async () => {
  rig = await ReservationRig.start();
});
afterEach(() => rig.close());

describe('API keys', () => {
  test('with the first key everybody needs one; rotated, revoked and expired keys are refused in time', async () => {
    expect((await rig.call('GET', '/keys')).status).toBe(200);
    const made = await rig.call('POST', '/keys', { name: 'shop', class: 'checkout' });
    const bearer = (token: unknown) => ({ authorization: `Bearer ${String(token)}` });
    const ask = async (headers?: Record<string, string>) =>
      (await rig.call('GET', '/inventory/v1/availability?sku=S', undefined, headers)).status;
    expect(await ask()).toBe(401);
    const operator = { authorization: `Bearer smo_${'o'.repeat(43)}` };
    expect(await ask(operator)).toBe(200);
    expect(await ask(bearer(made.body['token']))).toBe(200);
    expect(await ask(bearer(`${String(made.body['token']).slice(0, -1)}_`))).toBe(401);
    const id = made.body['id'];
    const list = await rig.call('GET', '/keys', undefined, operator);
    expect(JSON.stringify(list.body)).not.toMatch(/hash/i);
    const next = await rig.call('POST', '/keys/rotate', { id, graceS: 60 }, operator);
    expect([await ask(bearer(made.body['token'])), await ask(bearer(next.body['token']))]).toEqual([
      200, 200,
    ]);
    const last = await rig.call('POST', '/keys/rotate', { id, graceS: 0 }, operator);
    expect([await ask(bearer(next.body['token'])), await ask(bearer(last.body['token']))]).toEqual([
      401, 200,
    ]);
    expect((await rig.call('POST', '/keys/revoke', { id }, operator)).status).toBe(200);
    expect(await ask(bearer(last.body['token']))).toBe(401);
    const expired = await rig.key({ class: 'checkout', expiresAtMs: rig.ledger.nowMs() - 1 });
    expect(await ask(expired)).toBe(401);
    const wrong = await rig.call(
      'POST',
      '/keys',
      { name: 'x', class: 'agent', scopes: ['adjust'] },
      operator,
    );
    expect(wrong.status).toBe(400);
  });

  test('who guesses is slowed down', async () => {
    const statuses = [];
    for (let i = 0; i < 40; i++)
      statuses.push(
        (await rig.call('GET', '/position', undefined, { authorization: 'Bearer guess' })).status,
      );
    expect(statuses[0]).toBe(401);
    expect(statuses.at(-1)).toBe(429);
  });
});

describe('while the ledger is away', () => {
  test('reservations are denied, reads follow the policy of the category, and the answer says which', async () => {
    // A Redis of its own, which can be taken away.
    const away = await ReservationRig.start({
      settings: { availability: { ...rigSettings.availability, maxAgeMs: 0 } },
      catalogue: {
        ...noCatalogue,
        categories: [{ name: 'relaxed', skus: ['R*'], consistency: 'relaxed' }],
      },
      askSource: async (of) => (of === 'SRC' ? 8 : undefined),
    });
    const source = await ReservationRig.start({
      parts: away.parts,
      settings: {
        availability: {
          ...rigSettings.availability,
          maxAgeMs: 0,
          ledgerAway: { strict: 'source', relaxed: 'cached' },
        },
      },
      askSource: async (of) => (of === 'SRC' ? 8 : undefined),
    });
    try {
      const read = async (at: ReservationRig, of: string) =>
        availability.parse((await at.call('GET', `/inventory/v1/availability?sku=${of}`)).body).items[0];
      await receive(away.parts, 'R1', 9);
      await receive(away.parts, 'S1', 9);
      await expect
        .poll(() => read(away, 'R1'), { timeout: 20_000 })
        .toMatchObject({
          available: 4,
          source: 'old_copy',
          policy: 'cached',
        });
      expect(await read(away, 'S1')).toMatchObject({ available: null, status: 'unknown', policy: 'deny' });
      expect(await read(source, 'SRC')).toMatchObject({ available: 8, source: 'channel', policy: 'source' });
      expect(await read(source, 'S2')).toMatchObject({ available: null, source: 'none', policy: 'source' });
      const exact = (await away.call('GET', '/inventory/v1/availability?sku=S1&fresh=true')).body;
      expect(availability.parse(exact).items[0]).toMatchObject({ available: 9, source: 'ledger', age_ms: 0 });
      away.parts.redis.disconnect();
      const refusedOne = await away.reserve({ sku: 'S1', quantity: 1 });
      expect([refusedOne.status, refusedOne.body['retryable']]).toEqual([503, true]);
      expect(refusedOne.headers.get('retry-after')).toBe('1');
      const fresh = (await away.call('GET', '/inventory/v1/availability?sku=S1&fresh=true')).body;
      expect(availability.parse(fresh).items[0]).toMatchObject({ available: null, policy: 'deny' });
    } finally {
      await source.close();
      await away.close();
    }
  });
});
