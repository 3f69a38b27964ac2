import { beforeEach, afterEach, describe, expect, test } from 'vitest';
import type { ReserveLine, ReserveRequest } from '../../src/ledger/contract.ts';
import { HoldCommands } from '../../src/ledger/hold-commands.ts';
import { LevelCommands } from '../../src/ledger/level-commands.ts';
import { type LedgerParts, ledgerParts } from '../support/ledger-parts.ts';
import { failOnLeakedConnections } from '../support/redis-connections.ts';
import { channel, location, receive, sku, storedLevel } from '../support/stock.ts';

failOnLeakedConnections();

let parts: LedgerParts;
let holds: HoldCommands;
let levels: LevelCommands;
beforeEach(() => {
  parts = ledgerParts();
  holds = new HoldCommands(parts.caller);
  levels = new LevelCommands(parts.caller);
});
afterEach(() => parts.close());

const main = location('main');

function line(of: string, units: number, more: Partial<ReserveLine> = {}): ReserveLine {
  return { sku: sku(of), units, locations: [main], ...more };
}

function request(
  holdId: string,
  lines: readonly ReserveLine[],
  more: Partial<ReserveRequest> = {},
): ReserveRequest {
  return { holdId, lines, ttlMs: 60_000, actor: 'test', ...more };
}

describe('refuses', () => {
  test.each([
    ['no lines', request('h', [])],
    ['an empty hold id', request('', [line('s', 1)])],
    ['a separator in a sku', request('h', [line('a\u001fb', 1)])],
    ['zero units', request('h', [line('s', 0)])],
    ['half a unit', request('h', [line('s', 1.5)])],
    ['units beyond 2^53 - 1', request('h', [line('s', 2 ** 53)])],
    ['no location', request('h', [line('s', 1, { locations: [] })])],
    ['a location twice', request('h', [line('s', 1, { locations: [main, main] })])],
    ['a time to live of zero', request('h', [line('s', 1)], { ttlMs: 0 })],
    [
      '201 lines',
      request(
        'h',
        Array.from({ length: 201 }, (_, i) => line(`s${i}`, 1)),
      ),
    ],
  ])('%s', async (_what, wrong) => {
    await expect(holds.reserve(wrong)).rejects.toMatchObject({ code: 'LEDGER_REQUEST_INVALID' });
  });

  test('more than is available, and says how much could have been had', async () => {
    await receive(parts, 's', 5);
    expect(await holds.reserve(request('h', [line('s', 6)]))).toMatchObject({
      kind: 'denied',
      reason: 'out-of-stock',
      sku: 's',
      available: 5,
    });
    expect(await holds.reserve(request('h', [line('s', 5, { keepUnits: 2 })]))).toMatchObject({
      reason: 'out-of-stock',
      available: 3,
    });
    expect(await holds.reserve(request('h', [line('unknown', 1)]))).toMatchObject({ available: 0 });
  });

  test('all lines when one cannot be had', async () => {
    await receive(parts, 'a', 5);
    const before = parts.seen.get().seq;
    expect(await holds.reserve(request('h', [line('a', 5), line('b', 1)]))).toMatchObject({ sku: 'b' });
    expect(await storedLevel(parts, 'a')).toMatchObject({ reserved: 0 });
    expect(parts.seen.get().seq).toBe(before);
    expect(await holds.hold('h')).toBeUndefined();
  });

  test('two lines of one request that together exceed the stock or a cap', async () => {
    await receive(parts, 'a', 5);
    expect(await holds.reserve(request('h', [line('a', 3), line('a', 3)]))).toMatchObject({ available: 2 });
    const capped = [line('a', 1, { agentCapUnits: 1 }), line('a', 1, { agentCapUnits: 1 })];
    expect(await holds.reserve(request('h', capped, { agent: 'x' }))).toMatchObject({ reason: 'agent-cap' });
    // Nothing tentative is left behind.
    expect(await holds.reserve(request('h', [line('a', 5)]))).toMatchObject({ kind: 'held' });
  });

  test('one request of a batch without a trace on the others', async () => {
    await receive(parts, 'a', 5);
    const answers = await Promise.all([
      holds.reserve(request('first', [line('a', 1)])),
      holds.reserve(request('denied', [line('a', 4, { agentCapUnits: 4 }), line('b', 1)], { agent: 'x' })),
      holds.reserve(request('rest', [line('a', 4, { agentCapUnits: 4 })], { agent: 'x' })),
    ]);
    expect(answers).toMatchObject([{ kind: 'held' }, { kind: 'denied', sku: 'b' }, { kind: 'held' }]);
  });

  test('the same id with other content, whatever happened to the first', async () => {
    await receive(parts, 'a', 5);
    await holds.reserve(request('h', [line('a', 1)]));
    expect(await holds.reserve(request('h', [line('a', 2)]))).toEqual({ kind: 'fingerprint-mismatch' });
    await holds.release({ holdId: 'h', actor: 'test' });
    expect(await holds.reserve(request('h', [line('a', 2)]))).toEqual({ kind: 'fingerprint-mismatch' });
  });

  test('new holds when the server is full, while commits and releases go on', async () => {
    // The limit is the whole server's: a server of its own.
    const { startPrivateRedis } = await import('../support/redis.ts');
    const server = await startPrivateRedis({ appendonly: false });
    const full = ledgerParts({ path: server.path });
    const fullHolds = new HoldCommands(full.caller);
    await receive(full, 'a', 5);
    await fullHolds.reserve(request('h1', [line('a', 1)]));
    await fullHolds.reserve(request('h2', [line('a', 1)]));
    await full.redis.config('SET', 'maxmemory', '1');
    await expect(fullHolds.reserve(request('h3', [line('a', 1)]))).rejects.toMatchObject({
      code: 'LEDGER_FULL',
    });
    expect(await fullHolds.commit({ holdId: 'h1', actor: 'test' })).toMatchObject({ kind: 'committed' });
    expect(await fullHolds.release({ holdId: 'h2', actor: 'test' })).toMatchObject({ kind: 'released' });
    expect(await storedLevel(full, 'a')).toEqual({ onHand: 5, committed: 1, reserved: 0 });
    await full.close();
    await server.stop();
  });
});

