import type { HistoryPorts } from '../http/routes/history-routes.ts';
import type { ChannelStates } from '../mesh/channel-state.ts';
import type { SyncJournal } from '../mesh/sync-journal.ts';
import type { BuiltChannels } from './build-channels.ts';
import type { LedgerPart } from './ledger-part.ts';

/** What explanations and exports are made from. */
export function historyPorts(
  ledger: LedgerPart,
  journal: SyncJournal,
  states: ChannelStates,
  channels: BuiltChannels['channels'],
): HistoryPorts {
  return {
    journal,
    wholeHistory: () => ledger.wholeHistory(),
    explaining: {
      ledger: ledger.publisher,
      historyOf: (sku) => ledger.historyOf(sku),
      journal,
      nowMs: () => ledger.ledger.nowMs(),
      channels: channels.map(({ part, map }) => ({
        id: part.id,
        view: () => states.view(part.id),
        get circuit() {
          return part.publishing.circuit;
        },
        listingsOf: (sku) => map.ofSku(sku),
        skusBeside: (sku) => part.publishing.skusBeside(sku),
        targetOf: (listing, view) => part.publishing.targetOf(listing, view),
        get staleness() {
          return part.publishing.staleness;
        },
      })),
    },
  };
}
