import { type ExitCode, exitCodes } from './exit-codes.ts';

type ErrorCodeEntry = {
  /** `{name}` is replaced by the field of that name; a field named here must be given. Never a secret. */
  readonly message: string;
  /** True when the same call may succeed later without anybody changing anything. */
  readonly retryable: boolean;
  /** Set where the error ends the daemon. */
  readonly exitCode?: ExitCode;
};

/**
 * Every error code of the project. Codes are stable: they are part of the HTTP answers and of the log.
 * A test keeps this table and docs/errors.md in step, both ways.
 */
export const errorCodes = {
  CONFIG_UNREADABLE: {
    message: 'The configuration file {file} cannot be read: {reason}',
    retryable: false,
    exitCode: exitCodes.badConfig,
  },
  CONFIG_INVALID: {
    message: 'The configuration is not valid: {problems}',
    retryable: false,
    exitCode: exitCodes.badConfig,
  },
  DATA_DIR_LOCKED: {
    message: 'The data directory {dir} is in use by the running process {pid}',
    retryable: false,
    exitCode: exitCodes.dataDirLocked,
  },
  REDIS_NOT_INSTALLED: {
    message: 'No redis-server >= 7.0 was found at {path}: {reason}',
    retryable: false,
    exitCode: exitCodes.redisMissing,
  },
  REDIS_UNAVAILABLE: {
    message: 'Redis cannot be reached at {address}: {reason}',
    retryable: true,
    exitCode: exitCodes.redisUnavailable,
  },
  REDIS_ACCESS_DENIED: {
    message: 'Redis at {address} refused access: {reason}',
    retryable: false,
    exitCode: exitCodes.redisAccessDenied,
  },
  REDIS_VERSION_UNSUPPORTED: {
    message: 'Redis >= 7.0 or Valkey >= 7.2 is needed, {found} was found',
    retryable: false,
    exitCode: exitCodes.badConfig,
  },
  REDIS_SETTING_WRONG: {
    message: 'Redis setting {setting} is {found}, it must be {needed}',
    retryable: false,
    exitCode: exitCodes.badConfig,
  },
  REDIS_SETTING_UNKNOWN: {
    message: 'Redis does not let this user read its setting {setting}: allow CONFIG GET or INFO for the user',
    retryable: false,
    exitCode: exitCodes.redisAccessDenied,
  },
  LEDGER_FILE_CORRUPT: {
    message: 'The append-only file in {dir} is damaged and was left as it is: {detail}',
    retryable: false,
    exitCode: exitCodes.ledgerUnreadable,
  },
  LEDGER_DISK_FULL: {
    message: 'The disk that holds {dir} is full or cannot be written: {detail}',
    retryable: true,
    exitCode: exitCodes.diskFull,
  },
  LEDGER_ENTRY_UNREADABLE: {
    message: 'The log entry {id} cannot be read: it has {fields} fields',
    retryable: false,
  },
  LEDGER_ARCHIVE_BROKEN: {
    message: 'The archived log segment {file} is not what was archived: {reason}',
    retryable: false,
    exitCode: exitCodes.ledgerUnreadable,
  },
  LEDGER_FORKED: {
    message: 'The ledger was rolled back while its history was read: entries after {fork} were replaced',
    retryable: true,
  },
  LEDGER_ARCHIVE_MOVED: {
    message: 'The archive ends at {found}, not at {expected}: another daemon writes to the same folder',
    retryable: true,
  },
  LEDGER_UNREACHABLE: {
    message:
      'The ledger did not answer {command} within {deadlineMs} ms; whether it was applied is unknown: {reason}',
    retryable: true,
  },
  LEDGER_UNAVAILABLE: {
    message: 'The ledger could not carry out {command} now and applied nothing: {reason}',
    retryable: true,
  },
  LEDGER_FULL: {
    message: 'The ledger has reached its memory limit and refused {command}; commits and releases still work',
    retryable: true,
  },
  LEDGER_OVERLOADED: {
    message: 'More than {limit} ledger calls are waiting; {command} was not sent',
    retryable: true,
  },
  LEDGER_HALTED: {
    message: 'The ledger is halted: {reason}. An operator must restore the entries or confirm their loss',
    retryable: false,
  },
  LEDGER_QUANTITY_OVERFLOW: {
    message: 'A quantity of {sku} would leave the exact range of whole numbers',
    retryable: false,
  },
  LEDGER_REQUEST_INVALID: {
    message: 'The ledger request is not valid: {problem}',
    retryable: false,
  },
  LEDGER_PARKED_FULL: {
    message: '{limit} rows are parked already; {id} was not parked and must come again',
    retryable: true,
  },
  LEDGER_SCRIPT_FAILED: {
    message: 'The ledger script {command} failed and wrote nothing: {reason}',
    retryable: false,
  },
  CONNECTOR_UNREACHABLE: {
    message: '{platform} could not be asked ({operation}): {reason}',
    retryable: true,
  },
  CONNECTOR_THROTTLED: {
    message: '{platform} refuses {operation} for {waitMs} ms: its limit is used up',
    retryable: true,
  },
  CONNECTOR_ACCESS_DENIED: {
    message: '{platform} refused access ({operation}): {reason}. {remedy}',
    retryable: false,
  },
  CONNECTOR_ANSWER_INVALID: {
    message: '{platform} answered {operation} with something that cannot be read: {reason}',
    retryable: true,
  },
  CONNECTOR_REQUEST_REFUSED: {
    message: '{platform} refused {operation}: {reason}',
    retryable: false,
  },
  CONNECTOR_FILTER_IGNORED: {
    message: '{platform} ignored a filter of {operation}, so its answer means nothing: {reason}',
    retryable: false,
  },
  CONNECTOR_KEY_MISMATCH: {
    message: '{platform} knows the idempotency key of write {reference} with other rows',
    retryable: false,
  },
  CONNECTOR_WALK_STUCK: {
    message: '{platform} repeats a page of {operation}: {reason}',
    retryable: true,
  },
  CONNECTOR_BULK_FAILED: {
    message: '{platform} did not finish the bulk read: {reason}',
    retryable: true,
  },
  CONNECTOR_LIMIT_WAIT: {
    message: '{operation} would wait {waitMs} ms for its rate limit, {maxWaitMs} ms are allowed',
    retryable: true,
  },
  VAULT_RECORD_UNREADABLE: {
    message: 'The credential {field} of {channel} in the vault cannot be opened: {reason}',
    retryable: false,
  },
  VAULT_KEY_UNKNOWN: {
    message:
      'The vault holds {count} records sealed with master key {sealedWith}, configured: {configured}. ' +
      'Set masterKey, or otherMasterKeys, to that key',
    retryable: false,
    exitCode: exitCodes.badConfig,
  },
  VAULT_TOO_LARGE: {
    message: 'The vault holds {count} records, {limit} at most are expected',
    retryable: false,
    exitCode: exitCodes.badConfig,
  },
  TOKEN_LOCKED: {
    message: 'The token of {channel} is being renewed by {holder} for too long',
    retryable: true,
  },
  MASTER_KEY_UNUSABLE: {
    message: 'The master key cannot be used: {reason}',
    retryable: false,
    exitCode: exitCodes.badConfig,
  },
  FAILPOINT_REFUSED: {
    message: 'STOCKMESH_FAILPOINT is refused: {reason}',
    retryable: false,
    exitCode: exitCodes.badConfig,
  },
  LISTEN_FAILED: {
    message: 'Cannot listen on {address}: {reason}',
    retryable: true,
    exitCode: exitCodes.crashed,
  },
  QUEUE_STUCK: {
    message: 'No job went through the inbox for {ms} ms although Redis answers',
    retryable: true,
    exitCode: exitCodes.crashed,
  },
  WEBHOOK_FORGED: { message: 'The signature of the delivery is missing or wrong', retryable: false },
  WEBHOOK_MALFORMED: { message: 'The delivery cannot be read: {reason}', retryable: false },
  INBOX_FULL: { message: 'The inbox is full; send the delivery again later', retryable: true },
  INBOX_UNAVAILABLE: {
    message: 'The delivery could not be stored; send it again later',
    retryable: true,
  },
  HTTP_NOT_FOUND: { message: 'There is nothing at this address', retryable: false },
  HTTP_BODY_TOO_LARGE: { message: 'The body is larger than {maxBytes} bytes', retryable: false },
  HTTP_MEDIA_TYPE_UNSUPPORTED: {
    message: 'The content type or encoding is not accepted here: {reason}',
    retryable: false,
  },
  HTTP_REQUEST_INVALID: { message: 'The request is not valid: {reason}', retryable: false },
  HTTP_UNAUTHENTICATED: { message: 'An API key is needed here: {reason}', retryable: false },
  HTTP_FORBIDDEN: { message: 'The API key does not allow this; it needs: {scope}', retryable: false },
  HTTP_RATE_LIMITED: { message: 'Too many requests of {who}', retryable: true },
  IDEMPOTENCY_IN_FLIGHT: {
    message: 'A request with the same Idempotency-Key is still under way',
    retryable: true,
  },
  IDEMPOTENCY_KEY_REUSED: {
    message: 'The Idempotency-Key was used before with another request',
    retryable: false,
  },
  MOVEMENTS_GONE: {
    message:
      'Movements after {asked} are not in the log, which begins at {first}: read the stock anew, then follow from there',
    retryable: false,
  },
  HTTP_OVERLOADED: { message: 'Too many requests are under way', retryable: true },
  INTERNAL_ERROR: {
    message: 'Something failed that should not; the log has it under this request id',
    retryable: true,
  },
} as const satisfies Readonly<Record<string, ErrorCodeEntry>>;

