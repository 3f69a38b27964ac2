import { describe, expect, test } from 'vitest';
import { ManualClock } from '../../../sandbox/shopify/clock.ts';
import type { RowOutcome } from '../../../src/connectors/connector.ts';
import { ShelfMemory } from '../../../src/connectors/tiktok/shelf-memory.ts';
import { outcomesOf } from '../../../src/connectors/tiktok/write-outcome.ts';
import { never, rejection } from '../shopify/parts.ts';
import { type Rig, type SandboxRig, batchOf, rigFor, sandboxRig } from './parts.ts';

const kinds = (rows: readonly RowOutcome[]): readonly string[] => rows.map(({ kind }) => kind);

async function rigWith(
  skus: Readonly<Record<string, number>>,
  ...options: Parameters<typeof sandboxRig>
): Promise<SandboxRig> {
  const rig = await sandboxRig(...options);
  rig.shop.inventory.addProduct({
    skus: Object.entries(skus).map(([sku, quantities]) => ({ sku, quantities })),
  });
  return rig;
}

const updates = ({ sandbox }: SandboxRig) =>
  sandbox.records.requests.all().filter(({ operation }) => operation === 'inventory-update');

describe('refused before anything is sent', () => {
  test.each(['lower', 'raise', 'repair'] as const)('a batch of kind %s', async (kind) => {
    await using rig = await rigWith({ MUG: 5 });
    const error = await rejection(rig.connector.write(batchOf([rig.row('MUG', 4)], { kind }), never));
    expect(error.code).toBe('CONNECTOR_REQUEST_REFUSED');
    expect(rig.sandbox.records.requests.all()).toEqual([]);
  });

  test('an empty batch, and a listing that comes twice', async () => {
    await using rig = await rigWith({ MUG: 5 });
    for (const rows of [[], [rig.row('MUG', 4), rig.row('MUG', 3)]])
      expect((await rejection(rig.connector.write(batchOf(rows), never))).code).toBe(
        'CONNECTOR_REQUEST_REFUSED',
      );
  });

  test.each([-1, 1.5, Number.NaN, 2 ** 53])('the quantity %d', async (to) => {
    await using rig = await rigWith({ MUG: 5, CUP: 5 });
    const { rows } = await rig.put(rig.row('MUG', to), rig.row('CUP', 3));
    expect(rows).toMatchObject([{ kind: 'rejected', isPermanent: true }, { kind: 'accepted' }]);
    expect(rig.shop.available('CUP')).toBe(3);
  });

  test('a ref that is not one of TikTok, without holding up the others', async () => {
    await using rig = await rigWith({ MUG: 5 });
    const strange = { ref: { key: 'x', itemId: 'x', locationId: 'y' }, from: 1, to: 0 };
    expect(kinds((await rig.put(strange, rig.row('MUG', 3))).rows)).toEqual(['rejected', 'accepted']);
  });
});

