import { parseArgs } from 'node:util';
import { runTwoDaemons } from '../test/e2e/two-daemons.ts';

const { values } = parseArgs({
  options: { seed: { type: 'string', default: '1' }, seconds: { type: 'string', default: '10' } },
});
const seed = Number(values.seed);
const startedAtMs = performance.now();
const say = (line: string): void => {
  process.stdout.write(`${((performance.now() - startedAtMs) / 1_000).toFixed(1).padStart(6)} s  ${line}\n`);
};
say(`two daemons, one Redis, two Shopify shops and a TikTok shop; seed ${seed}`);
const result = await runTwoDaemons({
  seed,
  buyMs: Number(values.seconds) * 1_000,
  withRollingRestart: true,
  say,
});
process.stdout.write(`${JSON.stringify({ twoDaemons: result })}\n`);
const isRight =
  result.disagreements.length + result.findings + result.violations + result.oversold === 0 &&
  result.lateCall === 'undone';
process.exitCode = isRight ? 0 : 1;
