import { expect, test } from 'vitest';
import { type DriftWatch, watchDrift } from '../../src/domain/drift-watch.ts';
import { correctionOf, judgeDrift, judgeMissedOrder, oddOneOut } from '../../src/domain/verdict.ts';

const exactly = (units: number) => ({ lowest: units, highest: units });

function watchAll(reads: readonly (readonly [atMs: number, lowest: number, highest: number])[]) {
  let watch: DriftWatch | undefined;
  let kind = 'none';
  for (const [atMs, lowest, highest] of reads) {
    const seen = watchDrift(watch, { lowest, highest }, atMs, 100);
    kind = seen.kind;
    watch = seen.kind === 'explained' ? undefined : seen.watch;
  }
  return { kind, watch };
}

test('one or two reads are no drift, and reads closer than the spacing are one', () => {
  expect(watchAll([[0, 3, 3]]).kind).toBe('watched');
  expect(
    watchAll([
      [0, 3, 3],
      [200, 3, 3],
    ]).kind,
  ).toBe('watched');
  expect(
    watchAll([
      [0, 3, 3],
      [50, 3, 3],
      [99, 3, 3],
      [120, 3, 3],
    ]),
  ).toMatchObject({
    kind: 'watched',
    watch: { reads: 2 },
  });
  expect(
    watchAll([
      [0, 3, 3],
      [200, 3, 3],
      [400, 3, 3],
    ]),
  ).toMatchObject({
    kind: 'drift',
    watch: { difference: exactly(3) },
  });
});

test('an explained read in between starts anew; so does another difference', () => {
  expect(
    watchAll([
      [0, 3, 3],
      [200, 0, 0],
      [400, 3, 3],
      [600, 3, 3],
    ]).kind,
  ).toBe('watched');
  expect(
    watchAll([
      [0, 3, 3],
      [200, 4, 4],
      [400, 3, 3],
    ]),
  ).toMatchObject({ watch: { reads: 1 } });
});

test('a listing that sells all the time is judged by what its reads allow together', () => {
  const busy = watchAll([
    [0, 2, 6],
    [200, 4, 9],
    [400, 1, 5],
  ]);
  expect(busy).toMatchObject({ kind: 'drift', watch: { difference: { lowest: 4, highest: 5 } } });
  expect(
    watchAll([
      [0, 2, 3],
      [200, 4, 9],
      [400, 1, 2],
    ]).kind,
  ).toBe('watched');
});

test('a difference is named by the most particular explanation', () => {
  const evidence = { writes: [], keptOnCancel: [], corrections: 0 };
  expect(judgeDrift({ ...evidence, difference: exactly(7) })).toEqual({
    verdict: 'edited-on-channel',
    cause: 'hand-edit',
  });
  expect(judgeDrift({ ...evidence, difference: exactly(5), writes: [-9, -2, -3] })).toEqual({
    verdict: 'lost-publication',
    cause: 'write-not-applied',
  });
  expect(judgeDrift({ ...evidence, difference: exactly(-3), writes: [-3] }).cause).toBe('hand-edit');
  expect(judgeDrift({ ...evidence, difference: exactly(2), keptOnCancel: [2], writes: [-2] }).cause).toBe(
    'restored-on-cancel',
  );
  expect(judgeDrift({ ...evidence, difference: exactly(2), writes: [-2], corrections: 1 }).cause).toBe(
    'second-writer',
  );
  expect(judgeDrift({ ...evidence, difference: exactly(0) })).toEqual({
    verdict: 'lost-publication',
    cause: 'not-published',
  });
  expect(judgeMissedOrder(exactly(-2)).cause).toBe('order-not-heard');
  expect(judgeMissedOrder(exactly(2)).cause).toBe('cancellation-not-heard');
});

test('of three who know a number, the one that stands alone is named', () => {
  expect(oddOneOut(exactly(5), 7, exactly(5))).toBe('channel');
  expect(oddOneOut(exactly(5), 5, exactly(3))).toBe('warehouse');
  expect(oddOneOut(exactly(5), 3, exactly(3))).toBe('ledger');
  expect(oddOneOut(exactly(5), 4, exactly(3))).toBe('unclear');
  expect(oddOneOut(exactly(5), 7, undefined)).toBe('unclear');
  expect(oddOneOut(exactly(5), 5, { lowest: 3, highest: 5 })).toBe('unclear');
});

test('two writers correct each other only so often; then a person is told of both', () => {
  const writers = ['stockmesh', 'somebody on shop-a'] as const;
  expect(correctionOf('re-publish', 2, 3, writers)).toEqual({ action: 're-publish', reason: undefined });
  const parked = correctionOf('re-publish', 3, 3, writers);
  expect(parked.action).toBe('park');
  expect(parked.reason).toContain('stockmesh and somebody on shop-a');
  expect(correctionOf('adopt', 3, 3, writers).action).toBe('park');
  expect(correctionOf('report', 9, 3, writers)).toEqual({ action: 'report', reason: undefined });
});