describe('what is sent', () => {
  test('all rows of one product in one request; rows of another product come back', async () => {
    await using rig = await rigWith({ MUG: 5, CUP: 7 });
    rig.shop.inventory.addProduct({ skus: [{ sku: 'PLATE', quantities: 9 }] });
    await rig.listings();
    const { rows, platformReference } = await rig.put(
      rig.row('MUG', 1),
      rig.row('PLATE', 2),
      rig.row('CUP', 0),
    );
    expect(kinds(rows)).toEqual(['accepted', 'not-applied', 'accepted']);
    expect(platformReference).toMatch(/^2026/);
    expect(['MUG', 'CUP', 'PLATE'].map((sku) => rig.shop.available(sku))).toEqual([1, 0, 9]);
    expect(updates(rig)).toHaveLength(1);
    const groups = ['MUG', 'CUP', 'PLATE'].map((sku) => rig.connector.batchGroup?.(rig.row(sku, 0).ref));
    expect(groups[0]).toBe(groups[1]);
    expect(groups[0]).not.toBe(groups[2]);
    expect(rig.sandbox.violations()).toEqual([]);
  });

  test('nothing is read first when the warehouses are known and all in the batch', async () => {
    await using rig = await rigWith({ MUG: 5 });
    await rig.listings();
    await rig.put(rig.row('MUG', 4));
    await rig.put(rig.row('MUG', 3));
    const reads = rig.sandbox.records.requests
      .all()
      .filter(({ operation }) => operation === 'inventory-search');
    expect(reads).toEqual([]);
    expect(rig.shop.available('MUG')).toBe(3);
  });

  test('after a restart the warehouses are read once', async () => {
    await using rig = await rigWith({ MUG: 5 });
    for (const to of [4, 3, 2]) await rig.put(rig.row('MUG', to));
    const operations = rig.sandbox.records.requests.all().map(({ operation }) => operation);
    expect(operations.filter((name) => name === 'inventory-search')).toHaveLength(1);
    expect(rig.shop.available('MUG')).toBe(2);
  });

  test('at most 99,999, and at most 100 SKUs', async () => {
    await using rig = await rigWith(
      Object.fromEntries(Array.from({ length: 120 }, (_, index) => [`S${index}`, 5])),
    );
    const rows = Array.from({ length: 120 }, (_, index) => rig.row(`S${index}`, 150_000));
    const outcomes = kinds((await rig.put(...rows)).rows);
    expect(outcomes.slice(0, 100).every((kind) => kind === 'accepted')).toBe(true);
    expect(outcomes.slice(100).every((kind) => kind === 'not-applied')).toBe(true);
    expect(rig.shop.available('S99')).toBe(99_999);
    expect(rig.sandbox.violations()).toEqual([]);
  });
});

describe('other warehouses of the SKU', () => {
  async function twoWarehouses(...options: Parameters<typeof sandboxRig>) {
    const rig = await sandboxRig(...options);
    const other = rig.shop.inventory.addWarehouse({
      name: 'Two',
      status: 'ENABLED',
      type: 'SALES_WAREHOUSE',
    });
    rig.shop.inventory.addProduct({
      skus: [{ sku: 'MUG', quantities: { [rig.warehouseId]: 5, [other.id]: 8 } }],
    });
    return { rig, other: other.id };
  }

  test('of ours travel as just read', async () => {
    const { rig, other } = await twoWarehouses();
    await using _ = rig;
    expect(kinds((await rig.put(rig.row('MUG', 2))).rows)).toEqual(['accepted']);
    expect([rig.shop.available('MUG'), rig.shop.available('MUG', other)]).toEqual([2, 8]);
    expect(rig.sandbox.violations()).toEqual([]);
  });

  test('of ours travel as believed where that is less, never as more than is shown', async () => {
    for (const [believed, shows] of [
      [6, 6],
      [11, 8],
      [-3, 0],
    ] as const) {
      const { rig, other } = await twoWarehouses();
      await using _ = rig;
      const { key } = rig.row('MUG', 0, other).ref;
      await rig.connector.write(batchOf([rig.row('MUG', 2)], { beside: [{ key, believed }] }), never);
      expect(rig.shop.available('MUG', other)).toBe(shows);
    }
  });

  test('of ours are never raised over a write of ours that does not show yet', async () => {
    const { rig, other } = await twoWarehouses();
    await using _ = rig;
    rig.shop.settings.readLagMs = 60_000;
    await rig.put(rig.row('MUG', 5), rig.row('MUG', 0, other));
    expect(rig.shop.available('MUG', other)).toBe(0);
    // The read in front of this write still shows 8.
    await rig.put(rig.row('MUG', 4));
    expect(rig.shop.available('MUG', other)).toBe(0);
  });

  test('requests of one product do not overtake each other', async () => {
    const { rig, other } = await twoWarehouses();
    await using _ = rig;
    rig.shop.faults.set([{ kind: 'slow', operation: 'inventory-update', count: 1, delayMs: 150 }]);
    await Promise.all([rig.put(rig.row('MUG', 1)), rig.put(rig.row('MUG', 0, other))]);
    expect([rig.shop.available('MUG'), rig.shop.available('MUG', other)]).toEqual([1, 0]);
  });

  test('that are not ours make the SKU unwritable', async () => {
    const { rig, other } = await twoWarehouses();
    await using _ = rig;
    const { connector } = strictTwin(rig);
    const { rows } = await connector.write(batchOf([rig.row('MUG', 2)]), never);
    expect(rows).toMatchObject([{ kind: 'rejected', isPermanent: true }]);
    expect([rig.shop.available('MUG'), rig.shop.available('MUG', other)]).toEqual([5, 8]);
  });

  test('that are not ours are repeated as read where that is allowed', async () => {
    const { rig, other } = await twoWarehouses();
    await using _ = rig;
    const { connector } = strictTwin(rig, 'echo');
    expect(kinds((await connector.write(batchOf([rig.row('MUG', 2)]), never)).rows)).toEqual(['accepted']);
    expect([rig.shop.available('MUG'), rig.shop.available('MUG', other)]).toEqual([2, 8]);
  });

  test('that joined the SKU unseen are found at the next try', async () => {
    await using rig = await rigWith({ MUG: 5 });
    await rig.listings();
    const other = rig.shop.inventory.addWarehouse({
      name: 'New',
      status: 'ENABLED',
      type: 'SALES_WAREHOUSE',
    });
    const sku = rig.shop.inventory.sku('MUG');
    sku.levels.set(other.id, { sku, warehouseId: other.id, available: 3, committed: 0, history: [] });
    expect((await rig.put(rig.row('MUG', 2))).rows).toMatchObject([{ kind: 'rejected', isPermanent: false }]);
    expect(kinds((await rig.put(rig.row('MUG', 2))).rows)).toEqual(['accepted']);
    expect(rig.shop.available('MUG', other.id)).toBe(3);
  });

  /** A second connector of the same shop that owns the default warehouse only. */
  function strictTwin(rig: SandboxRig, otherWarehouses: 'refuse' | 'echo' = 'refuse'): Rig {
    const { appKey, appSecret, tokens } = rig.shop;
    return rigFor({
      baseUrl: rig.sandbox.url,
      credentials: { appKey, appSecret, ...tokens.issue() },
      warehouses: [rig.warehouseId],
      otherWarehouses,
    });
  }
});

