import { readFileSync } from 'node:fs';
import nock from 'nock';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { WriteBatch, WriteRow } from '../../../src/connectors/connector.ts';
import { never, rejection, rigFor, shopDomain } from './parts.ts';

const base = `https://${shopDomain}`;
const path = '/admin/api/2026-10/graphql.json';
const json = { 'content-type': 'application/json; charset=utf-8' };

const row = (from: number, to: number, itemId = '53469430055218', locationId = '106318430514'): WriteRow => ({
  ref: { key: `${itemId}@${locationId}`, itemId, locationId },
  from,
  to,
});
const rows = (count: number, from: number, to: number) =>
  Array.from({ length: count }, (_, index) => row(from, to, String(1_000 + index)));
const batch = (
  kind: WriteBatch['kind'],
  list: readonly WriteRow[],
  key = 'b1b1d0a4-0000-4000-8000-000000000001',
): WriteBatch => ({
  key,
  kind,
  reference: '7-1842',
  rows: list,
});

interface Sent {
  readonly query: string;
  readonly variables: { readonly input: Record<string, unknown>; readonly idempotencyKey: string };
}

function rowOf(sent: readonly Sent[], list: 'changes' | 'quantities'): unknown {
  return (sent[0]?.variables.input[list] as unknown[] | undefined)?.[0];
}

function shopAnswers(...answers: [number, unknown, Record<string, string>?][]): Sent[] {
  const sent: Sent[] = [];
  for (const [status, body, headers] of answers) {
    nock(base)
      .post(path)
      .reply(async (request: Request) => {
        sent.push((await request.json()) as Sent);
        return [status, body as Record<string, unknown>, headers ?? json];
      });
  }
  return sent;
}

const payload = (field: string, group: unknown, userErrors: unknown[] = []) => ({
  data: { [field]: { inventoryAdjustmentGroup: group, userErrors } },
  extensions: {
    cost: {
      requestedQueryCost: 13,
      actualQueryCost: 13,
      throttleStatus: { maximumAvailable: 2000, currentlyAvailable: 1986, restoreRate: 100 },
    },
  },
});
const adjusted = (...errors: unknown[]) =>
  payload(
    'inventoryAdjustQuantities',
    errors.length > 0
      ? null
      : { id: 'gid://shopify/InventoryAdjustmentGroup/1', createdAt: '2026-11-21T00:00:00Z', changes: [] },
    errors,
  );
const userError = (code: string, index?: number, list = 'changes') => ({
  code,
  field: index === undefined ? null : ['input', list, String(index), 'changeFromQuantity'],
  message: `message of ${code}`,
});
const topLevel = (code: string, data: unknown = { inventoryAdjustQuantities: null }, restoreRate = 100) => ({
  errors: [{ message: `message of ${code}`, extensions: { code } }],
  ...(data === undefined ? {} : { data }),
  extensions: {
    cost: {
      requestedQueryCost: 10,
      actualQueryCost: null,
      throttleStatus: { maximumAvailable: 2000, currentlyAvailable: 4, restoreRate },
    },
  },
});

beforeEach(() => nock.disableNetConnect());
afterEach(() => {
  nock.cleanAll();
  nock.enableNetConnect();
});