describe('holds', () => {
  test('units, once however often it is asked', async () => {
    await receive(parts, 'a', 5);
    const first = await holds.reserve(request('h', [line('a', 2)]));
    expect(first).toMatchObject({ kind: 'held', repeated: false, lines: [{ sku: 'a', units: 2 }] });
    const again = await holds.reserve(request('h', [line('a', 2)]));
    expect(again).toMatchObject({ kind: 'held', repeated: true });
    if (first.kind !== 'held' || again.kind !== 'held') throw new Error('not held');
    expect(again.seq).toBe(first.seq);
    expect(Math.abs(again.expiresAtMs - first.expiresAtMs)).toBeLessThan(5);
    expect(await storedLevel(parts, 'a')).toEqual({ onHand: 5, committed: 0, reserved: 2 });
  });

  test('the same id twice in one batch', async () => {
    await receive(parts, 'a', 5);
    const same = request('h', [line('a', 2)]);
    await holds.reserve(request('warm', [line('a', 1)]));
    const answers = await Promise.all([1, 2, 3, 4].map(() => holds.reserve(same)));
    expect(answers.filter((answer) => answer.kind === 'held' && !answer.repeated)).toHaveLength(1);
    expect(await storedLevel(parts, 'a')).toMatchObject({ reserved: 3 });
  });

  test('exactly k of N parallel reserves of one unit', async () => {
    await receive(parts, 'hot', 100);
    const answers = await Promise.all(
      Array.from({ length: 640 }, (_, i) => holds.reserve(request(`h${i}`, [line('hot', 1)]))),
    );
    expect(answers.filter((answer) => answer.kind === 'held')).toHaveLength(100);
    expect(await storedLevel(parts, 'hot')).toEqual({ onHand: 100, committed: 0, reserved: 100 });
    const log = await parts.redis.xlen(parts.keys.log);
    expect(log).toBe(parts.seen.get().seq);
  });

  test('at the first location that can take all of it, else split in order', async () => {
    await receive(parts, 'a', 2, 'east');
    await receive(parts, 'a', 5, 'west');
    const locations = [location('east'), location('west')];
    const whole = await holds.reserve(request('h1', [line('a', 4, { locations })]));
    expect(whole).toMatchObject({ lines: [{ location: 'west', units: 4 }] });
    const split = await holds.reserve(request('h2', [line('a', 3, { locations })]));
    expect(split).toMatchObject({
      lines: [
        { location: 'east', units: 2 },
        { location: 'west', units: 1 },
      ],
    });
    expect(await storedLevel(parts, 'a', 'west')).toMatchObject({ reserved: 5 });
  });

  test('a location that is oversold lowers what the others may give', async () => {
    await receive(parts, 'a', 5, 'west');
    await parts.redis.hset(parts.keys.sku(sku('a')), 'c:east', '3');
    const locations = [location('east'), location('west')];
    expect(await holds.reserve(request('h', [line('a', 3, { locations })]))).toMatchObject({ available: 2 });
  });

  test.each([
    'a:b',
    '__proto__',
    'with spaces',
    'line\nbreak',
    'é'.repeat(100),
    'x'.repeat(200),
    'o:main',
    '{x}',
  ])('SKU %j', async (name) => {
    await receive(parts, name, 3);
    expect(await holds.reserve(request('h', [line(name, 2)]))).toMatchObject({ kind: 'held' });
    const peeked = await levels.peek([sku(name)]);
    expect(peeked.levels.get(sku(name))?.get(main)).toEqual({ onHand: 3, committed: 0, reserved: 2 });
    expect(await holds.hold('h')).toMatchObject({ lines: [{ sku: name, location: 'main', units: 2 }] });
  });

  test('quantities up to 2^53 - 1, exactly', async () => {
    const most = 2 ** 53 - 1;
    await receive(parts, 'big', most);
    expect(await holds.reserve(request('h1', [line('big', most - 1)]))).toMatchObject({ kind: 'held' });
    expect(await holds.reserve(request('h2', [line('big', 2)]))).toMatchObject({ available: 1 });
    expect(await holds.reserve(request('h2', [line('big', 1)]))).toMatchObject({ kind: 'held' });
    expect(await storedLevel(parts, 'big')).toEqual({ onHand: most, committed: 0, reserved: most });
    await expect(receive(parts, 'big', 1)).rejects.toMatchObject({ code: 'LEDGER_QUANTITY_OVERFLOW' });
    expect(await holds.commit({ holdId: 'h1', actor: 't' })).toMatchObject({ kind: 'committed' });
    expect(await storedLevel(parts, 'big')).toEqual({ onHand: most, committed: most - 1, reserved: 1 });
  });

  test('units that settle on a channel are counted there', async () => {
    await receive(parts, 'a', 5);
    await holds.reserve(request('h', [line('a', 2)], { settlesOn: channel('shop') }));
    const field = 's:shop\u001fmain';
    expect(await parts.redis.hget(parts.keys.sku(sku('a')), field)).toBe('2');
    await holds.release({ holdId: 'h', actor: 't' });
    expect(await parts.redis.hget(parts.keys.sku(sku('a')), field)).toBeNull();
  });
});

