export interface CountPollSettings {
  readonly peakIntervalMs: number;
  readonly offPeakIntervalMs: number;
  /** First rest after a failure; doubled up to `maxRetryMs`. */
  readonly retryMs: number;
  readonly maxRetryMs: number;
  /** Hints come in swarms: they are answered after this. */
  readonly hintDelayMs: number;
  readonly hintsPerFetch: number;
  readonly maxHints: number;
  /** How often an item is asked for again before the next regular reading has to do. */
  readonly maxAsks: number;
  readonly maxPagesPerPoll: number;
  /** A held reading is tried again after this; until then only changes are read, where the source tells them. */
  readonly heldRetryMs: number;
}

export const defaultCountPollSettings: CountPollSettings = {
  peakIntervalMs: 30_000,
  offPeakIntervalMs: 300_000,
  retryMs: 2_000,
  maxRetryMs: 300_000,
  hintDelayMs: 250,
  hintsPerFetch: 50,
  maxHints: 10_000,
  maxAsks: 5,
  maxPagesPerPoll: 10_000,
  heldRetryMs: 300_000,
};
