import { afterEach, expect, test } from 'vitest';
import type { LocationId } from '../../src/domain/ids.ts';
import type { LevelCopy } from '../../src/mesh/level-copy.ts';
import { eventually } from '../support/eventually.ts';
import { failOnLeakedConnections } from '../support/redis-connections.ts';
import { ReconcileRig } from './support/reconcile-rig.ts';

failOnLeakedConnections();

let here: ReconcileRig | undefined;
afterEach(async () => {
  await here?.close();
  here = undefined;
});

/** Says that X has so many units, as of a sequence so far behind the newest, and counts who asks. */
class SaidLevels implements LevelCopy {
  asked = 0;
  onHand: number;
  behind = 0;
  rig: ReconcileRig['rig'] | undefined;

  constructor(onHand: number) {
    this.onHand = onHand;
  }

  get position(): LevelCopy['position'] {
    const { epoch, seq } = this.rig?.parts.seen.get() ?? { epoch: 0, seq: 0 };
    return { epoch, seq: seq - this.behind };
  }

  levelsOf(): ReturnType<LevelCopy['levelsOf']> {
    this.asked++;
    return new Map([['main' as LocationId, { onHand: this.onHand, committed: 0, reserved: 0 }]]);
  }

  settlingOn(): number {
    return 0;
  }
}

async function start(copy: SaidLevels): Promise<ReconcileRig> {
  here = await ReconcileRig.start({ channels: ['shop-a', 'shop-b'], stock: { X: 10 }, copy });
  copy.rig = here.rig;
  await here.rig.basesSettled();
  await here.rig.agrees();
  return here;
}

test('what agrees by the levels in memory is done with', async () => {
  const copy = new SaidLevels(10);
  const { reconcile } = await boundTo(start(copy));
  expect(await reconcile()).toMatchObject({ rows: 1, byVerdict: { agrees: 1 }, opened: 0 });
  expect(copy.asked).toBeGreaterThan(0);
});

test('what differs by them is judged by the ledger, and counted once', async () => {
  const { reconcile, rig } = await boundTo(start(new SaidLevels(3)));
  expect(await reconcile()).toMatchObject({ rows: 1, byVerdict: { agrees: 1 }, opened: 0 });
  expect(rig.shows('X')).toBe(10);
});

test('while they are behind the ledger nobody goes by them', async () => {
  const copy = new SaidLevels(10);
  const bound = await boundTo(start(copy));
  await bound.all.losePublication();
  copy.behind = 1;
  await bound.reconcile();
  expect(copy.asked).toBe(0);
  expect(await bound.all.finding('X')).toMatchObject({ verdict: 'lost-publication', shown: 10, target: 7 });
});

test('a finding that is open is closed by the ledger alone', async () => {
  const copy = new SaidLevels(7);
  const bound = await boundTo(start(copy));
  await bound.all.losePublication();
  await bound.reconcile();
  expect(await bound.all.finding('X')).toMatchObject({ verdict: 'lost-publication', target: 7 });
  await eventually(() => expect(bound.rig.shows('X')).toBe(7));
  expect(await bound.reconcile()).toMatchObject({ resolved: 1 });
});

async function boundTo(starting: Promise<ReconcileRig>) {
  const all = await starting;
  return { all, rig: all.rig, reconcile: () => all.reconcile() };
}
