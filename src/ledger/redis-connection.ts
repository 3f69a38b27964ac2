import { isIP } from 'node:net';
import { Redis } from 'ioredis';
import { StockmeshError } from '../domain/errors.ts';
import type { Secret } from '../domain/secret.ts';

/** Where the ledger's Redis is: the embedded one by its socket, or one of the merchant's own by its address. */
export type RedisTarget =
  | { readonly kind: 'socket'; readonly path: string }
  | {
      readonly kind: 'url';
      /** Without user name and password. */
      readonly url: string;
      readonly username?: string | undefined;
      readonly password?: Secret | undefined;
      readonly tls?: RedisTls | undefined;
    };

export type RedisTls = {
  readonly caFile?: Secret | undefined;
  readonly certFile?: Secret | undefined;
  readonly keyFile?: Secret | undefined;
  readonly serverName?: string | undefined;
};

/**
 * `commands`: short calls whose callers have a deadline of their own. `blocking`: the log reader, which waits in
 * XREAD for as long as nothing happens. `queues`: given to BullMQ, which demands endless retries.
 */
export type ConnectionKind = 'commands' | 'blocking' | 'queues';

export type ConnectionSettings = {
  readonly kind: ConnectionKind;
  /** Shown by CLIENT LIST: `stockmesh:<merchant>:<kind>`. */
  readonly name: string;
  /** A lost connection is routine; it is made again without end. For the log. */
  readonly onError?: (error: Error) => void;
};

const maxRetryMs = 1_000;

const kindOptions = {
  // The promise settles even on a half-open connection, where ioredis would wait for ever.
  commands: { commandTimeout: 2_000, maxRetriesPerRequest: 5 },
  // A read that waits must outlive any outage, and has no answer for as long as nothing happens.
  blocking: { maxRetriesPerRequest: null },
  queues: { maxRetriesPerRequest: null },
} as const satisfies Record<ConnectionKind, object>;

/**
 * A connection, connecting at once. What matters is said here and not left to ioredis's defaults, which changed with
 * every major version. Its silent resending of commands whose reply was lost stays on: every command of ours bears it.
 */
export function connectRedis(target: RedisTarget, settings: ConnectionSettings): Redis {
  const redis = new Redis({
    ...addressOptions(target),
    connectionName: settings.name,
    connectTimeout: 2_000,
    keepAlive: 10_000,
    ...kindOptions[settings.kind],
    // With jitter, so that many daemons do not greet a restarted server in step; short, because a sale waits for it.
    retryStrategy: (attempt) =>
      Math.min(maxRetryMs, 20 * 2 ** Math.min(attempt, 10)) * (0.5 + Math.random() / 2),
    // A demoted primary: connect again, but send nothing twice (2 would resend the command that failed).
    reconnectOnError: (error) => (error.message.startsWith('READONLY') ? 1 : false),
    // Pipelining by itself halves the throughput on a socket and once broke EVALSHA.
    enableAutoPipelining: false,
    // BullMQ reads replies in the shape of version 5.
    replyMapping: 'legacy',
  });
  // Without a listener ioredis prints the error, with whatever it holds, to standard error.
  redis.on('error', (error: Error) => settings.onError?.(error));
  return redis;
}

/**
 * Resolves when the server answers; `withinMs` bounds the wait. Throws REDIS_ACCESS_DENIED as soon as the server
 * refuses the user, REDIS_UNAVAILABLE at the end of the wait with the last reason.
 */
export async function waitUntilReady(redis: Redis, address: string, withinMs: number): Promise<void> {
  const untilMs = performance.now() + withinMs;
  let reason = 'no answer';
  let denied: Error | undefined;
  const note = (error: Error): void => {
    reason = error.message;
    if (isAccessError(error)) denied = error;
  };
  redis.on('error', note);
  try {
    while (performance.now() < untilMs) {
      if (redis.status === 'ready') {
        const answer = await redis.ping().catch((error: unknown) => note(asError(error)));
        if (answer !== undefined) return;
      }
      if (denied !== undefined) {
        throw new StockmeshError(
          'REDIS_ACCESS_DENIED',
          { address, reason: firstWord(denied) },
          { cause: denied },
        );
      }
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  } finally {
    redis.off('error', note);
  }
  throw new StockmeshError('REDIS_UNAVAILABLE', { address, reason });
}

/** For messages and logs: never with user name or password. */
export function addressOf(target: RedisTarget): string {
  return target.kind === 'socket' ? target.path : target.url;
}

export function isAccessError(error: Error): boolean {
  return /^(?:NOAUTH|WRONGPASS|NOPERM|ERR (?:invalid password|AUTH|Client sent AUTH))/.test(error.message);
}

function addressOptions(target: RedisTarget) {
  if (target.kind === 'socket') return { path: target.path };
  const url = new URL(target.url);
  const { tls } = target;
  const database = url.pathname.replace('/', '');
  return {
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port === '' ? 6379 : Number(url.port),
    db: database === '' ? 0 : Number(database),
    username: target.username,
    password: target.password?.reveal(),
    tls: url.protocol === 'rediss:' ? tlsOptions(tls, url.hostname) : undefined,
  };
}

function tlsOptions(tls: RedisTls | undefined, hostname: string) {
  return {
    ca: tls?.caFile?.reveal(),
    cert: tls?.certFile?.reveal(),
    key: tls?.keyFile?.reveal(),
    // An IP address is no server name (RFC 6066); the certificate is then checked against the address itself.
    servername: tls?.serverName ?? (isIP(hostname.replace(/^\[|\]$/g, '')) === 0 ? hostname : undefined),
  };
}

function firstWord(error: Error): string {
  return error.message.split(' ', 1)[0] ?? 'refused';
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
