import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import type { Config } from '../config/configuration.ts';
import { readEnvironment } from '../config/environment.ts';
import { describeConfig, loadConfig } from '../config/load-config.ts';
import { exitCodeFor, StockmeshError } from '../domain/errors.ts';
import { exitCodes } from '../domain/exit-codes.ts';
import { Secret } from '../domain/secret.ts';
import { installCrashHandlers } from '../telemetry/crash-handlers.ts';
import { armFailpoints } from '../telemetry/failpoint.ts';
import { createLogger } from '../telemetry/logger.ts';
import { createMetricsRegistry } from '../telemetry/metrics.ts';
import { watchParent } from '../telemetry/parent-process.ts';
import { Redactor } from '../telemetry/redactor.ts';
import { Daemon } from './daemon.ts';

const usage = `stockmesh: keeps a merchant's stock counts right on every sales channel at once

  node src/main.ts --config FILE    run the daemon (SIGTERM or SIGINT stops it)
    --check                         only check the configuration
    --print-config                  print the configuration in force, without credentials
    --version, --help
`;

/** The supervisor kills at ten seconds; what is not finished by now is taken up by the next start. */
const stopWithinMs = 9_500;

export const version: string = (
  JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string }
).version;

/** The command line of the daemon. Ends the process with the exit code of docs/errors.md. */
export async function runMain(args: readonly string[]): Promise<void> {
  try {
    const options = readArgs(args);
    if (options === undefined) return;
    const config = loadConfig(options.config);
    if (options.check) process.stdout.write(`${options.config} is valid\n`);
    if (options.printConfig) process.stdout.write(describeConfig(config));
    if (!options.check && !options.printConfig) await run(config);
  } catch (error) {
    // Before there is a log: one plain line for whoever started us.
    const text = error instanceof StockmeshError ? `${error.code}: ${error.message}` : String(error);
    process.stderr.write(`stockmesh: ${text}\n`);
    process.exitCode = error instanceof UsageError ? exitCodes.usage : exitCodeFor(error);
  }
}

class UsageError extends Error {}

function readArgs(
  args: readonly string[],
): { readonly config: string; readonly check: boolean; readonly printConfig: boolean } | undefined {
  let parsed;
  try {
    parsed = parseArgs({
      args: [...args],
      options: {
        config: { type: 'string', short: 'c' },
        check: { type: 'boolean', default: false },
        'print-config': { type: 'boolean', default: false },
        version: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
  } catch (error) {
    throw new UsageError(`${error instanceof Error ? error.message : String(error)}\n\n${usage}`, {
      cause: error,
    });
  }
  const { values } = parsed;
  if (values.help) process.stdout.write(usage);
  else if (values.version) process.stdout.write(`${version}\n`);
  else if (values.config === undefined) throw new UsageError(`--config FILE is needed\n\n${usage}`);
  else return { config: values.config, check: values.check, printConfig: values['print-config'] };
  return undefined;
}

async function run(config: Config): Promise<void> {
  const environment = readEnvironment();
  const armed = armFailpoints(environment.failpoint, environment.isProduction);
  if (armed.kind === 'refused') throw new StockmeshError('FAILPOINT_REFUSED', { reason: armed.reason });
  const redactor = new Redactor(secretsOf(config));
  const log = createLogger({ level: config.logLevel, merchant: config.merchant, redactor });
  installCrashHandlers(log);
  log.debug({ config: JSON.parse(JSON.stringify(config)) as unknown }, 'configuration in force');

  let stop: (reason: string, exitCode: number) => void = (_reason, exitCode) => process.exit(exitCode);
  const daemon = new Daemon({
    config,
    log,
    registry: createMetricsRegistry(),
    redactor,
    version,
    onFatal: (error) => {
      log.fatal({ err: error }, 'the daemon cannot go on');
      stop(error.code, exitCodeFor(error));
    },
  });
  stop = stopper(daemon, log);
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => stop(signal, exitCodes.ok));
  if (environment.stopWithParent) watchParent(() => stop('the starter is gone', exitCodes.ok));
  try {
    const at = await daemon.start();
    log.info({ ...at, version, channels: config.channels.length }, 'ready');
    process.stderr.write(
      `stockmesh ${version} is ready: merchant ${config.merchant}, ${config.channels.length} channels, ` +
        `${at.public === undefined ? 'no webhooks here' : `webhooks at ${at.public}/webhooks/<platform>/<channel>`}, private listener at ${at.private}\n`,
    );
  } catch (error) {
    log.fatal({ err: error }, 'the daemon could not start');
    // Something may still hold the process; nothing is left that it could be needed for.
    setTimeout(() => process.exit(), 1_000).unref();
    throw error;
  }
}

/** The first call stops the daemon; later ones (a second signal) change nothing. */
function stopper(
  daemon: Daemon,
  log: ReturnType<typeof createLogger>,
): (reason: string, exitCode: number) => void {
  let isStopping = false;
  return (reason, exitCode) => {
    if (isStopping) {
      log.info({ reason }, 'stopping already');
      return;
    }
    isStopping = true;
    log.info({ reason }, 'stopping');
    const startedMs = performance.now();
    const late = setTimeout(() => {
      log.error('stopping took too long; what was under way is taken up by the next start');
      process.exit(exitCode);
    }, stopWithinMs);
    void daemon.stop().then(() => {
      clearTimeout(late);
      log.info({ tookMs: Math.round(performance.now() - startedMs) }, 'stopped');
      process.exit(exitCode);
    });
  };
}

function secretsOf(value: unknown): readonly Secret[] {
  if (value instanceof Secret) return [value];
  if (typeof value !== 'object' || value === null) return [];
  return Object.values(value).flatMap((inner) => secretsOf(inner));
}