describe('never sends', () => {
  test.each([
    ['a plain absolute write', batch('put', [row(5, 3)])],
    ['an empty batch', batch('lower', [])],
    ['more than 250 lowerings', batch('lower', rows(251, 5, 4))],
    ['more raises than the small batch', batch('raise', rows(11, 5, 6))],
    ['a blank key', batch('lower', [row(5, 4)], '  ')],
    ['a listing twice', batch('lower', [row(5, 4), row(4, 3)])],
    ['a lowering that raises', batch('lower', [row(4, 5)])],
    ['a raise that lowers', batch('raise', [row(5, 4)])],
  ])('%s', async (_name, bad) => {
    const sent = shopAnswers([200, adjusted()]);
    expect((await rejection(rigFor().connector.write(bad, never))).code).toBe('CONNECTOR_REQUEST_REFUSED');
    expect(sent).toEqual([]);
  });

  test.each([
    ['a fraction', 1.5, 0],
    ['not a number', Number.NaN, 0],
    ['a delta beyond the limit', 1_500_000_000, -1_500_000_000],
    ['beyond 2^53', 2 ** 53, 0],
  ])('a row with %s: it is rejected, the others are not applied', async (_name, from, to) => {
    const sent = shopAnswers([200, adjusted()]);
    const result = await rigFor().connector.write(batch('lower', [row(from, to), row(5, 4, '2')]), never);
    expect(result.rows).toMatchObject([{ kind: 'rejected', isPermanent: true }, { kind: 'not-applied' }]);
    expect(sent).toEqual([]);
  });

  test('rows that change nothing', async () => {
    const sent = shopAnswers([200, adjusted()]);
    expect((await rigFor().connector.write(batch('lower', [row(5, 5)]), never)).rows).toEqual([
      { kind: 'confirmed' },
    ]);
    expect(sent).toEqual([]);
  });

  test('to a level that was last seen inactive', async () => {
    const level = {
      id: 'gid://shopify/InventoryLevel/1?inventory_item_id=7',
      isActive: false,
      quantities: [{ name: 'available', quantity: 7 }],
    };
    const item = {
      __typename: 'InventoryItem',
      id: 'gid://shopify/InventoryItem/7',
      tracked: true,
      inventoryLevel: level,
    };
    const sent = shopAnswers([200, { data: { nodes: [item] } }], [200, adjusted()]);
    const { connector } = rigFor();
    const read = await connector.readStock([row(0, 0, '7').ref], never);
    expect(read.rows).toMatchObject([{ value: 7, isActive: false }]);
    const result = await connector.write(batch('raise', [row(7, 9, '7'), row(1, 2, '8')]), never);
    expect(result.rows).toMatchObject([{ kind: 'rejected', isPermanent: false }, { kind: 'not-applied' }]);
    expect(sent).toHaveLength(1);
  });
});

describe('nothing was applied, says a throw', () => {
  test.each([
    ['a frozen shop', 402, 'CONNECTOR_ACCESS_DENIED'],
    ['a forbidden app', 403, 'CONNECTOR_ACCESS_DENIED'],
    ['a shop that is not there', 404, 'CONNECTOR_ACCESS_DENIED'],
    ['a locked shop', 423, 'CONNECTOR_ACCESS_DENIED'],
    ['a token that is not accepted', 401, 'CONNECTOR_ACCESS_DENIED'],
    ['a redirect', 302, 'CONNECTOR_REQUEST_REFUSED'],
    ['a request that is called wrong', 400, 'CONNECTOR_REQUEST_REFUSED'],
  ])('after %s', async (_name, status, code) => {
    nock(base)
      .post(path)
      .reply(status, {}, { ...json, location: 'https://elsewhere.example/' });
    const error = await rejection(rigFor().connector.write(batch('lower', [row(5, 4)]), never));
    expect(error.code).toBe(code);
    expect(error.fields['isSent'] ?? false).toBe(false);
  });

  test.each(['BAD_REQUEST', 'INVALID_FIELD_ARGUMENTS', 'INVALID_VARIABLE'])('after %s', async (code) => {
    shopAnswers([200, topLevel(code)]);
    expect((await rejection(rigFor().connector.write(batch('lower', [row(5, 4)]), never))).code).toBe(
      'CONNECTOR_REQUEST_REFUSED',
    );
  });

  test('after a missing scope, which is named', async () => {
    shopAnswers([
      200,
      {
        errors: [
          {
            message:
              'Access denied for inventoryAdjustQuantities field. Required access: `write_inventory` access scope.',
            extensions: { code: 'ACCESS_DENIED' },
          },
        ],
        data: null,
      },
    ]);
    const error = await rejection(rigFor().connector.write(batch('lower', [row(5, 4)]), never));
    expect(error).toMatchObject({
      code: 'CONNECTOR_ACCESS_DENIED',
      message: expect.stringContaining('write_inventory') as string,
    });
  });

  test('after a key that Shopify knows with other rows', async () => {
    shopAnswers([200, adjusted(userError('IDEMPOTENCY_KEY_PARAMETER_MISMATCH'))]);
    const error = await rejection(rigFor().connector.write(batch('lower', [row(5, 4)]), never));
    expect(error).toMatchObject({
      code: 'CONNECTOR_KEY_MISMATCH',
      retryable: false,
      fields: { reference: '7-1842' },
    });
  });
});

