// Long on purpose: it runs before anything else is there, so it can import nothing of ours.
// Brings what the project needs, then does one job:  node scripts/setup.mjs start|test|run [file] [flags]
//
// Runs before anything is installed, so: no dependency, no TypeScript, nothing newer than Node 18 knows.
// It says nothing and touches no network when everything is there. Its own lines go to stderr: stdout belongs
// to the job (a daemon's log, a benchmark's last line).
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const toolchainDir = join(root, '.toolchain');
const neededNode = '22.20.0';
// npm comes along: a distribution's npm is often patched to run under the distribution's own Node only.
const broughtPackages = { node: '24.21.0', npm: '11.19.1' };

/** Part of the table in src/domain/exit-codes.ts; a test compares the two. */
export const exitCodes = { ok: 0, usage: 2, setupFailed: 71, redisMissing: 72 };

class SetupError extends Error {
  constructor(message, exitCode = exitCodes.setupFailed) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** `7.0.15` >= `7.0.0`, number by number; what follows the numbers (`-rc1`) is ignored. */
export function isAtLeast(version, needed) {
  const [found, wanted] = [firstNumbers(version), firstNumbers(needed)];
  for (let index = 0; index < 3; index++) {
    const difference = (found[index] ?? 0) - (wanted[index] ?? 0);
    if (difference !== 0) return difference > 0;
  }
  return found.length > 0;
}

function firstNumbers(version) {
  return (version.match(/\d+/g) ?? []).slice(0, 3).map(Number);
}

/** Reads the first line of `redis-server --version`; undefined for anything that is neither Redis nor Valkey. */
export function parseServerVersion(output) {
  const match = /\b(Redis|Valkey) server v=(\d+\.\d+\.\d+)/i.exec(output);
  if (match === null) return undefined;
  const [, name, version] = match;
  return {
    name,
    version,
    isSupported: isAtLeast(version, name.toLowerCase() === 'valkey' ? '7.2.0' : '7.0.0'),
  };
}

/** The line that installs Redis, from the text of /etc/os-release and `process.platform`. */
export function redisInstallLine(osRelease, platform) {
  if (platform === 'darwin') return 'brew install redis';
  const ids = [...osRelease.matchAll(/^ID(?:_LIKE)?="?([^"\n]*)"?$/gm)].flatMap(([, value]) =>
    value.split(' '),
  );
  if (ids.includes('debian') || ids.includes('ubuntu')) {
    return 'sudo apt-get update && sudo apt-get install -y redis-server';
  }
  if (ids.includes('fedora') || ids.includes('rhel'))
    return 'sudo dnf install -y redis || sudo dnf install -y valkey';
  if (ids.includes('arch')) return 'sudo pacman -S --needed --noconfirm valkey';
  if (ids.includes('alpine')) return 'sudo apk add redis';
  return 'install Redis >= 7.0 or Valkey >= 7.2 (https://redis.io/docs/latest/operate/oss_and_stack/install/)';
}

