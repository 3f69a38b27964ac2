/** When the raises of a full resync go out in one document instead of in single requests. */
export interface BulkSettings {
  /** Fewer raises than this go out in single requests. */
  readonly minRows: number;
  readonly maxRows: number;
  /** The document is closed when no further raise came for this long, or when its first one has waited for `gatherMs`. */
  readonly quietMs: number;
  readonly gatherMs: number;
  readonly checkEveryMs: number;
  /** A document nobody heard the name of: so much later the platform's list tells whether it exists. */
  readonly listedAfterMs: number;
}

export const defaultBulkSettings: BulkSettings = {
  minRows: 500,
  maxRows: 10_000,
  quietMs: 3_000,
  gatherMs: 120_000,
  checkEveryMs: 30_000,
  listedAfterMs: 600_000,
};
