/** What a connector is given. The implementations live above (mesh), so that a connector knows no Redis. */

/** Shared by all daemons of the merchant, per (channel, operation). */
export interface RateLimiter {
  /** Waits for `cost` units of budget; rejects with CONNECTOR_LIMIT_WAIT when the wait would pass `maxWaitMs`. */
  acquire(
    operation: string,
    cost: number,
    options: {
      readonly maxWaitMs: number;
      readonly signal: AbortSignal;
      /** Published budget: describes a bucket that nobody has described yet, which then starts full. */
      readonly budget?: PublishedBudget | undefined;
      /** A number that must leave the shelf: it goes before everything that still waits. Asked anew whenever somebody may go. */
      readonly isUrgent?: (() => boolean) | undefined;
    },
  ): Promise<void>;
  /** What the platform's answer said about the budget. */
  learn(operation: string, budget: LearnedBudget): void;
}

/** What a platform documents about an operation, for platforms whose answers do not tell it. */
export interface PublishedBudget {
  readonly capacity: number;
  readonly refillPerS: number;
}

export interface LearnedBudget {
  readonly capacity?: number | undefined;
  readonly available?: number | undefined;
  readonly refillPerS?: number | undefined;
  /** The platform refused: nothing more for this long. */
  readonly pauseMs?: number | undefined;
}

export interface StoredToken {
  readonly accessToken: string;
  readonly refreshToken?: string | undefined;
  /** Our clock, ms: with the expiry it says when a token is due for renewal. */
  readonly issuedAtMs?: number | undefined;
  /** Our clock, ms; absent for tokens that do not expire. */
  readonly expiresAtMs?: number | undefined;
  readonly refreshExpiresAtMs?: number | undefined;
}

/** Tokens shared by all daemons. `renew` runs at most once at a time across daemons for one name. */
export interface TokenStore {
  load(name: string): Promise<StoredToken | undefined>;
  /**
   * Runs `renewal` under a cross-daemon lock with what is stored at that moment, and stores its result before anybody
   * can use it (a rotated refresh token that was used but not stored is lost for ever).
   */
  renew(
    name: string,
    renewal: (stored: StoredToken | undefined) => Promise<StoredToken>,
  ): Promise<StoredToken>;
}

/** The part of a pino logger that connectors use. */
export interface ConnectorLog {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

export interface Clock {
  nowMs(): number;
}