describe('errors inside code 0', () => {
  test('that name nobody leave every row unknown that is not refused by name', () => {
    const rows = ['1', '2'].map((skuId) => ({ skuId, warehouseId: '7', quantity: 1 }));
    const memory = new ShelfMemory({ nowMs: () => 0 }, 1_000);
    const errors = [
      {
        code: 12052990,
        message: 'Check failed',
        detail: { sku_id: '2', extra_errors: [{ code: '12052097' }] },
      },
      { code: 12052990, message: 'Check failed' },
    ];
    const outcomes = outcomesOf({ errors }, rows, { memory, wasRead: () => false });
    expect(outcomes).toMatchObject([{ kind: 'unknown' }, { kind: 'rejected', isPermanent: true }]);
  });

  test('that name the warehouses of one SKU in entries of their own', () => {
    const rows = ['7', '8'].map((warehouseId) => ({ skuId: '1', warehouseId, quantity: 1 }));
    const memory = new ShelfMemory({ nowMs: () => 0 }, 1_000);
    const errors = ['7', '8'].map((warehouse_id) => ({
      code: 12052990,
      message: 'Check failed',
      detail: { sku_id: '1', extra_errors: [{ warehouse_id, code: 12052393, message: 'locked' }] },
    }));
    const outcomes = outcomesOf({ errors }, rows, { memory, wasRead: () => false });
    expect(outcomes.map(({ kind }) => kind)).toEqual(['rejected', 'rejected']);
  });

  test('concern their own SKU only', async () => {
    await using rig = await rigWith({ MUG: 5, CUP: 5, PLATE: 5 });
    rig.shop.refuseUpdates('CUP', 12052921);
    const { rows } = await rig.put(rig.row('MUG', 1), rig.row('CUP', 1), rig.row('PLATE', 1));
    expect(rows).toMatchObject([
      { kind: 'accepted' },
      { kind: 'rejected', isPermanent: true, reason: expect.stringContaining('12052921') as string },
      { kind: 'accepted' },
    ]);
    expect(['MUG', 'CUP', 'PLATE'].map((sku) => rig.shop.available(sku))).toEqual([1, 5, 1]);
  });

  test('a promotion forbids to lower and not to raise', async () => {
    await using rig = await rigWith({ MUG: 5 });
    rig.shop.refuseUpdates('MUG', 12052393);
    expect((await rig.put(rig.row('MUG', 4))).rows).toMatchObject([
      {
        kind: 'rejected',
        isPermanent: true,
        reason: expect.stringMatching(/^locked by a promotion/) as string,
      },
    ]);
    expect(kinds((await rig.put(rig.row('MUG', 6))).rows)).toEqual(['accepted']);
  });

  test('one warehouse refused leaves the other one unknown', async () => {
    await using rig = await sandboxRig();
    const two = rig.shop.inventory.addWarehouse({ name: 'Two', status: 'ENABLED', type: 'SALES_WAREHOUSE' });
    rig.shop.inventory.addProduct({
      skus: [{ sku: 'MUG', quantities: { [rig.warehouseId]: 5, [two.id]: 5 } }],
    });
    rig.shop.refuseUpdates('MUG', 12052531, two.id);
    const both = await rig.put(rig.row('MUG', 1), rig.row('MUG', 1, two.id));
    expect(kinds(both.rows)).toEqual(['unknown', 'rejected']);
    // The refused one was not asked for: what was asked for is refused with it.
    expect((await rig.put(rig.row('MUG', 1))).rows).toMatchObject([{ kind: 'rejected', isPermanent: true }]);
  });

  test('zero may be refused: that is said, and there is the other way', async () => {
    await using rig = await rigWith({ MUG: 5 }, { settings: { zeroAllowed: false } });
    expect((await rig.put(rig.row('MUG', 0))).rows).toMatchObject([
      {
        kind: 'rejected',
        isPermanent: true,
        reason: expect.stringContaining('soldOut: deactivate') as string,
      },
    ]);
    expect(rig.shop.available('MUG')).toBe(5);
  });

  test('soldOut: deactivate takes the product off sale instead', async () => {
    await using rig = await rigWith(
      { MUG: 5, CUP: 5 },
      { settings: { zeroAllowed: false } },
      { soldOut: 'deactivate' },
    );
    expect(rig.connector.capabilities.zeroAllowed).toBe(false);
    const { rows } = await rig.put(rig.row('MUG', 0), rig.row('CUP', 2));
    expect(rows).toMatchObject([
      { kind: 'rejected', isPermanent: true, reason: expect.stringContaining('deactivated') as string },
      { kind: 'not-applied' },
    ]);
    expect(rig.shop.inventory.sku('MUG').product.status).toBe('SELLER_DEACTIVATED');
    expect(rig.shop.orders.place({ lines: [{ sku: 'MUG' }] }).kind).toBe('refused');
    expect(kinds((await rig.put(rig.row('CUP', 2))).rows)).toEqual(['rejected']);
    expect(rig.sandbox.violations()).toEqual([]);
  });

  test('a bundle is refused once and not sent again', async () => {
    await using rig = await rigWith({ MUG: 5 });
    rig.shop.inventory.addProduct({
      skus: [{ sku: 'SET', quantities: 2, components: [{ sku: 'MUG', count: 2 }] }],
    });
    for (let attempt = 0; attempt < 2; attempt++)
      expect((await rig.put(rig.row('SET', 1))).rows).toMatchObject([
        { kind: 'rejected', isPermanent: true },
      ]);
    expect(updates(rig)).toHaveLength(1);
  });
});

