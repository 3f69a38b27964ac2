import { setTimeout as delay } from 'node:timers/promises';

const everyMs = 10;

/**
 * Repeats `check` until it no longer throws. Past `withinMs` its last error is thrown, with a cause that says that time
 * ran out: `npm test` tells a wait on a busy machine from a wrong answer by it (scripts/time-out-reporter.ts).
 */
export async function eventually(check: () => unknown, withinMs = 20_000): Promise<void> {
  const untilMs = performance.now() + withinMs;
  for (;;) {
    try {
      await check();
      return;
    } catch (error) {
      if (performance.now() < untilMs) await delay(everyMs);
      else if (error instanceof Error) {
        error.cause ??= new Error(`Timed out in waitFor: ${withinMs} ms`);
        throw error;
      } else throw error;
    }
  }
}
