import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { GroupCommit } from '../../src/ledger/group-commit.ts';

/** Calls that return when they are told to. */
function commits(pairs: boolean) {
  const calls: { readonly requests: readonly number[]; answer: () => void }[] = [];
  const group = new GroupCommit<number, number>(
    'test',
    { maxBatch: 4, maxInFlight: 2, maxWaiting: 100, pairs },
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

test('without pairs what waits leaves when a call returns', async () => {
  const { add, sent, calls, answers } = commits(false);
  add(1);
  add(2, 3, 4, 5);
  await turn();
  expect(sent()).toEqual([[1]]);
  calls[0]?.answer();
  await turn();
  await turn();
  expect([sent(), answers]).toEqual([[[1], [2, 3, 4, 5]], [10]]);
});

test('in pairs a call leaves beside the one on its way when it carries at least as much, whole turns together', async () => {
  const { add, sent, calls, answers } = commits(true);
  add(1);
  add(2);
  // Not before the turn is over: who comes in the same turn goes with it.
  expect(sent()).toEqual([[1]]);
  add(3, 4);
  await turn();
  expect(sent()).toEqual([[1], [2, 3, 4]]);
  // No more than two on their way.
  add(5, 6, 7, 8);
  await turn();
  expect(sent()).toHaveLength(2);
  calls[0]?.answer();
  await turn();
  await turn();
  expect(sent()).toEqual([[1], [2, 3, 4], [5, 6, 7, 8]]);
  calls[2]?.answer();
  await turn();
  await turn();
  // Less than the newest call carried waits for a call to return.
  add(9, 10, 11);
  await turn();
  expect(sent()).toHaveLength(3);
  calls[1]?.answer();
  await turn();
  await turn();
  calls[3]?.answer();
  await turn();
  expect(sent()[3]).toEqual([9, 10, 11]);
  expect(answers.toSorted((a, b) => a - b)).toEqual([10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110]);
});
