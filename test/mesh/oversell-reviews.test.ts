import pino from 'pino';
import { Registry } from 'prom-client';
import { afterEach, expect, test } from 'vitest';
import { LogHistory } from '../../src/ledger/log-history.ts';
import { OversellReviews } from '../../src/mesh/oversell-reviews.ts';
import { failOnLeakedConnections } from '../support/redis-connections.ts';
import { PublishingRig } from './support/publishing-rig.ts';

failOnLeakedConnections();

let rig: PublishingRig | undefined;
let open: OversellReviews | undefined;
afterEach(async () => {
  await open?.close();
  await rig?.close();
});

const dayMs = 86_400_000;

test('orders an allowance let sell beyond stock wait for a person, also those of a time without a daemon', async () => {
  let follow: OversellReviews['onEntries'] = () => undefined;
  let nowMs = Date.now();
  const told: string[] = [];
  rig = await PublishingRig.start({
    stock: { X: 2, Y: 0, Z: 1 },
    onEntries: (entries) => follow(entries),
  });
  await rig.basesSettled();
  const { parts, mesh } = rig;
  const make = (): OversellReviews =>
    new OversellReviews({
      redis: parts.redis,
      key: `${parts.keys.prefix}reviews`,
      mesh,
      history: new LogHistory(parts.redis, parts.keys),
      isAllowed: (_, sku) => sku !== 'Z',
      withinMs: dayMs,
      alerts: {
        raise: ({ rule, facts }) => told.push(`${rule} ${String(facts?.['orders'])}`),
        resolve: (rule) => told.push(`${rule} over`),
      },
      registry: new Registry(),
      log: pino({ level: 'silent' }),
      nowMs: () => nowMs,
      flushMs: 20,
    });
  const begin = async (): Promise<OversellReviews> => {
    open = make();
    follow = open.onEntries;
    await open.start();
    return open;
  };
  const first = await begin();
  // Of four units two are there; what no allowance covers is an oversell like any other, and none of theirs.
  await rig.sell('X', 4);
  await rig.sell('Z', 3);
  await expect
    .poll(() => first.list('open', 10), { timeout: 20_000 })
    .toMatchObject([{ sku: 'X', units: 2, state: 'open' }]);
  await first.close();
  follow = () => undefined;
  await rig.sell('Y', 1);
  await rig.available('Y');
  const second = await begin();
  await expect.poll(() => second.list('open', 10), { timeout: 20_000 }).toHaveLength(2);
  expect(told.every((text) => text === 'review-overdue over')).toBe(true);

  nowMs += dayMs + 60_000;
  await second.look();
  expect(told.at(-1)).toBe('review-overdue 2');
  const [x, y] = await second.list('open', 10);
  expect([x?.state, y?.sku]).toEqual(['overdue', 'Y']);
  expect(await second.resolve('nobody/knows/it', 'ann', 'x')).toBe('unknown');
  expect(await second.resolve(x!.id, 'ann', 'two more arrive tomorrow')).toMatchObject({ state: 'resolved' });
  expect(await second.resolve(x!.id, 'bob', 'again')).toBe('resolved');
  expect(told.at(-1)).toBe('review-overdue 1');
  await second.resolve(y!.id, 'ann', 'refunded');
  expect(told.at(-1)).toBe('review-overdue over');
  expect(await second.list('open', 10)).toEqual([]);
  expect(await second.list('all', 10)).toMatchObject([
    { sku: 'X', resolved: { actor: 'ann', reason: 'two more arrive tomorrow' } },
    { sku: 'Y' },
  ]);
});

test('no more of them are kept than there is room for; the log names the others', async () => {
  let follow: OversellReviews['onEntries'] = () => undefined;
  const lines: string[] = [];
  const registry = new Registry();
  rig = await PublishingRig.start({
    stock: { X: 0, Y: 0, Z: 0 },
    onEntries: (entries) => follow(entries),
  });
  await rig.basesSettled();
  const { parts, mesh } = rig;
  open = new OversellReviews({
    redis: parts.redis,
    key: `${parts.keys.prefix}reviews`,
    mesh,
    history: new LogHistory(parts.redis, parts.keys),
    isAllowed: () => true,
    withinMs: dayMs,
    alerts: { raise: () => undefined, resolve: () => undefined },
    registry,
    log: pino({ level: 'error' }, { write: (line: string) => void lines.push(line) }),
    flushMs: 20,
    maxKept: 2,
  });
  follow = open.onEntries;
  await open.start();
  const notKept = async (): Promise<number> => {
    const metric = await registry.getSingleMetric('stockmesh_oversell_reviews_not_kept_total')?.get();
    return metric?.values[0]?.value ?? 0;
  };
  for (const sku of ['X', 'Y', 'Z']) await rig.sell(sku, 1);
  await expect.poll(notKept, { timeout: 20_000 }).toBe(1);
  const kept = await open.list('all', 10);
  expect(kept).toHaveLength(2);
  expect(lines).toHaveLength(1);
  expect(lines[0]).toContain('no room for another review');
  const named = (JSON.parse(lines[0] ?? '') as { sku: string }).sku;
  expect(new Set([...kept.map(({ sku }) => sku), named])).toEqual(new Set(['X', 'Y', 'Z']));

  await open.resolve(kept[0]?.id ?? '', 'ann', 'refunded');
  expect(await open.list('all', 10)).toHaveLength(1);
  await rig.sell(named, 2);
  await expect.poll(() => open?.list('open', 10), { timeout: 20_000 }).toHaveLength(2);
  expect(await notKept()).toBe(1);
});
