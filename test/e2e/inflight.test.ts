import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

/** First line of `npm run inflight`: what was found. A run that does not pass ends with 1 and says so there. */
async function run(...args: readonly string[]): Promise<Record<string, unknown>> {
  const script = new URL('../../bench/inflight.ts', import.meta.url).pathname;
  const { stdout } = await promisify(execFile)(process.execPath, [script, ...args], {
    timeout: 290_000,
  }).catch((failure: { readonly stdout: string }) => failure);
  return JSON.parse(stdout.split('\n')[0] ?? '') as Record<string, unknown>;
}

/** The daemon, four emulators, pushes lost, doubled and late. */
test('no write puts sold stock back, every listing ends right, and the exposure is what is counted', async () => {
  const outcome = await run('--seed', '3', '--seconds', '5');
  expect(outcome).toMatchObject({ safe: true, wrongListings: 0, violations: [] });
  const exposure = Object.values(outcome['exposure'] as Record<string, Record<string, number>>);
  expect(exposure.length).toBe(2);
  for (const { applied = 0, units = 0, unsure = 0, untold, computed = 0, doubtful = 0 } of exposure) {
    expect(applied).toBeGreaterThan(0);
    expect(untold).toBe(0);
    expect(Math.abs(computed - units)).toBeLessThanOrEqual(doubtful + unsure);
  }
}, 300_000);

test('the usual absolute push fails the same run', async () => {
  expect(await run('--seed', '3', '--seconds', '5', '--naive')).toMatchObject({ safe: false });
}, 300_000);
