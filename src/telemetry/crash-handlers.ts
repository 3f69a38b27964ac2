import type { Logger } from 'pino';
import { exitCodeFor } from '../domain/errors.ts';

/**
 * After an exception nobody caught, the state of the process is unknown: log it and end, a supervisor starts us again.
 * Node's own report would print the error whole, with whatever credential an HTTP client left in it.
 */
export function installCrashHandlers(log: Logger): void {
  const end = (error: unknown, origin: string): void => {
    log.fatal({ err: error, origin }, 'unexpected failure, ending');
    process.exit(exitCodeFor(error));
  };
  process.on('uncaughtException', end);
  process.on('unhandledRejection', (reason) => end(reason, 'unhandledRejection'));
}
