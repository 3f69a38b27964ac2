import { committedOf, counterNames, type LineCounters, noUnits } from '../domain/order.ts';
import type { Finding, LedgerFold } from './fold.ts';
import { US } from './keys.ts';
import type { LedgerState } from './state-dump.ts';

/**
 * Holds the state in Redis against the folded log and against itself. Every sum is taken apart: what is reserved has
 * to be live holds and provisionals, what is committed has to be open order lines, open credits and parcels the
 * warehouse has not confirmed. Returns every finding of the fold as well.
 */
export function checkLedger(fold: LedgerFold, state: LedgerState): readonly Finding[] {
  const findings = [...fold.findings];
  const find = (invariant: Finding['invariant'], at: string, detail: string): void => {
    findings.push({ invariant, at, detail });
  };
  if (fold.seq !== state.seq)
    find('sequence', `${state.epoch}-${state.seq}`, `the log ends at sequence ${fold.seq}`);
  if (fold.epoch !== state.epoch)
    find('sequence', `${state.epoch}-${state.seq}`, `the log ends in epoch ${fold.epoch}`);
  checkProjection(fold, state, find);
  checkReserved(state, find);
  checkCommitted(state, find);
  checkHolds(fold, state, find);
  checkLines(fold, state, find);
  checkListings(fold, state, find);
  checkCaps(state, find);
  return findings;
}

type Find = (invariant: Finding['invariant'], at: string, detail: string) => void;

function checkProjection(fold: LedgerFold, state: LedgerState, find: Find): void {
  const skus = new Set([...fold.levels.keys(), ...state.levels.keys()]);
  for (const sku of skus) {
    if (state.versions.get(sku) !== fold.versions.get(sku)) {
      find(
        'version',
        sku,
        `version ${state.versions.get(sku) ?? 'missing'}, the log says ${fold.versions.get(sku) ?? 'nothing'}`,
      );
    }
    const kept = state.levels.get(sku);
    const folded = fold.levels.get(sku);
    for (const location of new Set([...(kept?.keys() ?? []), ...(folded?.keys() ?? [])])) {
      const a = kept?.get(location) ?? { onHand: 0, committed: 0, reserved: 0 };
      const b = folded?.get(location) ?? { onHand: 0, committed: 0, reserved: 0 };
      if (a.onHand !== b.onHand || a.committed !== b.committed || a.reserved !== b.reserved) {
        find(
          'projection',
          `${sku} at ${location}`,
          `${JSON.stringify(a)}, the log says ${JSON.stringify(b)}`,
        );
      }
    }
  }
}

function add(sums: Map<string, number>, key: string, units: number): void {
  sums.set(key, (sums.get(key) ?? 0) + units);
}

function compareSums(
  state: LedgerState,
  name: 'reserved' | 'committed',
  sums: ReadonlyMap<string, number>,
  find: Find,
): void {
  const seen = new Set<string>();
  for (const [sku, locations] of state.levels) {
    for (const [location, level] of locations) {
      const key = `${sku}${US}${location}`;
      seen.add(key);
      const sum = sums.get(key) ?? 0;
      if (level[name] !== sum)
        find(`${name}-sum`, `${sku} at ${location}`, `${name} is ${level[name]}, its parts add up to ${sum}`);
    }
  }
  for (const [key, sum] of sums) {
    if (sum !== 0 && !seen.has(key))
      find(`${name}-sum`, key.replace(US, ' at '), `${sum} units at a level that does not exist`);
  }
}

function checkReserved(state: LedgerState, find: Find): void {
  const sums = new Map<string, number>();
  for (const hold of state.holds) {
    if (hold.state !== 'H') continue;
    for (const line of hold.lines) add(sums, `${line.sku}${US}${line.location}`, line.units);
  }
  for (const listing of state.listings) {
    if (listing.provisional !== 0)
      add(sums, `${listing.sku}${US}${listing.provisionalAt}`, listing.provisional);
  }
  compareSums(state, 'reserved', sums, find);
}

function checkCommitted(state: LedgerState, find: Find): void {
  const sums = new Map<string, number>(state.shipping);
  for (const line of state.lines) {
    let open = 0;
    for (const place of line.open) {
      open += place.units;
      add(sums, `${line.sku}${US}${place.location}`, place.units);
    }
    const expected = committedOf(countersOf(line.counters));
    if (open !== expected) {
      find(
        'counters',
        `${line.order} line ${line.lineId}`,
        `${open} units committed, its counters say ${expected}`,
      );
    }
  }
  for (const credit of state.credits) {
    for (const place of credit.open) add(sums, `${credit.sku}${US}${place.location}`, place.units);
  }
  compareSums(state, 'committed', sums, find);
}

