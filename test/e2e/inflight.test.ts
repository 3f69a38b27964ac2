import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

/** A short run of `npm run inflight`: the daemon, four emulators, pushes lost, doubled and late. */
test('no write puts sold stock back, and every listing ends right', async () => {
  const script = new URL('../../bench/inflight.ts', import.meta.url).pathname;
  const args = [script, '--seed', '3', '--seconds', '5'];
  // An unsafe run ends with 1 and says in its first line what was wrong.
  const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 290_000 }).catch(
    (failure: { readonly stdout: string }) => failure,
  );
  const outcome = JSON.parse(stdout.split('\n')[0] ?? '') as Record<string, unknown>;
  expect(outcome).toMatchObject({ safe: true, wrongListings: 0, violations: [] });
}, 300_000);
