import type { LocationId } from '../../domain/ids.ts';
import type { Level } from '../../domain/movement.ts';
import { US } from '../keys.ts';
import type { LedgerState, StoredCredit, StoredHold, StoredLine, StoredListing } from '../state-dump.ts';
import type { ReplayedHold } from './hold-replay.ts';
import type { LedgerReplay } from './ledger-replay.ts';
import { counterList, type ReplayedOrder } from './order-replay.ts';

/** A replay in the form in which a live ledger is read, to hold the two against each other. */
export function replayedState(replay: LedgerReplay): LedgerState {
  const { fold, holds, orders, listings } = replay;
  const kept = [...holds.ended.values(), ...holds.live.values()];
  const lines: StoredLine[] = [];
  const credits: StoredCredit[] = [];
  for (const [order, record] of orders.orders) {
    lines.push(...storedLines(order, record));
    credits.push(...storedCredits(order, record));
  }
  return {
    epoch: fold.epoch,
    seq: fold.seq,
    first: 1,
    levels: storedLevels(replay),
    versions: fold.versions,
    shipping: new Map([...replay.marks.levels.keys()].map((key) => [key, replay.marks.unitsAt(key)])),
    holds: kept.map(storedHold),
    due: new Map([...holds.live.values()].map(({ holdId, deadlineMs }) => [holdId, deadlineMs])),
    lines,
    credits,
    listings: [...listings.listings].map(([key, listing]): StoredListing => {
      const [channel = '', listingId = ''] = key.split(US);
      const { sku, taken, provisional, provisionalAt } = listing;
      return { channel, listingId, sku, taken, provisional, provisionalAt };
    }),
    pools: holds.pools,
    agents: holds.agents,
  };
}

/** Levels that have a figure in their hash: an entry that moved nothing made none. */
function storedLevels({ fold, fields }: LedgerReplay): Map<string, Map<LocationId, Level>> {
  const levels = new Map<string, Map<LocationId, Level>>();
  for (const [sku, locations] of fold.levels) {
    const kept = new Map<LocationId, Level>();
    for (const [location, level] of locations) {
      const has = fields.levels.get(`${sku}${US}${location}`);
      if (has?.hasOnHand === true || has?.hasCommitted === true || has?.hasReserved === true)
        kept.set(location as LocationId, level);
    }
    levels.set(sku, kept);
  }
  return levels;
}

export function storedHold(hold: ReplayedHold): StoredHold {
  const { holdId, state, deadlineMs, agent, pool, lines } = hold;
  return { holdId, state, deadlineMs, agent, pool, lines };
}

export function storedLines(order: string, record: ReplayedOrder): StoredLine[] {
  return [...record.lines].map(([lineId, line]) => ({
    order,
    lineId,
    sku: line.sku,
    listingId: line.listingId,
    counters: counterList(line.counters),
    open: line.places.map(({ location, open }) => ({ location, units: open })),
  }));
}

export function storedCredits(order: string, record: ReplayedOrder): StoredCredit[] {
  return [...record.credits].map(([sku, credit]) => ({
    order,
    sku,
    open: [...credit.open].map(([location, units]) => ({ location, units })),
  }));
}

/**
 * The parts of a state that the log can vouch for, in one order of writing. Left out is what stands for nothing:
 * places without open units, lines without units, listings from which nothing was taken, and pieces of which only the
 * hash knows (a listing that was merely read).
 */
export function comparableState(state: LedgerState): LedgerState {
  const byText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
  const open = (places: StoredLine['open']): StoredLine['open'] =>
    places.filter(({ units }) => units !== 0).toSorted((a, b) => byText(a.location, b.location));
  const sorted = <V>(map: ReadonlyMap<string, V>): Map<string, V> =>
    new Map([...map].toSorted(([a], [b]) => byText(a, b)));
  const levels = [...state.levels].map(([sku, places]) => [sku, sorted(places)] as const);
  return {
    epoch: state.epoch,
    seq: state.seq,
    first: 0,
    levels: sorted(new Map(levels)),
    versions: sorted(state.versions),
    shipping: sorted(state.shipping),
    holds: state.holds
      .map((hold) => ({ ...hold, lines: hold.lines.toSorted((a, b) => byText(lineKey(a), lineKey(b))) }))
      .toSorted((a, b) => byText(a.holdId, b.holdId)),
    due: sorted(state.due),
    lines: state.lines
      .filter(({ counters }) => counters.some((units) => units !== 0))
      .map((line) => ({ ...line, open: open(line.open) }))
      .toSorted((a, b) => byText(`${a.order}${US}${a.lineId}`, `${b.order}${US}${b.lineId}`)),
    credits: state.credits
      .map((credit) => ({ ...credit, open: open(credit.open) }))
      .toSorted((a, b) => byText(`${a.order}${US}${a.sku}`, `${b.order}${US}${b.sku}`)),
    listings: state.listings
      .filter(({ taken, provisional }) => taken !== 0 || provisional !== 0)
      .map((listing) => (listing.provisional === 0 ? { ...listing, sku: '', provisionalAt: '' } : listing))
      .toSorted((a, b) => byText(`${a.channel}${US}${a.listingId}`, `${b.channel}${US}${b.listingId}`)),
    pools: sorted(state.pools),
    agents: sorted(state.agents),
  };
}

function lineKey(line: StoredHold['lines'][number]): string {
  return `${line.sku}${US}${line.location}${US}${line.units}`;
}
