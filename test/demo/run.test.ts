import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, expect, test } from 'vitest';

const script = new URL('../../demo/run.ts', import.meta.url).pathname;

async function runDemo(
  ...args: string[]
): Promise<{ readonly code: number | null; readonly out: string; readonly err: string }> {
  const child = spawn(process.execPath, [script, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let out = '';
  let err = '';
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()));
  const [code] = (await once(child, 'exit')) as [number | null];
  return { code, out, err };
}

describe('the demo', () => {
  test.each([['--seconds', '9'], ['--orders', '0'], ['--kill', 'everything'], ['--nonsense']])(
    'refuses %s %s with its usage and exit code 2',
    async (...args) => {
      const { code, err } = await runDemo(...args.filter((arg) => arg !== undefined));
      expect(code).toBe(2);
      expect(err).toContain('--seconds N');
    },
  );

  test('survives kill -9 of the daemon and ends in agreement', async () => {
    const { code, out, err } = await runDemo('--seconds', '10', '--orders', '25', '--kill', 'daemon');
    expect(code, `${out}\n${err}`).toBe(0);
    expect(out).toContain('starting it again');
    const last = JSON.parse(out.trim().split('\n').at(-1) ?? '') as { demo: Record<string, unknown> };
    expect(last.demo).toMatchObject({ orders: 25, oversold: 0, disagreements: 0, violations: 0 });
    expect(last.demo['movements']).toBeGreaterThan(100);
    expect(Object.keys(last.demo['saleToShelfMs'] as object)).toEqual(['p50', 'p95', 'p99']);
  }, 180_000);
});
