import { userInfo } from 'node:os';
import { pipeline } from 'node:stream/promises';
import { parseArgs } from 'node:util';
import { loadConfig } from '../config/load-config.ts';
import { exitCodeFor } from '../domain/errors.ts';
import { exitCodes } from '../domain/exit-codes.ts';
import { DaemonClient } from './daemon-client.ts';
import { readOperatorToken } from './operator-token.ts';
import { allVerbs } from './verbs/all-verbs.ts';
import { UsageError, type Verb, type VerbOptions } from './verbs/verb.ts';

const commonOptions = {
  config: { type: 'string', short: 'c' },
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
} as const satisfies VerbOptions;

/**
 * The operator's commands. Exit code 0: done; 1: the daemon refused or did not answer, or the command found something;
 * 2: not understood; others as for the daemon (docs/errors.md).
 */
export async function runCli(args: readonly string[]): Promise<void> {
  try {
    const { options, positionals } = readArgs(args);
    const [command, ...rest] = positionals;
    if (options['help'] === true || command === undefined) {
      process.stdout.write(usage());
      return;
    }
    const file = options['config'];
    if (typeof file !== 'string') throw new UsageError('--config FILE is needed');
    if (command === 'run' || command === 'check') {
      // The whole daemon: a command that only asks it answers in a fraction of the time without.
      const { runMain } = await import('./run-main.ts');
      return await runMain(command === 'run' ? ['--config', file] : ['--config', file, '--check']);
    }
    const verb = allVerbs.find(({ name }) => name === command);
    if (verb === undefined) throw new UsageError(`not a command: ${positionals.join(' ')}`);
    const config = loadConfig(file);
    const answering = verb.run({
      config,
      daemon: new DaemonClient(config.http.private, readOperatorToken(config.dataDir)),
      args: rest,
      options: optionsOf(verb, options),
      actor: `operator:${userInfo().username}`,
    });
    if (answering === undefined) throw new UsageError(`not a command: ${positionals.join(' ')}`);
    const { result, text, isFinding = false } = await answering;
    if (typeof text === 'object') await pipeline(text, process.stdout, { end: false });
    else if (options['json'] === true) process.stdout.write(`${JSON.stringify(result)}\n`);
    else process.stdout.write(text ?? show(result));
    if (isFinding) process.exitCode = exitCodes.crashed;
  } catch (error) {
    process.stderr.write(`stockmesh: ${error instanceof Error ? error.message : String(error)}\n`);
    if (error instanceof UsageError) process.stderr.write(`\n${usage()}`);
    process.exitCode = error instanceof UsageError ? exitCodes.usage : exitCodeFor(error);
  }
}

function readArgs(args: readonly string[]): {
  readonly options: Readonly<Record<string, unknown>>;
  readonly positionals: readonly string[];
} {
  const verbOptions = allVerbs.map(({ options }) => options ?? {});
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: Object.assign({}, ...verbOptions, commonOptions) as VerbOptions,
    });
    return { options: values, positionals };
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error), { cause: error });
  }
}

/** An option of another verb would be overlooked without a word, which may be `--dry-run`. */
function optionsOf(verb: Verb, given: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const own = verb.options ?? {};
  for (const [name, value] of Object.entries(given)) {
    const isUnset = value === undefined || value === false;
    if (!isUnset && !(name in own) && !(name in commonOptions))
      throw new UsageError(`${verb.name} has no --${name}`);
  }
  return Object.fromEntries(Object.entries(given).filter(([name]) => name in own));
}

const columnWidth = 26;

function usage(): string {
  const rows: readonly (readonly [string, string])[] = [
    ['run', 'run the daemon in the foreground'],
    ['check', 'check the configuration'],
    ...allVerbs.flatMap((verb) => verb.usage),
  ];
  const lines = rows.map(([command, meaning]) => {
    const wrapped = meaning.replaceAll('\n', `\n  ${' '.repeat(columnWidth)}`);
    // A long command has its line to itself.
    const head =
      command.length < columnWidth ? command.padEnd(columnWidth) : `${command}\n  ${' '.repeat(columnWidth)}`;
    return `  ${head}${wrapped}\n`;
  });
  return (
    `stockmesh COMMAND --config FILE [--json]\n\n${lines.join('')}\n` +
    'All but run, check, rebuild and archive ask the running daemon over its private listener.\n' +
    'Exit codes: 0 done; 1 refused, no answer, or something was found; 2 not understood; others in docs/errors.md.\n'
  );
}

/** One line per row, `key=value`; nested values as JSON. */
function show(result: unknown): string {
  const rows = Array.isArray(result) ? result : [result];
  if (rows.length === 0) return 'nothing\n';
  return rows.map((row) => `${showRow(row)}\n`).join('');
}

function showRow(row: unknown): string {
  if (typeof row !== 'object' || row === null) return String(row);
  return Object.entries(row)
    .map(([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join('  ');
}
