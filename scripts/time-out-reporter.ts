import { writeFileSync } from 'node:fs';
import type { Reporter, TestModule } from 'vitest/node';

interface ErrorLike {
  readonly message?: unknown;
  readonly cause?: unknown;
}

/** A test or hook that ran out of time, or an `expect.poll` / `vi.waitFor` that did; the cause is where the latter says so. */
function isTimeOut(error: ErrorLike): boolean {
  const text = typeof error.message === 'string' ? error.message : '';
  if (/^(?:Test|Hook) timed out in |Matcher did not succeed in time|Timed out in waitFor/.test(text))
    return true;
  return typeof error.cause === 'object' && error.cause !== null && isTimeOut(error.cause);
}

/** What follows a time-out in the same test (a connection left open, a teardown) is its consequence: the first error decides. */
function verdictOf(module: TestModule): 'right' | 'timed-out' | 'failed' {
  let verdict: 'right' | 'timed-out' = 'right';
  const firstErrors = [...module.children.allTests('failed')].map((test) => test.result().errors?.[0]);
  const suites = [...module.children.allSuites()].flatMap((suite) => suite.errors());
  for (const error of [...firstErrors, ...suites, ...module.errors()]) {
    if (error === undefined || !isTimeOut(error)) return 'failed';
    verdict = 'timed-out';
  }
  return verdict;
}

/** Writes which test files failed, and which only ran out of time, to the file STOCKMESH_TEST_OUTCOME (see checks.mjs). */
// oxlint-disable-next-line import/no-default-export -- vitest loads reporters by their default export
export default class TimeOutReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly unknown[]): void {
    const file = process.env.STOCKMESH_TEST_OUTCOME;
    if (file === undefined) return;
    const named = (verdict: string): string[] =>
      modules.filter((module) => verdictOf(module) === verdict).map((module) => module.moduleId);
    const failed = [...named('failed'), ...(unhandled.length > 0 ? ['unhandled error'] : [])];
    writeFileSync(file, JSON.stringify({ failed, timedOut: named('timed-out') }));
  }
}
