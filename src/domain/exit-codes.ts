/**
 * What the process's exit code tells a supervisor. The numbers above 63 follow BSD `sysexits.h`, so that a
 * supervisor can be told which of them are worth a restart (only `crashed`, `redisUnavailable`, `diskFull`).
 * `scripts/setup.mjs` repeats its own part of the table, because it runs before TypeScript can; a test compares.
 */
export const exitCodes = {
  ok: 0,
  /** An unexpected failure; the reason is the last line of the log. A restart may help. */
  crashed: 1,
  /** The command line could not be understood. */
  usage: 2,
  /** The ledger's file on disk is damaged. Nothing is repaired without a person. */
  ledgerUnreadable: 65,
  /** Redis could not be reached, or did not become ready in time. A restart may help. */
  redisUnavailable: 69,
  /** Set-up could not bring or find something it needs (Node, packages); the printed line says what to do. */
  setupFailed: 71,
  /** `redis-server` >= 7.0 is not installed; the printed line installs it. */
  redisMissing: 72,
  /** Another daemon owns the data directory. */
  dataDirLocked: 73,
  /** The disk is full or cannot be written. */
  diskFull: 74,
  /** Redis refused the user name or the password, or the user may not run a needed command. */
  redisAccessDenied: 77,
  /** The configuration, or the settings of the Redis it points to, cannot be used. */
  badConfig: 78,
} as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];