function countersOf(values: readonly number[]): LineCounters {
  const counters: Record<keyof LineCounters, number> = { ...noUnits };
  counterNames.forEach((name, index) => {
    counters[name] = values[index] ?? 0;
  });
  return counters;
}

function checkHolds(fold: LedgerFold, state: LedgerState, find: Find): void {
  const live = new Set<string>();
  for (const hold of state.holds) {
    const folded = fold.holds.get(hold.holdId);
    if (hold.state !== 'H') {
      if (folded !== undefined && folded.live.size > 0)
        find('hold-ends-once', hold.holdId, `ended as ${hold.state}, the log still holds units`);
      continue;
    }
    live.add(hold.holdId);
    const deadline = state.due.get(hold.holdId);
    if (deadline !== hold.deadlineMs)
      find('due-index', hold.holdId, `deadline ${hold.deadlineMs}, index says ${deadline ?? 'nothing'}`);
    const units = new Map<string, number>();
    for (const line of hold.lines) add(units, `${line.sku}${US}${line.location}`, line.units);
    const same =
      folded?.live.size === units.size && [...units].every(([place, n]) => folded.live.get(place) === n);
    if (!same) find('projection', hold.holdId, 'the hold and its entries name different units');
  }
  for (const holdId of state.due.keys()) {
    if (!live.has(holdId)) find('due-index', holdId, 'has a deadline but is not held');
  }
  for (const [holdId, folded] of fold.holds) {
    if (folded.live.size > 0 && !live.has(holdId))
      find('hold-ends-once', holdId, 'is held by the log, its record is gone or ended');
  }
}

function checkLines(fold: LedgerFold, state: LedgerState, find: Find): void {
  for (const line of state.lines) {
    const counters = countersOf(line.counters);
    const folded = fold.lines.get(`${line.order}${US}${line.lineId}`);
    const names = ['ordered', 'cancelled', 'writtenOff', 'shipped', 'restocked'] as const;
    for (const name of names) {
      const said = folded?.[name] ?? 0;
      if (counters[name] !== said) {
        find(
          'counters',
          `${line.order} line ${line.lineId}`,
          `${name} is ${counters[name]}, the log says ${said}`,
        );
      }
    }
  }
}

function checkListings(fold: LedgerFold, state: LedgerState, find: Find): void {
  const known = new Set<string>();
  for (const listing of state.listings) {
    const key = `${listing.channel}${US}${listing.listingId}`;
    known.add(key);
    const taken = fold.taken.get(key) ?? 0;
    if (listing.taken !== taken)
      find('taken', listing.listingId, `taken is ${listing.taken}, the log says ${taken}`);
    const provisional = fold.provisional.get(key) ?? 0;
    if (listing.provisional !== provisional) {
      find(
        'reserved-sum',
        listing.listingId,
        `${listing.provisional} provisional units, the log says ${provisional}`,
      );
    }
  }
  for (const [key, taken] of fold.taken) {
    if (taken !== 0 && !known.has(key))
      find('taken', key.replace(US, ' '), `the log says ${taken}, the listing is gone`);
  }
}

/** Pools count live holds; agents count live and, until their records are purged, committed ones. */
function checkCaps(state: LedgerState, find: Find): void {
  const pools = new Map<string, number>();
  const agents = new Map<string, number>();
  for (const hold of state.holds) {
    for (const line of hold.lines) {
      if (hold.pool !== '' && hold.state === 'H') add(pools, `${hold.pool}${US}${line.sku}`, line.units);
      if (hold.agent !== '' && (hold.state === 'H' || hold.state === 'C'))
        add(agents, `${hold.agent}${US}${line.sku}`, line.units);
    }
  }
  for (const [name, kept, sums] of [
    ['pool', state.pools, pools],
    ['agent', state.agents, agents],
  ] as const) {
    for (const key of new Set([...kept.keys(), ...sums.keys()])) {
      if ((kept.get(key) ?? 0) !== (sums.get(key) ?? 0)) {
        find(
          'reserved-sum',
          `${name} ${key.replace(US, ' ')}`,
          `counter is ${kept.get(key) ?? 0}, its holds add up to ${sums.get(key) ?? 0}`,
        );
      }
    }
  }
}