describe('the outcome is unknown', () => {
  const outcome = async (prepare: () => void) => {
    prepare();
    const result = await rigFor().connector.write(batch('lower', [row(5, 4), row(3, 1, '2')]), never);
    return result.rows.map(({ kind }) => kind);
  };
  const both = ['unknown', 'unknown'];

  test.each([500, 502, 503, 504, 408])('after HTTP %i', async (status) => {
    expect(await outcome(() => nock(base).post(path).reply(status, 'html'))).toEqual(both);
  });

  test('after a connection that broke', async () => {
    expect(
      await outcome(() =>
        nock(base)
          .post(path)
          .replyWithError(Object.assign(new Error('reset'), { code: 'ECONNRESET' })),
      ),
    ).toEqual(both);
  });

  test.each([
    ['half an answer', 200, '{"data":{"inventoryAdjust', json],
    ['HTML with status 200', 200, '<html>', { 'content-type': 'text/html' }],
    ['an answer without data', 200, '{}', json],
    ['an empty payload', 200, '{"data":{"inventoryAdjustQuantities":null}}', json],
    ['neither a change nor an error', 200, JSON.stringify(payload('inventoryAdjustQuantities', null)), json],
    [
      'an error without a code',
      200,
      JSON.stringify({ errors: [{ message: 'oops' }], data: { inventoryAdjustQuantities: null } }),
      json,
    ],
    ['an internal error', 200, JSON.stringify(topLevel('INTERNAL_SERVER_ERROR')), json],
  ])('after %s', async (_name, status, body, headers) => {
    expect(await outcome(() => nock(base).post(path).reply(status, body, headers))).toEqual(both);
  });

  test.each(['IDEMPOTENCY_CONCURRENT_REQUEST', 'SERVICE_UNAVAILABLE'])('after %s', async (code) => {
    expect(await outcome(() => shopAnswers([200, adjusted(userError(code))]))).toEqual(both);
  });
});

describe('userErrors', () => {
  const three = [row(5, 7, '1'), row(5, 7, '2'), row(5, 7, '3')];
  const kinds = async (kind: WriteBatch['kind'], ...errors: unknown[]) => {
    const field = kind === 'repair' ? 'inventorySetQuantities' : 'inventoryAdjustQuantities';
    shopAnswers([200, payload(field, null, errors)]);
    return (await rigFor().connector.write(batch(kind, three), never)).rows;
  };

  test('name the stale row; the others were not applied', async () => {
    expect(await kinds('raise', userError('CHANGE_FROM_QUANTITY_STALE', 1))).toEqual([
      { kind: 'not-applied' },
      { kind: 'stale' },
      { kind: 'not-applied' },
    ]);
    expect(await kinds('repair', userError('CHANGE_FROM_QUANTITY_STALE', 2, 'quantities'))).toMatchObject([
      {},
      {},
      { kind: 'stale' },
    ]);
  });

  test('without a row concern every row', async () => {
    expect(await kinds('raise', userError('CHANGE_FROM_QUANTITY_STALE'))).toEqual(
      [1, 2, 3].map(() => ({ kind: 'stale' })),
    );
  });

  test('spend the key after a failed attempt', async () => {
    expect(await kinds('raise', userError('IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED'))).toMatchObject(
      [1, 2, 3].map(() => ({ kind: 'key-spent' })),
    );
  });

  test.each([
    'INVALID_INVENTORY_ITEM',
    'INVALID_LOCATION',
    'NON_MUTABLE_INVENTORY_ITEM',
    'INVALID_QUANTITY_TOO_HIGH',
  ])('reject a row for good: %s', async (code) => {
    expect(await kinds('raise', userError(code, 0))).toMatchObject([
      { kind: 'rejected', isPermanent: true, reason: expect.stringContaining(code) as string },
      { kind: 'not-applied' },
      { kind: 'not-applied' },
    ]);
  });

  test.each(['ADJUST_QUANTITIES_FAILED', 'SOMETHING_NEW'])('reject a row for now: %s', async (code) => {
    expect(await kinds('raise', userError(code, 0))).toMatchObject([
      { kind: 'rejected', isPermanent: false },
      {},
      {},
    ]);
  });

  test('with several rows at fault name each', async () => {
    expect(
      await kinds('raise', userError('CHANGE_FROM_QUANTITY_STALE', 0), userError('INVALID_LOCATION', 2)),
    ).toMatchObject([{ kind: 'stale' }, { kind: 'not-applied' }, { kind: 'rejected' }]);
  });

  test('beside a group believe the group, row by row', async () => {
    const change = {
      name: 'available',
      delta: 2,
      item: { id: 'gid://shopify/InventoryItem/1' },
      location: { id: 'gid://shopify/Location/106318430514' },
    };
    shopAnswers([
      200,
      payload('inventoryAdjustQuantities', { id: 'g', changes: [change] }, [
        userError('INVALID_LOCATION', 1),
      ]),
    ]);
    const result = await rigFor().connector.write(batch('raise', three), never);
    expect(result.rows).toMatchObject([{ kind: 'confirmed' }, { kind: 'rejected' }, { kind: 'unknown' }]);
  });
});

