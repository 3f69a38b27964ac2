import type { ChannelId } from '../domain/ids.ts';
import type { LedgerKeys } from '../ledger/keys.ts';

/** The Redis keys that only the mesh reads and writes (docs/ledger.md lists them with the others). */
export interface MeshKeys {
  /** BullMQ's `prefix`. */
  readonly queuePrefix: string;
  readonly seenDeliveries: string;
  readonly channelStates: string;
  /** What bundles were made of, and since when. */
  readonly bundles: string;
  /** Modes set by command. */
  readonly channelModes: string;
  /** Orders sold beyond stock by an allowance. */
  readonly reviews: string;
  /** Which item of a channel is which SKU, by the word of a person. */
  readonly mapping: string;
  /** Levels that have a figure of their own. */
  readonly openedLevels: string;
  /** Sealed credentials; the script `vault-swap` derives the same name. */
  readonly vault: string;
  /** Reconciliation: runs by id, open findings by subject, resolved ones by id. */
  readonly runs: string;
  readonly openFindings: string;
  readonly closedFindings: string;
  readonly reports: string;
  /** Newest records of platform writes. */
  readonly syncJournal: string;
  /** Alerts of all daemons; the script `alert` derives the same name. */
  readonly alerts: string;
  listingMap(channel: ChannelId): string;
}

export function meshKeys({ prefix }: Pick<LedgerKeys, 'prefix'>): MeshKeys {
  return {
    queuePrefix: `${prefix}bull`,
    seenDeliveries: `${prefix}seen`,
    channelStates: `${prefix}channels`,
    bundles: `${prefix}bundles`,
    channelModes: `${prefix}modes`,
    reviews: `${prefix}reviews`,
    mapping: `${prefix}mapping`,
    openedLevels: `${prefix}opened`,
    vault: `${prefix}vault`,
    runs: `${prefix}reconcile:runs`,
    openFindings: `${prefix}reconcile:open`,
    closedFindings: `${prefix}reconcile:closed`,
    reports: `${prefix}reports`,
    syncJournal: `${prefix}syncs`,
    alerts: `${prefix}alerts`,
    listingMap: (channel) => `${prefix}map:${channel}`,
  };
}
