import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, test } from 'vitest';

const script = new URL('../../demo/drift.ts', import.meta.url).pathname;

test('faults planted while buyers buy are found, judged and put right, and nothing else is found', async () => {
  const child = spawn(process.execPath, [script, '--few'], { stdio: ['ignore', 'pipe', 'pipe'] });
  let out = '';
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (out += chunk.toString()));
  const [code] = (await once(child, 'exit')) as [number | null];
  expect(code, out).toBe(0);
  const last = JSON.parse(out.trim().split('\n').at(-1) ?? '') as { drift: Record<string, unknown> };
  expect(last.drift).toMatchObject({
    planted: 5,
    judgedRight: 5,
    repaired: 5,
    falseFindings: 0,
    violations: 0,
  });
}, 480_000);