export type ErrorCode = keyof typeof errorCodes;

type NamesIn<Template extends string> = Template extends `${string}{${infer Name}}${infer Rest}`
  ? Name | NamesIn<Rest>
  : never;

export type ErrorField = string | number | boolean | readonly string[];

/** The fields that a code's message names, and any others that a reader of the log could use. */
export type ErrorFields<Code extends ErrorCode> = {
  readonly [Name in NamesIn<(typeof errorCodes)[Code]['message']>]: ErrorField;
} & { readonly [name: string]: ErrorField };

/**
 * The one error class of the project. Expected outcomes (denied, duplicate, stale) are return values instead.
 * `fields` are printed: they must hold no credential and no personal information.
 */
export class StockmeshError<Code extends ErrorCode = ErrorCode> extends Error {
  override readonly name: string = 'StockmeshError';
  readonly code: Code;
  readonly retryable: boolean;
  readonly fields: Readonly<Record<string, ErrorField>>;

  constructor(code: Code, fields: ErrorFields<Code>, options?: { cause?: unknown }) {
    super(fillTemplate(errorCodes[code].message, fields), options);
    this.code = code;
    this.retryable = errorCodes[code].retryable;
    this.fields = fields;
  }
}

/** The exit code for an error that ends the daemon: the code's own, or `crashed` for anything unforeseen. */
export function exitCodeFor(error: unknown): ExitCode {
  if (!(error instanceof StockmeshError)) return exitCodes.crashed;
  const code: ErrorCode = error.code;
  const entry: ErrorCodeEntry = errorCodes[code];
  return entry.exitCode ?? exitCodes.crashed;
}

function fillTemplate(template: string, fields: Readonly<Record<string, ErrorField>>): string {
  return template.replace(/\{(\w+)\}/g, (whole, name: string) => {
    const field = Object.hasOwn(fields, name) ? fields[name] : undefined;
    if (field === undefined) return whole;
    return typeof field === 'object' ? field.join('; ') : String(field);
  });
}
