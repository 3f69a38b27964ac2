import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, test } from 'vitest';
import { exitCodes } from '../../src/domain/exit-codes.ts';

const source = (path: string): string => pathToFileURL(join(import.meta.dirname, '../../src', path)).href;

test.each([
  ['an exception', 'throw error', exitCodes.crashed],
  ['a rejection', 'Promise.reject(error)', exitCodes.crashed],
  [
    'a typed error',
    "throw new StockmeshError('LEDGER_FILE_CORRUPT', { dir: 'd', detail: 'x' })",
    exitCodes.ledgerUnreadable,
  ],
])('%s nobody caught ends the process with one log line and no credential', (_name, statement, exitCode) => {
  const script = `
    import { createLogger } from '${source('telemetry/logger.ts')}';
    import { installCrashHandlers } from '${source('telemetry/crash-handlers.ts')}';
    import { StockmeshError } from '${source('domain/errors.ts')}';
    installCrashHandlers(createLogger({ level: 'info', merchant: 'acme' }));
    const config = { headers: { Authorization: 'Bearer canary-77b2' } };
    const error = Object.assign(new Error('boom'), { config });
    setTimeout(() => { ${statement}; }, 0);
    setTimeout(() => console.log('went on'), 1_000);`;
  const result = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
  expect(result.status).toBe(exitCode);
  expect(result.stdout.trim().split('\n')).toHaveLength(1);
  expect(JSON.parse(result.stdout)).toMatchObject({ level: 'fatal', msg: 'unexpected failure, ending' });
  expect(result.stdout + result.stderr).not.toContain('canary');
});