describe('caps', () => {
  test('of a pool hold however many reserve at once, and end with the hold', async () => {
    await receive(parts, 'a', 1000);
    const capped = line('a', 1, { poolCapUnits: 7 });
    const answers = await Promise.all(
      Array.from({ length: 200 }, (_, i) => holds.reserve(request(`h${i}`, [capped], { pool: 'agents' }))),
    );
    const held = answers.flatMap((answer) => (answer.kind === 'held' ? [answer.holdId] : []));
    expect(held).toHaveLength(7);
    expect(answers.find((answer) => answer.kind === 'denied')).toMatchObject({
      reason: 'pool-cap',
      available: 0,
    });
    await holds.release({ holdId: held[0] ?? '', actor: 't' });
    await holds.commit({ holdId: held[1] ?? '', actor: 't' });
    expect(
      await holds.reserve(request('more', [line('a', 3, { poolCapUnits: 7 })], { pool: 'agents' })),
    ).toMatchObject({ reason: 'pool-cap', available: 2 });
  });

  test('a counter at the end of its range denies one request and not the batch it is in', async () => {
    const most = 2 ** 53 - 1;
    await receive(parts, 'big', most, 'east');
    await receive(parts, 'big', most, 'west');
    await receive(parts, 'a', 1);
    const big = (id: string, at: string) =>
      holds.reserve(request(id, [line('big', most, { locations: [location(at)] })], { pool: 'p' }));
    const answers = await Promise.all([
      big('h1', 'east'),
      big('h2', 'west'),
      holds.reserve(request('h3', [line('a', 1)])),
    ]);
    expect(answers).toMatchObject([
      { kind: 'held' },
      { kind: 'denied', reason: 'pool-cap', available: 0 },
      { kind: 'held' },
    ]);
  });

  test('of an agent count what it bought until the hold is purged', async () => {
    await receive(parts, 'a', 10);
    const ask = (id: string, units: number) =>
      holds.reserve(request(id, [line('a', units, { agentCapUnits: 3 })], { agent: 'x' }));
    expect(await ask('h1', 3)).toMatchObject({ kind: 'held' });
    await holds.commit({ holdId: 'h1', actor: 't', part: [{ sku: sku('a'), units: 2 }] });
    expect(await ask('h2', 2)).toMatchObject({ reason: 'agent-cap', available: 1 });
    const brief = new LevelCommands(parts.caller, { holdsMs: 1000, operationsMs: 1000 });
    await parts.stepClock(2000);
    await brief.sweep(100);
    expect(await ask('h2', 3)).toMatchObject({ kind: 'held' });
    expect(await parts.redis.hlen(parts.keys.agents)).toBe(1);
  });
});
