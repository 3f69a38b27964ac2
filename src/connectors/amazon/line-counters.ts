import { type LineCounters, noUnits } from '../../domain/order.ts';
import type { RestorePolicy } from './options.ts';

/** Both spellings of Amazon's order statuses in one word; `ignored` has no effect on stock of the seller's own. */
export type OrderState = 'not-yet' | 'pending' | 'open' | 'shipped' | 'cancelled' | 'ignored' | 'unknown';

const states: Readonly<Record<string, OrderState>> = {
  // A pre-order: Amazon takes nothing from the listing until it is pending.
  PENDING_AVAILABILITY: 'not-yet',
  PENDING: 'pending',
  UNSHIPPED: 'open',
  PARTIALLY_SHIPPED: 'open',
  SHIPPED: 'shipped',
  // Brazil and China: shipped, the invoice is not confirmed.
  INVOICE_UNCONFIRMED: 'shipped',
  CANCELLED: 'cancelled',
  CANCELED: 'cancelled',
  // Only of orders that Amazon fulfils.
  UNFULFILLABLE: 'ignored',
};

/** `PARTIALLY_SHIPPED` (Orders API) or `PartiallyShipped` (notifications). */
export function orderStateOf(status: string): OrderState {
  const name = status.replace(/([a-z])([A-Z])/g, '$1_$2').toUpperCase();
  return states[name] ?? 'unknown';
}

export interface LineFacts {
  readonly ordered: number;
  /** Undefined where Amazon does not say it. */
  readonly shipped: number | undefined;
  /** Amazon carried out a cancellation of the item. A buyer's request to cancel is none. */
  readonly isItemCancelled: boolean;
  readonly cancelledBy: string | undefined;
}

export interface CountedLine {
  readonly counters: LineCounters;
  readonly takenIsKnown: boolean;
}

/**
 * The seven counters of a line of an order that the seller fulfils. Amazon lowers the listing when the order becomes
 * pending, so `takenOut` counts from there. Whether a cancellation gives units back is the merchant's policy, and only
 * an explicit policy is taken for knowledge.
 *
 * After a cancellation Amazon may say `ordered: 0`: then every counter is zero, and a fetch lowers what the ledger holds to
 * that. Such a line took and gave back nothing as far as can be told, hence "not known".
 */
export function countersOf(line: LineFacts, state: OrderState, policy: RestorePolicy): CountedLine {
  const { ordered } = line;
  const shipped = shippedOf(line, state);
  const isOver = state === 'cancelled' || state === 'shipped' || line.isItemCancelled;
  const cancelled = isOver ? Math.max(0, ordered - shipped) : 0;
  const restore = cancelled === 0 ? 'no' : restoreOf(line.cancelledBy, policy);
  const isCertain = policy !== 'byReason' && state !== 'shipped';
  const counters: LineCounters = {
    ...noUnits,
    ordered,
    shipped,
    cancelled,
    takenOut: ordered,
    givenBack: restore === 'yes' ? cancelled : 0,
  };
  const isBlank = state === 'cancelled' && ordered === 0;
  return {
    counters,
    takenIsKnown: state !== 'unknown' && !isBlank && (cancelled === 0 || isCertain),
  };
}

function shippedOf(line: LineFacts, state: OrderState): number {
  if (state === 'pending') return 0;
  // A shipped order whose items say nothing, or still say 0, has left as a whole.
  if (state === 'shipped' && (line.shipped ?? 0) === 0 && !line.isItemCancelled) return line.ordered;
  return line.shipped ?? 0;
}

function restoreOf(cancelledBy: string | undefined, policy: RestorePolicy): 'yes' | 'no' {
  if (policy !== 'byReason') return policy === 'always' ? 'yes' : 'no';
  // The seller's own reasons ("no inventory") do not restore; unknown: rather not, a later read shows more if it did.
  return cancelledBy === 'BUYER' || cancelledBy === 'AMAZON' ? 'yes' : 'no';
}
