import { afterEach, beforeEach, expect, test } from 'vitest';
import { never, rejection } from '../shopify/parts.ts';
import { type Rig, refFor, rigFor } from './parts.ts';

let rig: Rig;
beforeEach(async () => {
  rig = await rigFor();
  rig.seller.addListing({ sku: 'MUG-1', quantity: 5 });
});
afterEach(() => rig.close());

const read = (of: Rig['connector'] = rig.connector) => of.readStock([refFor('MUG-1')], never);

test.each([
  ['a revoked authorisation', 'invalid_grant', () => rig.seller.tokens.revoke()],
  ['another client secret', 'invalid_client', () => (rig.seller.tokens.credentials.clientSecret = 'new')],
])('%s is told with what to do, and no secret', async (_what, code, harm) => {
  harm();
  const error = await rejection(read());
  expect(error.code).toBe('CONNECTOR_ACCESS_DENIED');
  expect(String(error.fields['reason'])).toContain(code);
  expect(String(error.fields['remedy'])).not.toBe('');
  const report = await rig.connector.checkAccess(never);
  expect(report).toMatchObject({ kind: 'needs-attention' });
  const told = JSON.stringify([error, error.message, report, rig.log.lines]);
  for (const secret of ['amzn1.oa2-cs.v1.sandbox', 'Atzr|']) expect(told).not.toContain(secret);
});

test('an outage of the token endpoint is no loss of access', async () => {
  rig.seller.setFaults([{ kind: 'status', operation: 'token', status: 503 }]);
  const error = await rejection(read());
  expect(error.code).toBe('CONNECTOR_UNREACHABLE');
  expect(error.retryable).toBe(true);
});

test('a token that the API calls expired is renewed once, and the request goes again', async () => {
  await read();
  rig.seller.tokens.expireAll();
  expect((await read()).rows).toHaveLength(1);
  expect(rig.seller.tokens.issued).toBe(2);
});

test('a fresh token that is refused again ends the request', async () => {
  await read();
  rig.seller.settings.tokenTtlMs = 0;
  rig.seller.tokens.expireAll();
  const error = await rejection(read());
  expect(error.code).toBe('CONNECTOR_ACCESS_DENIED');
  expect(rig.seller.tokens.issued).toBe(2);
});

test('many callers of two daemons share one renewal', async () => {
  const other = rig.second();
  await Promise.all(Array.from({ length: 20 }, (_call, index) => read(index % 2 === 0 ? other : undefined)));
  expect(rig.seller.tokens.issued).toBe(1);
  rig.seller.tokens.expireAll();
  await Promise.all(Array.from({ length: 20 }, (_call, index) => read(index % 2 === 0 ? other : undefined)));
  expect(rig.seller.tokens.issued).toBe(2);
});

test('a token is renewed ahead of its end while it is still used', async () => {
  await read();
  rig.advance(3_600_000 - 200_000);
  await read();
  await expect.poll(() => rig.seller.tokens.issued).toBe(2);
  rig.advance(200_001);
  await read();
  expect(rig.seller.tokens.issued).toBe(2);
});

test('a stored token of another daemon is used as it is', async () => {
  await read();
  await read(rig.second());
  expect(rig.seller.tokens.issued).toBe(1);
});

test("the application's own token never stands for the seller's, nor the other way round", async () => {
  await rig.connector.subscribe({ callbackUrl: '' }, never);
  await read();
  expect(rig.sandbox.violations()).toEqual([]);
  expect([...rig.tokens.stored.keys()].toSorted()).toEqual([
    'lwa:grantless:sellingpartnerapi::notifications',
    `lwa:seller:${rig.seller.sellerId}`,
  ]);
});

test('a missing role is told as one, and costs one token however often it is met', async () => {
  await read();
  rig.seller.setFaults([{ kind: 'status', operation: 'searchListingsItems', status: 403 }]);
  for (let time = 0; time < 3; time++) {
    const error = await rejection(read());
    expect(error.code).toBe('CONNECTOR_ACCESS_DENIED');
    expect(String(error.fields['remedy'])).toContain('roles');
  }
  expect(rig.seller.tokens.issued).toBe(2);
});