describe('throttling', () => {
  test('by cost tells the wait that the bucket needs', async () => {
    shopAnswers([200, topLevel('THROTTLED', undefined)]);
    const rig = rigFor();
    const result = await rig.connector.write(batch('lower', [row(5, 4)]), never);
    expect(result).toMatchObject({ rows: [{ kind: 'not-applied' }], throttledForMs: 60 });
    expect(rig.limiter.learned).toMatchObject([
      { capacity: 2000, available: 4, refillPerS: 100, pauseMs: 60 },
    ]);
  });

  test('by HTTP 429 tells Retry-After in milliseconds', async () => {
    shopAnswers([429, {}, { ...json, 'retry-after': '2.0' }]);
    expect((await rigFor().connector.write(batch('lower', [row(5, 4)]), never)).throttledForMs).toBe(2_000);
  });

  test('before sending, when our own share is used up: nothing goes out', async () => {
    // Six seconds until there is enough again: none of them has to pass unnoticed between the two writes.
    const sent = shopAnswers([200, topLevel('THROTTLED', undefined, 1)], [200, adjusted()]);
    const rig = rigFor({ maxWriteWaitMs: 20 });
    await rig.connector.write(batch('lower', [row(5, 4)]), never);
    const result = await rig.connector.write(batch('lower', [row(5, 4)]), never);
    expect(result.rows).toEqual([{ kind: 'not-applied' }]);
    expect(result.throttledForMs).toBeGreaterThan(20);
    expect(sent).toHaveLength(1);
  });

  test('every answer teaches the limiter, and the next call reserves what the last one cost', async () => {
    shopAnswers([200, adjusted()], [200, adjusted()]);
    const rig = rigFor();
    await rig.connector.write(batch('lower', [row(5, 4)]), never);
    await rig.connector.write(batch('lower', [row(4, 3)], 'another'), never);
    expect(rig.limiter.learned[0]).toMatchObject({ capacity: 2000, available: 1986, refillPerS: 100 });
    expect(rig.limiter.acquired).toEqual([13, 13]);
  });
});

