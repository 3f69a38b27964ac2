import type { LocationId } from '../../domain/ids.ts';
import type { Pace } from '../api/token-buckets.ts';

export interface StageTtl {
  readonly defaultTtlMs: number;
  readonly maxTtlMs: number;
}

export type LedgerAwayPolicy = 'deny' | 'cached' | 'source';

/** The merchant's choices, as the configuration compiled them (src/config/reservations-schema.ts explains each). */
export interface ReservationSettings {
  readonly locations: readonly LocationId[];
  readonly stages: {
    readonly intent: StageTtl;
    readonly checkout: StageTtl;
    readonly cart: StageTtl;
    readonly paymentPending: StageTtl;
  };
  readonly maxExtensions: number;
  readonly agents: {
    readonly maxTransactionsPerSession: number;
    readonly sessionMs: number;
    readonly pace: Pace;
  };
  readonly checkouts: {
    readonly keepPercent: number;
    readonly keepUnits: number;
    readonly oversellUnits: number;
    readonly pace: Pace;
  };
  readonly queue: {
    /** `*`: every SKU. */
    readonly skus: ReadonlySet<string>;
    readonly maxWaitMs: number;
    readonly maxWaiting: number;
  };
  readonly availability: {
    readonly maxAgeMs: number;
    readonly ledgerAway: { readonly strict: LedgerAwayPolicy; readonly relaxed: LedgerAwayPolicy };
    readonly cachedPercent: number;
  };
  readonly audit: { readonly denialsPercent: number; readonly readsPercent: number };
}
