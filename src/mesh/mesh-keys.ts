import type { ChannelId } from '../domain/ids.ts';
import type { LedgerKeys } from '../ledger/keys.ts';

/** The Redis keys that only the mesh reads and writes (docs/ledger.md lists them with the others). */
export interface MeshKeys {
  /** BullMQ's `prefix`. */
  readonly queuePrefix: string;
  readonly seenDeliveries: string;
  readonly channelStates: string;
  /** Levels that have a figure of their own. */
  readonly openedLevels: string;
  listingMap(channel: ChannelId): string;
  token(channel: ChannelId, name: string): string;
}

export function meshKeys({ prefix }: Pick<LedgerKeys, 'prefix'>): MeshKeys {
  return {
    queuePrefix: `${prefix}bull`,
    seenDeliveries: `${prefix}seen`,
    channelStates: `${prefix}channels`,
    openedLevels: `${prefix}opened`,
    listingMap: (channel) => `${prefix}map:${channel}`,
    token: (channel, name) => `${prefix}token:${channel}:${name}`,
  };
}
