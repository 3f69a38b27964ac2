import type { ChannelId, ListingId, Sku } from '../domain/ids.ts';
import { readOrderExtra } from '../ledger/entry-extra.ts';
import type { MovementKind } from '../domain/movement.ts';
import type { LogEntry } from '../ledger/log-entry.ts';

interface Kept {
  readonly units: number;
  readonly atMs: number;
}

export interface RecentMovementsOptions {
  /** Something was sold, cancelled or counted. */
  readonly onMoved: (sku: Sku) => void;
  /** A number changed on an absolute platform turned out to be no order: the mesh writes its own number again. */
  readonly onEdited: (channel: ChannelId, listingId: ListingId, units: number, position: string) => void;
  /** The ledger began another life. */
  readonly onEpoch: () => void;
}

/** After these a listing is most likely to be wrong. */
const moving: ReadonlySet<MovementKind> = new Set(['ordered', 'cancelled', 'shipped', 'counted']);
const maxListings = 20_000;
const keptPerListing = 8;

/** What reconciliation remembers of the log: hints, so what a restart forgets is only judged less finely. */
export class RecentMovements {
  readonly #options: RecentMovementsOptions;
  /** Cancelled units that the platform is said not to have given back, by channel and listing. */
  readonly #keptOnCancel = new Map<string, Kept[]>();

  constructor(options: RecentMovementsOptions) {
    this.#options = options;
  }

  onEntries(entries: readonly LogEntry[]): void {
    const { onEpoch, onMoved, onEdited } = this.#options;
    for (const entry of entries) {
      const { kind, channel } = entry;
      if (kind === 'epoch') onEpoch();
      else if (moving.has(kind)) onMoved(entry.sku);
      // Written off: the platform says that the units are lost; an app that restocks every cancellation does not know it.
      if (kind === 'cancelled' || kind === 'written-off') this.#cancelled(entry);
      if (kind === 'provision-resolved' && entry.extra === 'edited' && channel !== '')
        onEdited(channel, entry.reference as ListingId, entry.units, entry.id);
    }
  }

  /** Oldest first; those of the last day. */
  keptOnCancel(channel: ChannelId, listingId: ListingId, sinceMs: number): readonly number[] {
    const kept = this.#keptOnCancel.get(`${channel}/${listingId}`) ?? [];
    return kept.filter(({ atMs }) => atMs >= sinceMs).map(({ units }) => units);
  }

  #cancelled(entry: LogEntry): void {
    const { listingId, givenBack } = readOrderExtra(entry);
    const units = Math.abs(entry.units) - givenBack;
    if (listingId === '' || units <= 0 || entry.channel === '') return;
    const key = `${entry.channel}/${listingId}`;
    const kept = this.#keptOnCancel.get(key) ?? [];
    // Moved to the end: the ones that were touched longest ago are let go.
    this.#keptOnCancel.delete(key);
    this.#keptOnCancel.set(key, [...kept, { units, atMs: entry.atMs }].slice(-keptPerListing));
    const oldest = this.#keptOnCancel.keys().next();
    if (this.#keptOnCancel.size > maxListings && oldest.done !== true)
      this.#keptOnCancel.delete(oldest.value);
  }
}
