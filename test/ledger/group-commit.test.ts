import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { GroupCommit } from '../../src/ledger/group-commit.ts';

/** Calls that return when they are told to. */
function commits(overlapsFrom?: number) {
  const calls: { readonly requests: readonly number[]; answer: () => void }[] = [];
  const group = new GroupCommit<number, number>(
    'test',
    { maxBatch: 4, maxInFlight: 2, maxWaiting: 100, ...(overlapsFrom === undefined ? {} : { overlapsFrom }) },
    () => 1,
    (requests) =>
      new Promise((resolve) => {
        calls.push({ requests, answer: () => resolve(requests.map((request) => request * 10)) });
      }),
  );
  const answers: number[] = [];
  const add = (...requests: readonly number[]): void => {
    for (const request of requests) void group.add(request).then((answer) => answers.push(answer));
  };
  const sent = () => calls.map(({ requests }) => requests);
  return { add, sent, calls, answers };
}

test('without an overlap what waits leaves when a call returns', async () => {
  const { add, sent, calls, answers } = commits();
  add(1);
  add(2, 3, 4, 5);
  await turn();
  expect(sent()).toEqual([[1]]);
  calls[0]?.answer();
  await turn();
  await turn();
  expect([sent(), answers]).toEqual([[[1], [2, 3, 4, 5]], [10]]);
});

test('with one it leaves beside the call on its way, once enough of them wait, whole turns together', async () => {
  const { add, sent, calls, answers } = commits(3);
  add(1);
  add(2, 3);
  await turn();
  expect(sent()).toEqual([[1]]);
  add(4);
  // Not before the turn is over: who comes in the same turn goes with it.
  expect(sent()).toEqual([[1]]);
  add(5, 6);
  await turn();
  expect(sent()).toEqual([[1], [2, 3, 4, 5]]);
  // No more than two on their way, however many wait; and answers reach those who asked, in any order.
  add(7, 8, 9);
  await turn();
  expect(sent()).toHaveLength(2);
  calls[1]?.answer();
  await turn();
  await turn();
  expect(sent()).toEqual([[1], [2, 3, 4, 5], [6, 7, 8, 9]]);
  calls[0]?.answer();
  calls[2]?.answer();
  await turn();
  expect(answers.toSorted((a, b) => a - b)).toEqual([10, 20, 30, 40, 50, 60, 70, 80, 90]);
});
