import { afterEach, expect, test } from 'vitest';
import type { Sku } from '../../src/domain/ids.ts';
import { decide } from '../../src/reconcile/decisions.ts';
import type { Decision } from '../../src/reconcile/decisions.ts';
import { failOnLeakedConnections } from '../support/redis-connections.ts';
import { eventually } from '../support/eventually.ts';
import { ReconcileRig } from './support/reconcile-rig.ts';

failOnLeakedConnections();

let all: ReconcileRig | undefined;
afterEach(async () => {
  await all?.close();
  all = undefined;
});

/** A shop whose X shows 14 where 10 is right, found and waiting for a person. */
async function edited(): Promise<ReconcileRig> {
  all = await ReconcileRig.start({ channels: ['shop-a', 'shop-b'], stock: { X: 10 } });
  await all.rig.basesSettled();
  await all.rig.agrees();
  all.rig.channel('shop-a').platform.stock.set('X@L1', 14);
  await all.reconcile();
  const here = all;
  await eventually(async () => expect((await here.finding('X'))?.state).toBe('parked'));
  return all;
}

async function say(here: ReconcileRig, decision: Decision, isOwnFigure = true) {
  const finding = await here.finding('X');
  if (finding === undefined) throw new Error('nothing was found');
  const reconciler = here.of('shop-a');
  return decide(
    {
      channel: reconciler.channel,
      desk: reconciler.desk,
      repair: reconciler.repair,
      ledger: here.rig.ledger,
      isOwnFigure: () => isOwnFigure,
    },
    finding,
    decision,
  );
}

const who = { actor: 'ann', reason: 'counted it' };

test('the figure of a warehouse is not for a person to change here', async () => {
  const here = await edited();
  expect(await say(here, { kind: 'accept', ...who }, false)).toMatchObject({ kind: 'not-possible' });
  expect(await say(here, { kind: 'set', units: 3, ...who }, false)).toMatchObject({ kind: 'not-possible' });
  expect(await say(here, { kind: 'thaw', ...who })).toMatchObject({ kind: 'not-possible' });
  expect(await here.rig.available('X')).toBe(10);
});

test('accepted: the ledger follows the channel, the other channel follows the ledger, and the log says who', async () => {
  const here = await edited();
  expect(await say(here, { kind: 'accept', ...who })).toMatchObject({
    kind: 'done',
    finding: { state: 'acted' },
  });
  await eventually(() => expect(here.rig.shows('X', 'shop-b')).toBe(14));
  await here.rig.agrees();
  expect(here.rig.shows('X', 'shop-a')).toBe(14);
  expect(await here.reconcile()).toMatchObject({ byVerdict: { agrees: 1 } });
  expect(await here.finding('X')).toMatchObject({ state: 'resolved' });
  const text = JSON.stringify(await here.rig.parts.redis.xrange(here.rig.parts.keys.log, '-', '+'));
  expect(text).toContain('drift: adopted: counted it');
  expect(text).toContain('ann');
});

test('rejected: the channel is written again, and the log says who and why', async () => {
  const here = await edited();
  expect(await say(here, { kind: 'reject', ...who })).toMatchObject({
    kind: 'done',
    finding: { state: 'acted' },
  });
  await eventually(() => expect(here.rig.shows('X', 'shop-a')).toBe(10));
  await here.rig.agrees();
  const text = JSON.stringify(await here.rig.parts.redis.xrange(here.rig.parts.keys.log, '-', '+'));
  expect(text).toContain('drift: rejected: counted it');
});

test('set: neither was right, both channels follow', async () => {
  const here = await edited();
  expect(await say(here, { kind: 'set', units: 6, ...who })).toMatchObject({ kind: 'done' });
  await eventually(() => expect(here.rig.shows('X', 'shop-a')).toBe(6));
  await here.rig.agrees();
  expect((await here.rig.ledger.peek(['X' as Sku])).levels.get('X' as Sku)?.size).toBe(1);
});

test('frozen: nothing is written to the listing until it is thawed, others are', async () => {
  const here = await edited();
  expect(await say(here, { kind: 'freeze', ...who })).toMatchObject({ finding: { state: 'frozen' } });
  await here.rig.move('X', -4);
  await eventually(() => expect(here.rig.shows('X', 'shop-b')).toBe(6));
  await here.reconcile();
  expect(here.rig.shows('X', 'shop-a')).toBe(14);
  expect((await here.finding('X'))?.state).toBe('frozen');
  expect(await say(here, { kind: 'thaw', ...who })).toMatchObject({ finding: { state: 'open' } });
  // Lowerings go at once; what was edited stays for the person.
  await eventually(() => expect(here.rig.shows('X', 'shop-a')).toBe(10));
});
