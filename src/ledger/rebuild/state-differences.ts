import type { Finding } from '../fold.ts';
import { US } from '../keys.ts';
import type { LedgerReplay } from '../replay/ledger-replay.ts';
import { hasOpenUnits } from '../replay/order-replay.ts';
import { comparableState, replayedState } from '../replay/replayed-state.ts';
import type { LedgerState } from '../state-dump.ts';

type Rows = ReadonlyMap<string, unknown>;

/** Where a live ledger, read while nothing wrote, and the replay of its whole history differ. */
export function stateDifferences(replay: LedgerReplay, live: LedgerState): readonly Finding[] {
  const kept = comparableState(forgetUnknown(replay, live));
  const said = comparableState(replayedState(replay));
  const sections: readonly (readonly [string, Rows, Rows])[] = [
    ['sequence', new Map([['', [kept.epoch, kept.seq]]]), new Map([['', [said.epoch, said.seq]]])],
    ['levels', levelRows(kept), levelRows(said)],
    ['version', kept.versions, said.versions],
    ['shipping', kept.shipping, said.shipping],
    ['hold', rowsBy(kept.holds, 'holdId'), rowsBy(said.holds, 'holdId')],
    ['deadline', kept.due, said.due],
    ['line', rowsBy(kept.lines, 'order', 'lineId'), rowsBy(said.lines, 'order', 'lineId')],
    ['credit', rowsBy(kept.credits, 'order', 'sku'), rowsBy(said.credits, 'order', 'sku')],
    ['listing', rowsBy(kept.listings, 'channel', 'listingId'), rowsBy(said.listings, 'channel', 'listingId')],
    ['pool', kept.pools, said.pools],
    ['agent', kept.agents, said.agents],
  ];
  return sections.flatMap(([name, a, b]) => differences(name, a, b));
}

/**
 * When the ledger purges the record of an ended hold, or an order that promises nothing any more, is not in the log:
 * only those that both know are compared.
 */
function forgetUnknown({ holds, orders }: LedgerReplay, live: LedgerState): LedgerState {
  const keptOrders = new Set([...live.lines, ...live.credits].map(({ order }) => order));
  for (const [order, record] of orders.orders) {
    if (!keptOrders.has(order) && !hasOpenUnits(record)) orders.orders.delete(order);
  }
  const known = new Set(live.holds.map(({ holdId }) => holdId));
  for (const holdId of holds.ended.keys()) if (!known.has(holdId)) holds.forget(holdId);
  const agents = new Map(live.agents);
  const kept = live.holds.filter(({ holdId, state, agent, lines }) => {
    if (state === 'H' || holds.ended.has(holdId) || holds.live.has(holdId)) return true;
    for (const { sku, units } of state === 'C' && agent !== '' ? lines : []) {
      const key = `${agent}${US}${sku}`;
      const left = (agents.get(key) ?? 0) - units;
      if (left > 0) agents.set(key, left);
      else agents.delete(key);
    }
    return false;
  });
  return { ...live, holds: kept, agents };
}

function levelRows(state: LedgerState): Rows {
  const rows = new Map<string, unknown>();
  for (const [sku, places] of state.levels) {
    for (const [location, level] of places) rows.set(`${sku}${US}${location}`, level);
  }
  return rows;
}

function rowsBy<T extends object>(rows: readonly T[], ...names: readonly (keyof T)[]): Rows {
  return new Map(rows.map((row) => [names.map((name) => String(row[name])).join(US), row]));
}

function differences(name: string, kept: Rows, said: Rows): Finding[] {
  const found: Finding[] = [];
  for (const key of new Set([...kept.keys(), ...said.keys()])) {
    const [a, b] = [JSON.stringify(kept.get(key)), JSON.stringify(said.get(key))];
    if (a === b) continue;
    const at = `${name} ${key.replaceAll(US, ' ')}`.trim();
    found.push({ invariant: 'projection', at, detail: `${a ?? 'nothing'}, the log says ${b ?? 'nothing'}` });
  }
  return found;
}
