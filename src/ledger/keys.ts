import type { ChannelId, MerchantId, Sku } from '../domain/ids.ts';

/** The separators of packed records (docs/ledger.md): unit, record, group. */
export const US = '\u001f';
export const RS = '\u001e';
export const GS = '\u001d';

/**
 * Every Redis key of one merchant, for reads from Node and for the scripts' KEYS[1]. The scripts derive the same names
 * in include/keys.lua. One hash tag: one Cluster slot per merchant.
 */
export interface LedgerKeys {
  readonly prefix: string;
  readonly ledger: string;
  readonly log: string;
  readonly skus: string;
  readonly holds: string;
  readonly due: string;
  readonly done: string;
  readonly epochs: string;
  readonly orders: string;
  readonly credits: string;
  readonly cursors: string;
  readonly parked: string;
  readonly parkedAge: string;
  readonly pools: string;
  readonly agents: string;
  readonly operations: string;
  readonly operationAge: string;
  readonly notices: string;
  readonly statuses: string;
  sku(sku: Sku): string;
  order(channel: ChannelId, orderId: string): string;
  listing(channel: ChannelId, listingId: string): string;
  listings(channel: ChannelId): string;
  writes(channel: ChannelId): string;
  pending(channel: ChannelId): string;
}

export function ledgerKeys(merchant: MerchantId): LedgerKeys {
  const prefix = `sm:{${merchant}}:`;
  return {
    prefix,
    ledger: `${prefix}ledger`,
    log: `${prefix}log`,
    skus: `${prefix}skus`,
    holds: `${prefix}holds`,
    due: `${prefix}due`,
    done: `${prefix}done`,
    epochs: `${prefix}epochs`,
    orders: `${prefix}orders`,
    credits: `${prefix}credits`,
    cursors: `${prefix}cursors`,
    parked: `${prefix}parked`,
    parkedAge: `${prefix}parkedAge`,
    pools: `${prefix}pools`,
    agents: `${prefix}agents`,
    operations: `${prefix}ops`,
    operationAge: `${prefix}opAge`,
    notices: `${prefix}notices`,
    statuses: `${prefix}statuses`,
    sku: (sku) => `${prefix}sku:${sku}`,
    order: (channel, orderId) => `${prefix}order:${channel}:${orderId}`,
    listing: (channel, listingId) => `${prefix}listing:${channel}:${listingId}`,
    listings: (channel) => `${prefix}listings:${channel}`,
    writes: (channel) => `${prefix}writes:${channel}`,
    pending: (channel) => `${prefix}pending:${channel}`,
  };
}
