import type { LocationId, Sku } from '../../domain/ids.ts';
import type { Level, Movement } from '../../domain/movement.ts';
import type { Ledger, Position } from '../../ledger/contract.ts';
import type { IdempotencyCommands } from '../../ledger/idempotency-commands.ts';
import type { RecordCommands } from '../../ledger/record-commands.ts';
import type { AuditLog } from '../audit/audit-log.ts';
import type { Receipts } from './receipts.ts';
import type { ReservationMetrics } from './reservation-metrics.ts';
import type { ReservationSettings } from './settings.ts';
import type { StockRules } from './stock-view.ts';

/** The daemon's copy of the stock. */
export interface StockCopy {
  readonly position: Position;
  ageMs(): number;
  levelsOf(sku: Sku): ReadonlyMap<LocationId, Level> | undefined;
  onChanged(listener: (changed: ReadonlyMap<Sku, number>) => void): () => void;
}

/** What reservations are made of; the composition connects it. */
export interface ReservationParts {
  readonly ledger: Pick<
    Ledger,
    'reserve' | 'change' | 'extend' | 'commit' | 'release' | 'hold' | 'peek' | 'nowMs'
  >;
  readonly epoch: () => number;
  readonly copy: StockCopy;
  readonly records: RecordCommands;
  readonly idempotency: Pick<IdempotencyCommands, 'begin' | 'keep' | 'drop'>;
  readonly rules: StockRules;
  readonly settings: ReservationSettings;
  readonly channels: ReadonlySet<string>;
  readonly audit: AuditLog;
  readonly receipts: Receipts;
  readonly metrics: ReservationMetrics;
  /** Every entry there ever was. */
  readonly history: () => AsyncGenerator<readonly Movement[]>;
  /** Asks whoever owns the figure, or a shop that shows it; undefined: nobody could tell. Behind a breaker of its own. */
  readonly askSource: (sku: Sku) => Promise<number | undefined>;
  /** Held beyond what is there, by the merchant's allowance: set aside for a person to look at. */
  readonly reviewOversold: (holdId: string, sku: Sku, units: number) => void;
}
