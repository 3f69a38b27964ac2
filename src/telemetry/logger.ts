import { type DestinationStream, type Logger, type LoggerOptions, pino, stdTimeFunctions } from 'pino';
import { printable, printableError } from './printable.ts';
import { Redactor } from './redactor.ts';

export type LoggerSettings = {
  readonly level: string;
  readonly merchant: string;
  /** Shared with whoever obtains credentials at run time; see `Redactor.add`. */
  readonly redactor?: Redactor;
  /** Standard output when absent. */
  readonly destination?: DestinationStream;
};

/**
 * JSON lines on standard output. Three layers keep credentials out: objects are copied by `printable` (keys that name
 * a credential, HTTP clients' errors), bindings of child loggers by pino's own paths, and the finished line by the
 * redactor (known values and token shapes).
 */
export function createLogger(settings: LoggerSettings): Logger {
  const redactor = settings.redactor ?? new Redactor();
  const options: LoggerOptions = {
    level: settings.level,
    base: { merchant: settings.merchant, pid: process.pid },
    timestamp: stdTimeFunctions.isoTime,
    formatters: {
      level: (label) => ({ level: label }),
      log: (object) => printable(object) as Record<string, unknown>,
    },
    serializers: {
      err: (error: unknown) => (error instanceof Error ? printableError(error) : printable(error)),
    },
    redact: {
      paths: ['password', 'token', 'accessToken', 'secret', 'authorization', 'headers', '*.headers'],
      censor: '[redacted]',
    },
    hooks: { streamWrite: (line) => redactor.scrub(line) },
  };
  return settings.destination === undefined ? pino(options) : pino(options, settings.destination);
}