describe('what is sent', () => {
  test('a lowering: deltas without precondition, but with the field present', async () => {
    const sent = shopAnswers([200, adjusted()]);
    const result = await rigFor().connector.write(batch('lower', rows(250, 5, 3)), never);
    expect(result.rows.every(({ kind }) => kind === 'confirmed')).toBe(true);
    expect(result.platformReference).toBe('gid://shopify/InventoryAdjustmentGroup/1');
    expect(sent[0]?.query).toContain('@idempotent(key: $idempotencyKey)');
    const input = sent[0]?.variables.input ?? {};
    const idempotencyKey = sent[0]?.variables.idempotencyKey;
    expect(idempotencyKey).toBe('b1b1d0a4-0000-4000-8000-000000000001');
    expect(input).toMatchObject({
      name: 'available',
      reason: 'correction',
      referenceDocumentUri: 'gid://stockmesh/LedgerEntry/7-1842',
    });
    const changes = input['changes'] as Record<string, unknown>[];
    expect(changes).toHaveLength(250);
    expect(changes[0]).toEqual({
      inventoryItemId: 'gid://shopify/InventoryItem/1000',
      locationId: 'gid://shopify/Location/106318430514',
      delta: -2,
      changeFromQuantity: null,
    });
  });

  test('a raise: deltas on condition of the belief', async () => {
    const sent = shopAnswers([200, adjusted()]);
    await rigFor().connector.write(batch('raise', [row(-2, 3)]), never);
    expect(rowOf(sent, 'changes')).toMatchObject({
      delta: 5,
      changeFromQuantity: -2,
    });
  });

  test('a repair: the only absolute write, with its condition', async () => {
    const sent = shopAnswers([200, payload('inventorySetQuantities', { id: 'g', changes: [] })]);
    await rigFor().connector.write(batch('repair', [row(9, 4)]), never);
    expect(sent[0]?.query).toContain('inventorySetQuantities');
    expect(rowOf(sent, 'quantities')).toMatchObject({
      quantity: 4,
      changeFromQuantity: 9,
    });
    expect(sent[0]?.variables.input['name']).toBe('available');
  });

  test('a repeat is the same request to the byte', async () => {
    const bodies: string[] = [];
    nock(base)
      .post(path)
      .twice()
      .reply(async (request: Request) => {
        bodies.push(await request.text());
        return [200, adjusted(), json];
      });
    const { connector } = rigFor();
    for (let repeat = 0; repeat < 2; repeat++)
      await connector.write(batch('lower', [row(5, 3), row(4, 1, '9')]), never);
    expect(bodies[0]).toBe(bodies[1]);
  });

  test('huge ids keep their digits', async () => {
    const sent = shopAnswers([200, adjusted()]);
    await rigFor().connector.write(batch('lower', [row(5, 3, '271878346596884015')]), never);
    expect(rowOf(sent, 'changes')).toMatchObject({
      inventoryItemId: 'gid://shopify/InventoryItem/271878346596884015',
    });
  });
});

describe('real answers of Shopify', () => {
  const { cases } = JSON.parse(
    readFileSync(new URL('../../fixtures/shopify/recorded-responses-2026-04.json', import.meta.url), 'utf8'),
  ) as {
    cases: { case: string; response: unknown }[];
  };
  const recorded = (name: string) => cases.find((entry) => entry.case === name)?.response;

  test.each([
    ['inventoryAdjustQuantities', 'raise', 'confirmed'],
    ['inventorySetQuantities', 'repair', 'confirmed'],
    ['unknownIdValidation/setUnknownInventoryItem', 'repair', 'rejected'],
    ['unknownIdValidation/setUnknownLocation', 'repair', 'rejected'],
    ['cases/availableTooHigh', 'repair', 'rejected'],
    ['cases/duplicatePair', 'repair', 'rejected'],
  ] as const)('%s', async (name, kind, outcome) => {
    shopAnswers([200, recorded(name)]);
    const result = await rigFor().connector.write(batch(kind, [row(5, 7)]), never);
    expect(result.rows.map((entry) => entry.kind)).toEqual([outcome]);
  });

  test.each(['missingAdjustIdempotency', 'missingAdjustChangeFromQuantity'])(
    '%s is our defect',
    async (name) => {
      shopAnswers([200, recorded(name)]);
      expect((await rejection(rigFor().connector.write(batch('raise', [row(5, 7)]), never))).code).toBe(
        'CONNECTOR_REQUEST_REFUSED',
      );
    },
  );
});