describe('whole requests', () => {
  test.each([
    [12052901, true],
    [12052700, undefined],
    [12052533, true],
    [99_999_999, false],
  ])('refused with code %i', async (code, isPermanent) => {
    await using rig = await rigWith({ MUG: 5 });
    rig.shop.faults.set([{ kind: 'code', operation: 'inventory-update', code, message: 'no' }]);
    const written = rig.put(rig.row('MUG', 4));
    if (isPermanent === undefined) expect((await rejection(written)).code).toBe('CONNECTOR_ACCESS_DENIED');
    else expect((await written).rows).toMatchObject([{ kind: 'rejected', isPermanent }]);
  });

  test.each([
    ['an internal error', { kind: 'code', code: 36009003 }],
    ['a time-out on their side', { kind: 'code', code: 36009007 }],
    ['HTTP 503', { kind: 'status', status: 503 }],
    ['HTML', { kind: 'html' }],
    ['a lost answer', { kind: 'lose-response' }],
    ['half an answer', { kind: 'truncate' }],
    ['a closed connection', { kind: 'reset' }],
    ['silence', { kind: 'hang' }],
  ] as const)('after %s the outcome is unknown, and the request is not repeated', async (_name, fault) => {
    await using rig = await rigWith({ MUG: 5 }, {}, fault.kind === 'hang' ? { requestTimeoutMs: 1_500 } : {});
    await rig.listings();
    rig.shop.faults.set([{ ...fault, operation: 'inventory-update' }]);
    expect(kinds((await rig.put(rig.row('MUG', 4))).rows)).toEqual(['unknown']);
    expect(updates(rig).length).toBeLessThanOrEqual(1);
    expect(rig.shop.available('MUG')).toBe(
      fault.kind === 'lose-response' || fault.kind === 'truncate' ? 4 : 5,
    );
  });

  test('a failing read in front means that nothing was applied', async () => {
    await using rig = await rigWith({ MUG: 5 });
    rig.shop.faults.set([{ kind: 'status', operation: 'inventory-search' }]);
    expect((await rejection(rig.put(rig.row('MUG', 4)))).code).toBe('CONNECTOR_UNREACHABLE');
    expect(updates(rig)).toEqual([]);
  });

  test('nobody listening means that nothing was applied', async () => {
    await using rig = await rigWith({ MUG: 5 }, {}, { baseUrl: 'http://127.0.0.1:1' });
    const error = await rejection(rig.put(rig.row('MUG', 4)));
    expect(error).toMatchObject({ code: 'CONNECTOR_UNREACHABLE', fields: { isSent: false } });
  });

  test.each([429, 200] as const)('throttled with HTTP %i', async (status) => {
    await using rig = await rigWith({ MUG: 5 });
    await rig.listings();
    rig.shop.faults.set([
      { kind: 'throttled', operation: 'inventory-update', count: 1, status, retryAfterS: 3 },
    ]);
    const result = await rig.put(rig.row('MUG', 4));
    expect(result).toMatchObject({ rows: [{ kind: 'not-applied' }], throttledForMs: 3_000 });
    expect(rig.shop.available('MUG')).toBe(5);
  });

  test('36009004 is no rate limit: its message decides', async () => {
    await using rig = await rigWith({ MUG: 5 });
    rig.shop.faults.set([
      { kind: 'code', operation: 'inventory-update', code: 36009004, message: 'unexpected identifier' },
    ]);
    const result = await rig.put(rig.row('MUG', 4));
    expect(result.throttledForMs).toBeUndefined();
    expect(result.rows).toMatchObject([{ kind: 'rejected' }]);
  });

  test('an expired token is renewed in the middle, and the request signed anew', async () => {
    await using rig = await rigWith({ MUG: 5 });
    await rig.listings();
    rig.shop.tokens.expireAccessTokens();
    expect(kinds((await rig.put(rig.row('MUG', 4))).rows)).toEqual(['accepted']);
    expect(rig.tokens.renewals).toBe(1);
    expect(rig.sandbox.violations()).toEqual([]);
  });

  test('a write may land late, or never: only a read tells', async () => {
    const clock = new ManualClock(Date.now());
    const settings = { applyDelayMs: { min: 60, max: 60 } };
    await using rig = await rigWith({ MUG: 5 }, { settings }, {}, clock);
    expect(kinds((await rig.put(rig.row('MUG', 4))).rows)).toEqual(['accepted']);
    expect(rig.shop.available('MUG')).toBe(5);
    clock.advance(60);
    expect(rig.shop.available('MUG')).toBe(4);
    rig.shop.faults.set([{ kind: 'lose-write', operation: 'inventory-update' }]);
    expect(kinds((await rig.put(rig.row('MUG', 3))).rows)).toEqual(['accepted']);
    expect(rig.shop.available('MUG')).toBe(4);
  });
});
