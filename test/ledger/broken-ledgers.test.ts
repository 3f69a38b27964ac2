import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Movement } from '../../src/domain/movement.ts';
import { checkLedger } from '../../src/ledger/check-state.ts';
import { type Invariant, LedgerFold } from '../../src/ledger/fold.ts';
import { readLog } from '../../src/ledger/log-range.ts';
import { dumpState, type LedgerState } from '../../src/ledger/state-dump.ts';
import { frozenLedgerParts } from '../support/frozen-ledger.ts';
import type { LedgerParts } from '../support/ledger-parts.ts';
import { Schedule } from './model/schedule.ts';

/** What a faulty ledger could hold: each mutation of a healthy one has to be found, by the rule that names it. */
type Log = Movement[];
type Mutable<T> = { -readonly [K in keyof T]: T[K] };
type State = Mutable<LedgerState>;

let parts: LedgerParts;
let log: Log = [];
let state: State;

beforeAll(async () => {
  parts = frozenLedgerParts();
  const schedule = new Schedule(parts, 4_711);
  for (let n = 0; n < 300; n += 1) await schedule.step();
  for await (const movements of readLog(parts.redis, parts.keys)) log.push(...movements);
  state = await dumpState(parts.redis, parts.keys);
});
afterAll(() => parts.close());

function check(movements: readonly Movement[], kept: LedgerState): Set<Invariant> {
  const fold = new LedgerFold();
  for (const movement of movements) fold.add(movement);
  return new Set(checkLedger(fold, kept).map(({ invariant }) => invariant));
}

function indexOf(kind: Movement['kind'], from = 0): number {
  const index = log.findIndex((movement, i) => i >= from && movement.kind === kind);
  if (index < 0) throw new Error(`the schedule made no ${kind}`);
  return index;
}

/** Closes the gap or makes room, as a writer would who skipped or repeated work and counted on. */
function renumber(movements: readonly Movement[]): Log {
  return movements.map((movement, i) => ({ ...movement, seq: i + 1, id: `${movement.epoch}-${i + 1}` }));
}

const brokenLogs: readonly (readonly [string, Invariant, () => readonly Movement[]])[] = [
  ['a movement is missing', 'sequence', () => log.toSpliced(indexOf('ordered'), 1)],
  [
    'a movement was skipped and the count went on',
    'conservation',
    () => renumber(log.toSpliced(indexOf('ordered'), 1)),
  ],
  [
    'a movement stands there twice',
    'sequence',
    () => log.toSpliced(indexOf('held'), 0, log[indexOf('held')] as Movement),
  ],
  [
    'one sequence has two contents',
    'sequence',
    () => log.toSpliced(10, 0, { ...(log[10] as Movement), units: 99 }),
  ],
  ['the last call is lost', 'sequence', () => log.slice(0, -1)],
  [
    'two entries changed places',
    'conservation',
    () => {
      const at = indexOf('held');
      const next = log.findIndex((movement, i) => i > at && movement.sku === log[at]?.sku);
      return renumber(log.with(at, log[next] as Movement).with(next, log[at] as Movement));
    },
  ],
  [
    'a hold is released twice',
    'hold-ends-once',
    () => renumber(log.toSpliced(indexOf('released') + 1, 0, log[indexOf('released')] as Movement)),
  ],
  [
    'a hold is committed twice',
    'hold-ends-once',
    () =>
      renumber(log.toSpliced(indexOf('hold-committed') + 1, 0, log[indexOf('hold-committed')] as Movement)),
  ],
  [
    'a receipt is applied twice',
    'operation-once',
    () => renumber(log.toSpliced(indexOf('adjusted') + 1, 0, log[indexOf('adjusted')] as Movement)),
  ],
  [
    'a level was written that no delta explains',
    'conservation',
    () => log.with(indexOf('ordered'), { ...(log[indexOf('ordered')] as Movement), onHand: 1_000 }),
  ],
  [
    'a version is counted twice',
    'version',
    () => log.with(indexOf('held'), { ...(log[indexOf('held')] as Movement), version: 1_000 }),
  ],
  [
    'the epoch changed with no entry that opens it',
    'sequence',
    () => log.map((movement, i) => (i > 50 ? { ...movement, epoch: movement.epoch + 1 } : movement)),
  ],
  [
    'a figure left the exact range',
    'range',
    () => log.with(log.length - 1, { ...(log.at(-1) as Movement), onHand: 2 ** 53 }),
  ],
  [
    'a line changed its SKU',
    'counters',
    () =>
      log.map((m) =>
        m.kind === 'shipped' || m.kind === 'cancelled'
          ? {
              ...m,
              line: log[indexOf('ordered')]?.line ?? '',
              reference: log[indexOf('ordered')]?.reference ?? '',
            }
          : m,
      ),
  ],
  [
    'a hold gives back more than it held',
    'hold-ends-once',
    () => {
      const at = indexOf('released');
      const released = log[at] as Movement;
      return log.with(at, {
        ...released,
        units: released.units + 1,
        deltaReserved: released.deltaReserved - 1,
      });
    },
  ],
  [
    'a hold took units that it does not name',
    'conservation',
    () => log.with(indexOf('held'), { ...(log[indexOf('held')] as Movement), units: 1_000 }),
  ],
];

