import type { ChannelId, LocationId, Sku } from '../../src/domain/ids.ts';
import type { LedgerParts } from './ledger-parts.ts';

/** Test texts as identifiers: what the parsers would accept, without their result type. */
export const sku = (text: string): Sku => text as Sku;
export const location = (text: string): LocationId => text as LocationId;
export const channel = (text: string): ChannelId => text as ChannelId;

let receipts = 0;

/** Receives units, as a delivery would. */
export async function receive(parts: LedgerParts, of: string, units: number, at = 'main'): Promise<void> {
  const id = `receipt-${++receipts}`;
  await parts.caller.call('adjust', [id, 'f', 'R', of, at, units, '', '', '', 'test', '', '', '', '']);
}

export interface StoredLevel {
  readonly onHand: number;
  readonly committed: number;
  readonly reserved: number;
}

/** A level as the hash holds it, without due holds given back. */
export async function storedLevel(parts: LedgerParts, of: string, at = 'main'): Promise<StoredLevel> {
  const [o, c, r] = await parts.redis.hmget(parts.keys.sku(sku(of)), `o:${at}`, `c:${at}`, `r:${at}`);
  return { onHand: Number(o ?? 0), committed: Number(c ?? 0), reserved: Number(r ?? 0) };
}
