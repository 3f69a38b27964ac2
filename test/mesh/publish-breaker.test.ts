import { expect, test } from 'vitest';
import { Breaker, type BreakerSettings, type BreakerState } from '../../src/mesh/breaker.ts';

const settings: BreakerSettings = {
  windowCalls: 10,
  minCalls: 4,
  failureRate: 0.5,
  slowMs: 100,
  slowRate: 0.8,
  pauseMs: 1000,
  maxPauseMs: 3000,
};

function setup() {
  let nowMs = 0;
  const changes: BreakerState[] = [];
  const breaker = new Breaker(
    settings,
    () => nowMs,
    (state) => changes.push(state),
  );
  const call = (outcome: 'ok' | 'failed', tookMs = 1): 'admitted' | 'refused' => {
    const admission = breaker.admit();
    if (admission.kind === 'refused') return 'refused';
    nowMs += tookMs;
    admission.done(outcome);
    return 'admitted';
  };
  return { breaker, changes, call, pass: (ms: number) => (nowMs += ms) };
}

test('too few calls open nothing; then the failing share does, and calls are refused with the time left', () => {
  const { breaker, call } = setup();
  for (let n = 0; n < 3; n++) call('failed');
  expect(breaker.state).toBe('closed');
  call('failed');
  expect(breaker.state).toBe('open');
  const refused = breaker.admit();
  expect(refused).toEqual({ kind: 'refused', retryInMs: 1000 });
});

test('one failure among successes does not open it; slow answers do', () => {
  const { breaker, call } = setup();
  for (let n = 0; n < 9; n++) call('ok');
  call('failed');
  expect(breaker.state).toBe('closed');
  for (let n = 0; n < 10; n++) call('ok', 101);
  expect(breaker.state).toBe('open');
});

test('after the pause one probe at a time; a failed probe doubles the pause up to its limit, a good one closes', () => {
  const { breaker, call, changes, pass } = setup();
  for (let n = 0; n < 4; n++) call('failed');
  for (const expectedPauseMs of [1000, 2000, 3000, 3000]) {
    pass(expectedPauseMs - 2);
    expect(breaker.admit().kind).toBe('refused');
    pass(2);
    const probe = breaker.admit();
    expect(probe.kind).toBe('admitted');
    expect(breaker.admit().kind).toBe('refused');
    if (probe.kind === 'admitted') probe.done('failed');
  }
  pass(3000);
  expect(call('ok')).toBe('admitted');
  expect(breaker.state).toBe('closed');
  expect(changes.at(-1)).toBe('closed');
  for (let n = 0; n < 3; n++) call('failed');
  expect(breaker.state, 'earlier failures are forgotten').toBe('closed');
});

test('held open by hand it stays so, whatever calls that were under way say', () => {
  const { breaker, pass } = setup();
  const underWay = breaker.admit();
  breaker.openByHand();
  if (underWay.kind === 'admitted') underWay.done('ok');
  pass(1_000_000);
  expect(breaker.admit().kind).toBe('refused');
  breaker.closeByHand();
  expect(breaker.admit().kind).toBe('admitted');
});
