import type { ParkedRow, PlatformOrder } from '../connectors/connector.ts';
import type { ChannelId } from '../domain/ids.ts';

/**
 * Where orders enter the ledger, whoever brought them: a webhook's worker or a poll. When the call returns, every line
 * that could be read is applied and every other one is parked: only then may a cursor move past the order.
 */
export interface OrderSink {
  /**
   * `beganAtMs` is the ledger's clock when the question was sent (`fetch`) or the delivery received (`push`).
   * `source` decides whether counters may fall (domain/order.ts).
   */
  applyPlatformOrders(
    channel: ChannelId,
    orders: readonly PlatformOrder[],
    source: 'fetch' | 'push',
    beganAtMs: number,
  ): Promise<AppliedOrders>;
  /** Sets rows aside with their reason; repeated calls for the same row count up one entry. */
  parkRows(channel: ChannelId, rows: readonly ParkedRow[]): Promise<void>;
}

export interface AppliedOrders {
  readonly orders: number;
  /** Entries written; 0 for orders that were known already. */
  readonly movements: number;
  /** Platform clock: when the longest unchanged of the orders that moved something last changed. */
  readonly oldestMovedMs?: number | undefined;
  readonly parked: number;
}