const withLevel = (change: {
  readonly onHand?: number;
  readonly committed?: number;
  readonly reserved?: number;
}): State => {
  const [sku, levels] = [...state.levels][0] ?? ['', new Map()];
  const [location, level] = [...levels][0] ?? [];
  return {
    ...state,
    levels: new Map(state.levels).set(sku, new Map(levels).set(location, { ...level, ...change })),
  };
};
const live = (): LedgerState['holds'][number] => {
  const hold = state.holds.find(({ state: name }) => name === 'H');
  if (hold === undefined) throw new Error('the schedule left no live hold');
  return hold;
};
const withLine = (change: Partial<Mutable<LedgerState['lines'][number]>>): State => {
  const at = state.lines.findIndex(({ open }) => open.some(({ units }) => units > 0));
  return {
    ...state,
    lines: state.lines.with(at, { ...(state.lines[at] as LedgerState['lines'][number]), ...change }),
  };
};
const brokenState: readonly (readonly [string, Invariant, () => State])[] = [
  ['on-hand was edited', 'projection', () => withLevel({ onHand: 12_345 })],
  ['committed leaks a unit', 'committed-sum', () => withLevel({ committed: 777 })],
  ['reserved leaks a unit', 'reserved-sum', () => withLevel({ reserved: 777 })],
  ['the sequence went back', 'sequence', () => ({ ...state, seq: state.seq - 3 })],
  ['the epoch is another one', 'sequence', () => ({ ...state, epoch: state.epoch + 1 })],
  [
    'a version is behind',
    'version',
    () => ({ ...state, versions: new Map([...state.versions].map(([sku, n]) => [sku, n - 1])) }),
  ],
  [
    'a live hold lost its record',
    'hold-ends-once',
    () => ({ ...state, holds: state.holds.filter((hold) => hold !== live()) }),
  ],
  [
    'a live hold lost its deadline',
    'due-index',
    () => ({ ...state, due: new Map([...state.due].filter(([id]) => id !== live().holdId)) }),
  ],
  [
    'an ended hold still has a deadline',
    'due-index',
    () => ({ ...state, due: new Map(state.due).set('gone', 1) }),
  ],
  [
    'a hold ended without giving its units back',
    'reserved-sum',
    () => ({
      ...state,
      holds: state.holds.map((hold) => (hold === live() ? { ...hold, state: 'R' } : hold)),
    }),
  ],
  ['a line is committed twice', 'committed-sum', () => withLine({ open: [{ location: 'main', units: 40 }] })],
  ['a line forgot what was ordered', 'counters', () => withLine({ counters: [0, 0, 0, 0, 0, 0, 0] })],
  [
    'a credit was kept after its order came',
    'committed-sum',
    () => ({
      ...state,
      credits: [...state.credits, { order: 'shop:x', sku: 'plain', open: [{ location: 'main', units: 1 }] }],
    }),
  ],
  [
    "an agent's counter drifted",
    'reserved-sum',
    () => ({ ...state, agents: new Map([...state.agents].map(([key, n]) => [key, n + 1])) }),
  ],
  [
    'a provisional was booked nowhere',
    'reserved-sum',
    () => ({
      ...state,
      listings: [
        ...state.listings,
        { channel: 'shop', listingId: 'l', sku: 'plain', taken: 0, provisional: 2, provisionalAt: 'main' },
      ],
    }),
  ],
  [
    'taken was counted twice',
    'taken',
    () => ({
      ...state,
      listings: [
        ...state.listings,
        { channel: 'shop', listingId: 'l', sku: 'plain', taken: 2, provisional: 0, provisionalAt: '' },
      ],
    }),
  ],
  [
    'a live hold names other units than its entries',
    'projection',
    () => ({
      ...state,
      holds: state.holds.map((hold) =>
        hold === live()
          ? { ...hold, lines: hold.lines.map((line) => ({ ...line, units: line.units + 1 })) }
          : hold,
      ),
    }),
  ],
  [
    'a live hold is due at another time than it says',
    'due-index',
    () => ({ ...state, due: new Map(state.due).set(live().holdId, live().deadlineMs + 1) }),
  ],
  [
    'a level is there that nothing wrote',
    'projection',
    () => ({
      ...state,
      levels: new Map(state.levels).set(
        'ghost',
        new Map([['main', { onHand: 5, committed: 0, reserved: 0 }]]),
      ),
    }),
  ],
  [
    "a pool's counter drifted",
    'reserved-sum',
    () => ({ ...state, pools: new Map(state.pools).set('ghosts\u001fplain', 3) }),
  ],
  [
    'a line is gone with its units still committed',
    'committed-sum',
    () => ({
      ...state,
      lines: state.lines.filter(({ open }) => !open.some(({ units }) => units > 0)),
    }),
  ],
  ['a listing is gone with what was taken from it', 'taken', () => ({ ...state, listings: [] })],
];

test('a healthy ledger has no finding', () => {
  expect(check(log, state)).toEqual(new Set());
});

describe('broken logs', () => {
  test.each(brokenLogs)('%s', (_name, invariant, mutate) => {
    expect(check(mutate(), state)).toContain(invariant);
  });
});

describe('broken state', () => {
  test.each(brokenState)('%s', (_name, invariant, mutate) => {
    expect(check(log, mutate())).toContain(invariant);
  });
});

test('every invariant has a ledger that breaks it', () => {
  // A new one does not compile before it stands here.
  const where: Record<Invariant, 'here' | 'verify.test.ts'> = {
    sequence: 'here',
    conservation: 'here',
    version: 'here',
    range: 'here',
    'operation-once': 'here',
    'hold-ends-once': 'here',
    'due-index': 'here',
    projection: 'here',
    'reserved-sum': 'here',
    'committed-sum': 'here',
    counters: 'here',
    taken: 'here',
    archive: 'verify.test.ts',
  };
  const broken = new Set([...brokenLogs, ...brokenState].map(([, invariant]) => invariant));
  const wanted = Object.entries(where).flatMap(([invariant, file]) => (file === 'here' ? [invariant] : []));
  expect([...broken].toSorted()).toEqual(wanted.toSorted());
});