/** True when a configuration file names a Redis of its own, so that no local redis-server is needed. */
export function namesExternalRedis(yamlText) {
  const section = /^redis:(.*(?:\n(?:[ \t].*|[ \t]*#.*|[ \t]*)(?=\n|$))*)/m.exec(yamlText);
  return section !== null && /(^|[\s{,])url:\s*\S/.test(section[1].replace(/#.*$/gm, ''));
}

function say(line) {
  process.stderr.write(`set-up: ${line}\n`);
}

function readText(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function findOnPath(name, path = process.env.PATH ?? '') {
  for (const dir of path.split(delimiter)) {
    if (dir !== '' && existsSync(join(dir, name))) return join(dir, name);
  }
  return undefined;
}

/** Runs a command to its end with its output kept back; the output is shown only when it fails. */
function runQuietly(what, command, args, options = {}) {
  const result = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 64 << 20, ...options });
  if (result.error === undefined && result.status === 0) return;
  const lines = `${result.stdout ?? ''}${result.stderr ?? ''}`.trim().split('\n');
  const output = (lines.length <= 24 ? lines : [...lines.slice(0, 12), '...', ...lines.slice(-12)]).join(
    '\n',
  );
  const reason = result.error?.message ?? `ended with ${result.status ?? result.signal}`;
  throw new SetupError(`${what} failed (${command} ${args.join(' ')}: ${reason})\n${output}`);
}

/** How to call npm: through `npm_execpath` when npm started us (PATH may not have it), else by its name. */
function npmCommand(node) {
  const execPath = process.env.npm_execpath ?? '';
  if (execPath.endsWith('npm-cli.js')) return [node, [execPath]];
  if (findOnPath('npm') !== undefined) return ['npm', []];
  throw new SetupError(
    'npm is not on PATH. Install Node 22.20 or later with npm (https://nodejs.org), then run again.',
  );
}

/** A Node that is new enough, and the way to call an npm that runs under it. */
function ensureNode() {
  if (isAtLeast(process.versions.node, neededNode)) {
    return { node: process.execPath, npm: () => npmCommand(process.execPath) };
  }
  const node = join(toolchainDir, 'node_modules', 'node', 'bin', 'node');
  const npmCli = join(toolchainDir, 'node_modules', 'npm', 'bin', 'npm-cli.js');
  if (!isNodeUsable(node) || !existsSync(npmCli)) {
    say(
      `Node ${process.versions.node} is older than ${neededNode}: installing Node ${broughtPackages.node} into .toolchain`,
    );
    mkdirSync(toolchainDir, { recursive: true });
    // The package `node` fetches its binary in a preinstall script, which newer npm runs only when allowed here.
    const manifest = { private: true, dependencies: broughtPackages, allowScripts: { node: true } };
    writeFileSync(join(toolchainDir, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`);
    const [command, args] = npmCommand(process.execPath);
    const flags = ['install', '--prefix', toolchainDir, '--no-audit', '--no-fund', '--no-package-lock'];
    runQuietly('installing Node', command, [...args, ...flags], { cwd: toolchainDir });
  }
  if (!isNodeUsable(node)) {
    throw new SetupError(
      `npm installed no Node binary into .toolchain: its install script did not run (is ignore-scripts set? ` +
        `"npm config get ignore-scripts"). Install Node ${neededNode} or later yourself, or run ` +
        '"npm config set ignore-scripts false", remove .toolchain and try again.',
    );
  }
  return { node, npm: () => [node, [npmCli]] };
}

function isNodeUsable(node) {
  if (!existsSync(node)) return false;
  const result = spawnSync(node, ['--version'], { encoding: 'utf8' });
  return result.status === 0 && isAtLeast(result.stdout, neededNode);
}

/** `npm ci` when the lock file is another than the one node_modules was made from. */
function ensurePackages({ node, npm }) {
  const lockText = readText(join(root, 'package-lock.json'));
  const lockHash = createHash('sha256').update(lockText).digest('hex');
  const stampFile = join(root, 'node_modules', '.stockmesh-lock-hash');
  if (readText(stampFile).trim() === lockHash) return;
  if (!isInstalledAsLocked(lockText)) {
    say('installing packages (npm ci)');
    const [command, args] = npm();
    const env = { ...process.env, PATH: `${dirname(node)}${delimiter}${process.env.PATH ?? ''}` };
    // The checks need the development packages even where NODE_ENV says production.
    const flags = ['ci', '--prefix', root, '--include=dev', '--no-audit', '--no-fund'];
    runQuietly('npm ci', command, [...args, ...flags], { cwd: root, env });
  }
  writeFileSync(stampFile, `${lockHash}\n`);
}

/** npm keeps what it installed in a hidden lock file: an `npm ci` done by hand needs no second one. */
function isInstalledAsLocked(lockText) {
  const hiddenText = readText(join(root, 'node_modules', '.package-lock.json'));
  if (lockText === '' || hiddenText === '') return false;
  const [locked, installed] = [JSON.parse(lockText).packages ?? {}, JSON.parse(hiddenText).packages ?? {}];
  return Object.entries(locked).every(([path, { version, optional }]) => {
    if (path === '' || (optional === true && installed[path] === undefined)) return true;
    return installed[path]?.version === version;
  });
}

function findRedis() {
  const named = process.env.STOCKMESH_REDIS_SERVER;
  const path = named ?? findOnPath('redis-server') ?? findOnPath('valkey-server');
  if (path === undefined) return { reason: 'redis-server is not installed' };
  const result = spawnSync(path, ['--version'], { encoding: 'utf8' });
  const found = parseServerVersion(result.stdout ?? '');
  if (found === undefined) return { reason: `${path} is not a Redis or Valkey server` };
  if (found.isSupported) return { path };
  return { reason: `${path} is ${found.name} ${found.version}; Redis >= 7.0 or Valkey >= 7.2 is needed` };
}

/** The path of a redis-server that is new enough; installs it with apt where that is ours to do. */
function ensureRedis() {
  let redis = findRedis();
  if (redis.path !== undefined) return redis.path;
  const line = redisInstallLine(readText('/etc/os-release'), process.platform);
  const mayInstall = process.env.STOCKMESH_REDIS_SERVER === undefined && process.getuid?.() === 0;
  if (mayInstall && line.includes('apt-get') && findOnPath('apt-get') !== undefined) {
    say('installing redis-server (apt-get)');
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
    runQuietly('apt-get update', 'apt-get', ['update', '-q'], { env });
    const flags = ['install', '-y', '-q', '--no-install-recommends', 'redis-server'];
    runQuietly('apt-get install', 'apt-get', flags, { env });
    redis = findRedis();
    if (redis.path !== undefined) return redis.path;
  }
  throw new SetupError(`${redis.reason}. To install it:\n  ${line}`, exitCodes.redisMissing);
}

/**
 * Runs the job as a child with our stdio and passes stop signals on; resolves with its exit code.
 * Ctrl-C in a terminal reaches the whole group by itself, so SIGINT is passed on only elsewhere. An npm that was
 * killed passes nothing on: the job is asked to stop when our parent is another one than at the start.
 */
function runJob(command, args, env) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd: process.cwd(), env, stdio: 'inherit' });
    const forward = (signal) => {
      if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal);
    };
    const signals = ['SIGTERM', 'SIGINT', 'SIGHUP'];
    for (const signal of signals) process.on(signal, forward);
    const parent = process.ppid;
    const watch = setInterval(() => {
      if (process.ppid === parent) return;
      clearInterval(watch);
      child.kill('SIGTERM');
    }, 100);
    const end = (code) => {
      clearInterval(watch);
      for (const signal of signals) process.off(signal, forward);
      resolve(code);
    };
    child.on('error', (error) => {
      say(`${command} could not be started: ${error.message}`);
      end(exitCodes.setupFailed);
    });
    child.on('exit', (code, signal) => end(code ?? 128 + constants.signals[signal]));
  });
}

function valueOfConfigFlag(flags) {
  const index = flags.findIndex((flag) => flag === '--config' || flag.startsWith('--config='));
  if (index < 0) return undefined;
  return flags[index].startsWith('--config=') ? flags[index].slice('--config='.length) : flags[index + 1];
}

/** Resolves with the exit code of the job, or of the set-up that could not be done. */
export async function main([job, ...flags]) {
  if (!['start', 'test', 'run'].includes(job) || (job === 'run' && flags.length === 0)) {
    console.error(
      'Use: node scripts/setup.mjs start [--config FILE] | test [vitest flags] | run FILE [flags]',
    );
    return exitCodes.usage;
  }
  try {
    const toolchain = ensureNode();
    ensurePackages(toolchain);
    const bins = [dirname(toolchain.node), join(root, 'node_modules', '.bin')];
    // The job ends with us even when we are killed; see src/telemetry/parent-process.ts.
    const env = {
      ...process.env,
      STOCKMESH_STOP_WITH_PARENT: '1',
      PATH: [...bins, process.env.PATH ?? ''].join(delimiter),
    };
    const configFile = job === 'start' ? valueOfConfigFlag(flags) : undefined;
    if (configFile === undefined || !namesExternalRedis(readText(configFile))) {
      env.STOCKMESH_REDIS_SERVER = ensureRedis();
    }
    if (job === 'test') {
      process.chdir(root);
      // Not needed before there are packages, so not part of the file that runs alone.
      const { runChecks } = await import('./checks.mjs');
      return await runChecks({
        root,
        flags,
        runTool: (name, args) => runJob(join(root, 'node_modules', '.bin', name), args, env),
      });
    }
    const isDaemon =
      job === 'start' && flags.some((flag) => flag === '--config' || flag.startsWith('--config='));
    const file = job === 'run' ? flags.shift() : join(root, isDaemon ? 'src/main.ts' : 'demo/run.ts');
    return await runJob(toolchain.node, [file, ...flags], env);
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    say(error.message);
    return error.exitCode;
  }
}

const isStartedDirectly =
  process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url);
if (isStartedDirectly) process.exitCode = await main(process.argv.slice(2));
