import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';

test('a process whose starter was killed notices, and one whose starter lives does not', async () => {
  const watch = pathToFileURL(join(import.meta.dirname, '../../src/telemetry/parent-process.ts')).href;
  const job = `import { watchParent } from '${watch}';
    watchParent(() => process.exit(0), 20);
    setInterval(() => {}, 1000);
    console.log(process.pid);`;
  const starter = `const { spawn } = require('node:child_process');
    spawn(process.execPath, ['--input-type=module', '-e', process.argv[1]], { stdio: ['ignore', 'inherit', 'inherit'] });
    setInterval(() => {}, 1000);`;
  const parent = spawn(process.execPath, ['-e', starter, job], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = (await once(parent.stdout, 'data')) as [Buffer];
  const pid = Number(line.toString());
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(process.kill(pid, 0)).toBe(true);
  parent.kill('SIGKILL');
  await eventually(() => expect(() => process.kill(pid, 0)).toThrow());
});
