import type { ChannelId, LocationId, Sku } from '../domain/ids.ts';
import type { Level } from '../domain/movement.ts';
import type { Position } from '../ledger/contract.ts';

/** Levels in the daemon's memory, true for `position`: what the log reader keeps beside the ledger. */
export interface LevelCopy {
  readonly position: Position;
  levelsOf(sku: Sku): ReadonlyMap<LocationId, Level> | undefined;
  settlingOn(sku: Sku, channel: ChannelId, location: LocationId): number;
}
