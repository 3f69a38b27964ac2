import { expect, test } from 'vitest';
import { runTwoDaemons } from './two-daemons.ts';

// The whole run, with restarts one after the other, is `npm run mesh:two-daemons`.
test('one daemon killed, one stopped with a request in hand: nothing is lost, and the late call is undone', async () => {
  const told: string[] = [];
  const result = await runTwoDaemons({
    seed: 3,
    buyMs: 500,
    withRollingRestart: false,
    say: (line) => told.push(line),
  });
  expect({ ...result, told }).toMatchObject({
    oversold: 0,
    lost: 0,
    disagreements: [],
    findings: 0,
    violations: 0,
    lateCall: 'undone',
  });
  expect(result.orders).toBeGreaterThan(500);
}, 420_000);
