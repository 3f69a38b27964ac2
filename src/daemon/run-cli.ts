import { userInfo } from 'node:os';
import { parseArgs } from 'node:util';
import type { Config } from '../config/configuration.ts';
import { loadConfig } from '../config/load-config.ts';
import { exitCodeFor } from '../domain/errors.ts';
import { exitCodes } from '../domain/exit-codes.ts';
import { parseMerchantId } from '../domain/ids.ts';
import { beginNewArchive, checkRebuilt, rebuild } from './rebuild.ts';
import { runMain } from './run-main.ts';

const usage = `stockmesh COMMAND --config FILE [--json]

  run                       run the daemon in the foreground
  check                     check the configuration
  channels                  channels, what they wait for, when they were last heard
  stock [SKU...]            levels as the running daemon has them
  position                  epoch and sequence of the ledger
  parked [list]             what is set aside, and why
  parked retry ID           try a parked row again
  parked discard ID         drop a parked row
  ledger                    whether the ledger is halted, and for which lost entries
  ledger verify             archive and log against the state; exit code 1 when they differ
  ledger confirm-loss       accept the loss; what no platform can send again is put back
  vault                     which master key seals the stored credentials (ids, never keys)
  vault rotate              put every stored credential under the current master key, or under a new one where the key
                            is kept in the data directory; exit code 1 unless all of them are
  rebuild                   with the daemon stopped: the ledger from archive and mirror into an empty Redis
                            (--accept-findings: also when the history contradicts itself; --into MERCHANT:
                            under another merchant of the same Redis; --check: in memory, compared with the
                            ledger, exit code 1 when they differ)
  archive begin             with the daemon stopped: the archive's folder is lost for good; a new one begins at what
                            the log still holds

All but run, check, rebuild and archive ask the running daemon over its private listener.
`;

class UsageError extends Error {}
class DaemonAnswer extends Error {}

/** A verification reads the whole history. */
const answerWithinMs = 600_000;

/** The operator's commands. Exit code 0: done; 1: the daemon refused or did not answer; 2: not understood. */
export async function runCli(args: readonly string[]): Promise<void> {
  try {
    const { values, positionals } = readArgs(args);
    const [command, ...rest] = positionals;
    if (values.help || command === undefined) {
      process.stdout.write(usage);
      return;
    }
    if (values.config === undefined) throw new UsageError('--config FILE is needed');
    if (command === 'run') return await runMain(['--config', values.config]);
    if (command === 'check') return await runMain(['--config', values.config, '--check']);
    const config = loadConfig(values.config);
    const result =
      command === 'rebuild'
        ? await rebuiltFrom(config, values)
        : command === 'archive' && rest.join(' ') === 'begin'
          ? await beginNewArchive(config)
          : await ask(config, command, rest);
    process.stdout.write(values.json ? `${JSON.stringify(result)}\n` : show(result));
  } catch (error) {
    process.stderr.write(`stockmesh: ${error instanceof Error ? error.message : String(error)}\n`);
    if (error instanceof UsageError) process.stderr.write(`\n${usage}`);
    process.exitCode = error instanceof UsageError ? exitCodes.usage : exitCodeFor(error);
  }
}

function readArgs(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        config: { type: 'string', short: 'c' },
        json: { type: 'boolean', default: false },
        'accept-findings': { type: 'boolean', default: false },
        check: { type: 'boolean', default: false },
        into: { type: 'string' },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error), { cause: error });
  }
}

async function ask(config: Config, command: string, rest: readonly string[]): Promise<unknown> {
  const [action = '', id = ''] = rest;
  switch (command) {
    case 'channels':
      return (await call<{ channels: unknown }>(config, 'GET', '/channels')).channels;
    case 'position':
      return call(config, 'GET', '/position');
    case 'stock': {
      const query = rest.map((sku) => `sku=${encodeURIComponent(sku)}`).join('&');
      return (await call<{ skus: unknown }>(config, 'GET', `/stock?${query === '' ? 'limit=1000' : query}`))
        .skus;
    }
    case 'parked':
      if (action === '' || action === 'list') {
        return (await call<{ rows: unknown }>(config, 'GET', '/parked?limit=1000')).rows;
      }
      if ((action === 'retry' || action === 'discard') && id !== '') {
        return call(config, 'POST', `/parked/${action}`, { id });
      }
      break;
    case 'ledger':
      if (action === '') return call(config, 'GET', '/ledger');
      if (action === 'verify') return verify(config);
      if (action === 'confirm-loss') {
        return call(config, 'POST', '/ledger/confirm-loss', { actor: `operator:${userInfo().username}` });
      }
      break;
    case 'vault':
      if (action === '') return call(config, 'GET', '/vault');
      if (action === 'rotate') return rotate(config);
      break;
    default:
  }
  throw new UsageError(`not a command: ${[command, ...rest].join(' ')}`);
}

async function rebuiltFrom(
  config: Config,
  options: {
    readonly check: boolean;
    readonly into?: string | undefined;
    readonly 'accept-findings': boolean;
  },
): Promise<unknown> {
  if (options.check) {
    const check = await checkRebuilt(config);
    if (check.kind !== 'checked' || check.findings.length > 0) process.exitCode = exitCodes.crashed;
    return check;
  }
  const into = options.into === undefined ? undefined : parseMerchantId(options.into);
  if (into?.kind === 'bad') throw new UsageError(`--into: ${into.reason}`);
  const result = await rebuild(config, options['accept-findings'], into?.value);
  if (result.kind !== 'rebuilt') process.exitCode = exitCodes.crashed;
  return result;
}

async function rotate(config: Config): Promise<unknown> {
  const report = await call<{ isComplete: boolean }>(config, 'POST', '/vault/rotate');
  if (!report.isComplete) process.exitCode = exitCodes.crashed;
  return report;
}

async function verify(config: Config): Promise<unknown> {
  const report = await call<{ findings: readonly unknown[] }>(config, 'POST', '/ledger/verify');
  if (report.findings.length > 0) process.exitCode = exitCodes.crashed;
  return report;
}

async function call<T>(config: Config, method: 'GET' | 'POST', path: string, body?: object): Promise<T> {
  const { host, port } = config.http.private;
  const reachable = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host;
  const url = `http://${reachable.includes(':') ? `[${reachable}]` : reachable}:${port}${path}`;
  let response: Response;
  try {
    response = await fetch(url, {
      method,
      signal: AbortSignal.timeout(answerWithinMs),
      ...(body === undefined
        ? {}
        : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    });
  } catch (error) {
    throw new DaemonAnswer(`the daemon does not answer at ${url}`, { cause: error });
  }
  const answer = (await response.json()) as T & { readonly code?: string; readonly title?: string };
  if (!response.ok) throw new DaemonAnswer(`${answer.code ?? response.status}: ${answer.title ?? ''}`);
  return answer;
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
