import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { BudgetTurns, type Grant } from '../../src/mesh/budget-turns.ts';
import { eventually } from '../support/eventually.ts';

/** A bucket that answers when it is told to. */
class Bucket {
  readonly asked: number[] = [];
  readonly #waiting: { readonly resolve: (grant: Grant) => void; readonly reject: (error: Error) => void }[] =
    [];

  readonly take = (cost: number): Promise<Grant> => {
    this.asked.push(cost);
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  };

  async grant(refillPerS: number | undefined): Promise<void> {
    this.#waiting.shift()?.resolve({ kind: 'granted', waitMs: 0, refillPerS });
    await turn();
  }

  async fail(): Promise<void> {
    this.#waiting.shift()?.reject(new Error('away'));
    await turn();
  }
}

function callers(turns: BudgetTurns, count: number, budget = { capacity: 9, refillPerS: 5 }) {
  const gone: number[] = [];
  const failed: number[] = [];
  for (let n = 0; n < count; n++) {
    const wish = { cost: 1, maxWaitMs: 60_000, signal: new AbortController().signal, budget };
    turns.wait({ ...wish, isUrgent: undefined }).then(
      () => gone.push(n),
      () => failed.push(n),
    );
  }
  return { gone, failed };
}

test('a call that fails is the end of those it was for; the others are asked for anew', async () => {
  const bucket = new Bucket();
  const turns = new BudgetTurns('patch', bucket.take);
  const first = callers(turns, 2);
  await turn();
  const second = callers(turns, 2);
  await turn();
  expect(bucket.asked).toEqual([2]);
  await bucket.fail();
  expect(first.failed).toEqual([0, 1]);
  await eventually(() => expect(bucket.asked).toEqual([2, 2]));
  await bucket.grant(5);
  expect(second.gone).toEqual([0, 1]);
});

test('all who come while a call is under way share the next one, up to half a bucket', async () => {
  const bucket = new Bucket();
  const turns = new BudgetTurns('patch', bucket.take);
  const { gone } = callers(turns, 1);
  await turn();
  const others = callers(turns, 10);
  await turn();
  expect(bucket.asked).toEqual([1]);
  await bucket.grant(5);
  expect(gone).toEqual([0]);
  // Half of nine, and five units a second add nothing to it.
  expect(bucket.asked).toEqual([1, 4]);
  await bucket.grant(5);
  await bucket.grant(5);
  expect(bucket.asked).toEqual([1, 4, 4, 2]);
  await bucket.grant(5);
  expect(others.gone).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
});

test('a platform that refills fast is asked for as much as comes in within a moment', async () => {
  const bucket = new Bucket();
  const turns = new BudgetTurns('patch', bucket.take);
  callers(turns, 1);
  await turn();
  await bucket.grant(1_000);
  const { gone } = callers(turns, 30);
  await turn();
  expect(bucket.asked).toEqual([1, 20]);
  await bucket.grant(1_000);
  expect(bucket.asked).toEqual([1, 20, 10]);
  await bucket.grant(1_000);
  expect(gone).toHaveLength(30);
});
