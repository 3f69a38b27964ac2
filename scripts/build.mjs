// Compiles src/ to dist/ and copies what tsc leaves behind (the ledger's Lua scripts and other assets).
import { spawnSync } from 'node:child_process';
import { cpSync, rmSync } from 'node:fs';
import { dirname, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const dist = join(root, 'dist');

rmSync(dist, { recursive: true, force: true });
const compiler = join(root, 'node_modules', '.bin', 'tsc');
const result = spawnSync(compiler, ['-p', 'tsconfig.build.json'], { cwd: root, stdio: 'inherit' });
if (result.status === 0) {
  cpSync(join(root, 'src'), dist, { recursive: true, filter: (path) => extname(path) !== '.ts' });
}
process.exitCode = result.status ?? 1;
