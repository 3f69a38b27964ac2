import type { LocationId, Sku } from '../../domain/ids.ts';
import type { Movement } from '../../domain/movement.ts';
import {
  committedOf,
  type CounterName,
  counterNames,
  type LineCounters,
  noUnits,
} from '../../domain/order.ts';
import { defaultOrderRetention } from '../credit-commands.ts';
import {
  adoptedCounters,
  creditSettled,
  marksClosed,
  type OrderExtra,
  readCommit,
  readOrderExtra,
} from '../entry-extra.ts';
import { US } from '../keys.ts';

export interface ReplayedPlace {
  readonly location: LocationId;
  open: number;
  shipped: number;
  marked: number;
  returned: number;
  lost: number;
  lostMarked: number;
}

export interface ReplayedOrderLine {
  readonly sku: Sku;
  listingId: string;
  readonly counters: Record<CounterName, number>;
  /** Time of the entry that moved the counter last: never before the fetch behind it, so no older fetch can lower it. */
  readonly setAtMs: Record<CounterName, number>;
  readonly places: ReplayedPlace[];
}

export interface ReplayedCredit {
  netted: number;
  /** Open units per location. */
  readonly open: Map<LocationId, number>;
  openSinceMs: number;
}

export interface ReplayedOrder {
  readonly placedMs: number;
  readonly firstSeenMs: number;
  /** Platform's clock; 0 while only commits have named the order. */
  changedMs: number;
  /** The ledger's. */
  touchedMs: number;
  readonly lines: Map<string, ReplayedOrderLine>;
  readonly credits: Map<Sku, ReplayedCredit>;
}

const counterOf = {
  ordered: 'ordered',
  cancelled: 'cancelled',
  shipped: 'shipped',
  unshipped: 'shipped',
  'written-off': 'writtenOff',
  returned: 'restocked',
} as const satisfies Partial<Record<Movement['kind'], CounterName>>;
type OrderKind = keyof typeof counterOf;

export function isOrderKind(kind: Movement['kind']): kind is OrderKind {
  return Object.hasOwn(counterOf, kind);
}

/**
 * Applied order state as the log tells it: counters, places and credits of every order that `wants` names (all of them
 * when it is absent). Entries that move nothing are in the log for exactly this.
 */
export class OrderReplay {
  /** Per `<channel>:<order id>`. */
  readonly orders = new Map<string, ReplayedOrder>();
  /** Open units of lines and credits, per `sku US location`. */
  readonly openUnits = new Map<string, number>();
  readonly #wants: ((order: string) => boolean) | undefined;

  constructor(wants?: (order: string) => boolean) {
    this.#wants = wants;
  }

  add(m: Movement): void {
    if (m.kind === 'hold-committed') {
      const { channel, orderId, netted } = readCommit(m);
      const order = this.#order(`${channel}:${orderId}`, m);
      if (order === undefined) return;
      order.touchedMs = m.atMs;
      const credit = creditOf(order, m.sku);
      credit.netted += netted;
      this.#moveCredit(credit, m, m.units - netted);
    } else if (m.line === '') {
      // A credit that a person resolved; all others without a line are the authority's own movements.
      if (m.kind !== 'cancelled') return;
      const order = this.#order(`${m.channel}:${m.reference}`, m);
      if (order !== undefined) this.#moveCredit(creditOf(order, m.sku), m, -m.units);
    } else if (m.kind === 'reassigned' || isOrderKind(m.kind)) {
      this.#addToLine(m);
    }
  }

  #addToLine(m: Movement): void {
    const extra = m.kind === 'reassigned' ? undefined : readOrderExtra(m);
    const order = this.#order(`${m.channel}:${m.reference}`, m, extra?.platformMs);
    if (order === undefined) return;
    order.touchedMs = m.atMs;
    let line = order.lines.get(m.line);
    const isNew = line === undefined;
    if (line === undefined) {
      line = {
        sku: m.sku,
        listingId: '',
        counters: { ...noUnits },
        setAtMs: { ...noUnits },
        places: [],
      };
      order.lines.set(m.line, line);
    }
    if (extra !== undefined) {
      order.changedMs = Math.max(order.changedMs, extra.platformMs);
      takeOut(line, extra, m.atMs);
    }
    const place = placeOf(line, m.location);
    const before = place.open;
    if (m.kind === 'reassigned') place.open += m.deltaCommitted;
    else if (isOrderKind(m.kind)) this.#count(order, line, place, m, isNew);
    this.#addOpen(m, place.open - before);
  }

  #count(
    order: ReplayedOrder,
    line: ReplayedOrderLine,
    place: ReplayedPlace,
    m: Movement,
    isNew: boolean,
  ): void {
    const kind = m.kind as OrderKind;
    const adopted = adoptedCounters(m);
    if (adopted !== undefined) {
      place.open += m.deltaCommitted;
      if (isNew) adopt(line, place, adopted, m.atMs);
      return;
    }
    const counter = counterOf[kind];
    line.counters[counter] += kind === 'unshipped' ? -m.units : m.units;
    if (m.units !== 0) line.setAtMs[counter] = m.atMs;
    if (kind === 'returned') {
      place.returned += m.units;
    } else if (kind === 'ordered' || kind === 'cancelled') {
      const settled = kind === 'ordered' ? creditSettled(m) : 0;
      place.open += m.deltaCommitted + settled;
      if (settled === 0) return;
      const credit = creditOf(order, m.sku);
      credit.netted += settled;
      this.#moveCredit(credit, m, -settled);
    } else if (kind === 'unshipped' || m.units < 0) {
      comeBack(place, kind, m);
    } else {
      leave(place, kind, m);
    }
  }

  #order(key: string, m: Movement, platformMs?: number): ReplayedOrder | undefined {
    let order = this.orders.get(key);
    // Retention drops an order without a word in the log; its platform may still tell of it again.
    if (order !== undefined && isPastRetention(order, m.atMs)) order = undefined;
    if (order === undefined && (this.#wants === undefined || this.#wants(key))) {
      order = {
        placedMs: platformMs ?? m.atMs,
        firstSeenMs: m.atMs,
        changedMs: 0,
        touchedMs: m.atMs,
        lines: new Map(),
        credits: new Map(),
      };
      this.orders.set(key, order);
    }
    return order;
  }

  #moveCredit(credit: ReplayedCredit, m: Movement, units: number): void {
    const wasOpen = credit.open.size > 0;
    const left = (credit.open.get(m.location) ?? 0) + units;
    if (left > 0) credit.open.set(m.location, left);
    else credit.open.delete(m.location);
    if (!wasOpen) credit.openSinceMs = m.atMs;
    this.#addOpen(m, units);
  }

  #addOpen(m: Movement, units: number): void {
    if (units === 0) return;
    const key = `${m.sku}${US}${m.location}`;
    const sum = (this.openUnits.get(key) ?? 0) + units;
    if (sum === 0) this.openUnits.delete(key);
    else this.openUnits.set(key, sum);
  }
}

/** Whether retention drops the order at that time. */
export function isPastRetention(order: ReplayedOrder, nowMs: number): boolean {
  return nowMs - order.touchedMs > defaultOrderRetention.dropAfterMs && !hasOpenUnits(order);
}

/** Whether the order still promises units; only then the ledger may never drop it. */
export function hasOpenUnits(order: ReplayedOrder): boolean {
  for (const line of order.lines.values()) if (committedOf(line.counters) > 0) return true;
  for (const credit of order.credits.values()) if (credit.open.size > 0) return true;
  return false;
}

function creditOf(order: ReplayedOrder, sku: Sku): ReplayedCredit {
  let credit = order.credits.get(sku);
  if (credit === undefined) {
    credit = { netted: 0, open: new Map(), openSinceMs: 0 };
    order.credits.set(sku, credit);
  }
  return credit;
}

function placeOf(line: ReplayedOrderLine, location: LocationId): ReplayedPlace {
  let place = line.places.find((known) => known.location === location);
  if (place === undefined) {
    place = { location, open: 0, shipped: 0, marked: 0, returned: 0, lost: 0, lostMarked: 0 };
    line.places.push(place);
  }
  return place;
}

function takeOut(line: ReplayedOrderLine, extra: OrderExtra, atMs: number): void {
  if (extra.listingId !== '' && line.listingId !== extra.listingId) {
    // The entry that names a listing first says all that was taken: before, nothing counted it, or it was taken back.
    line.listingId = extra.listingId;
    line.counters.takenOut = 0;
    line.counters.givenBack = 0;
  }
  line.counters.takenOut += extra.takenOut;
  line.counters.givenBack += extra.givenBack;
  if (extra.takenOut !== 0) line.setAtMs.takenOut = atMs;
  if (extra.givenBack !== 0) line.setAtMs.givenBack = atMs;
}

/** Where the units of an adopted line left from was never asked: they are counted where it was adopted. */
function adopt(
  line: ReplayedOrderLine,
  place: ReplayedPlace,
  counters: readonly number[],
  atMs: number,
): void {
  for (const [index, name] of counterNames.entries()) {
    line.counters[name] = counters[index] ?? 0;
    line.setAtMs[name] = atMs;
  }
  place.shipped = line.counters.shipped;
  place.returned = line.counters.restocked;
  place.lost = line.counters.writtenOff;
}

function leave(place: ReplayedPlace, kind: OrderKind, m: Movement): void {
  const isMarked = m.deltaOnHand === 0;
  place.open -= isMarked ? m.units - m.deltaCommitted : -m.deltaCommitted;
  if (kind === 'shipped') place[isMarked ? 'marked' : 'shipped'] += m.units;
  else place[isMarked ? 'lostMarked' : 'lost'] += m.units;
}

function comeBack(place: ReplayedPlace, kind: OrderKind, m: Movement): void {
  place.open += m.deltaCommitted + marksClosed(m);
  const [gone, marked] =
    kind === 'unshipped' ? (['shipped', 'marked'] as const) : (['lost', 'lostMarked'] as const);
  // A place from which nothing left has the entry only because the counter had to be corrected somewhere.
  if (place[gone] + place[marked] === 0) return;
  place[gone] -= m.deltaOnHand;
  place[marked] -= Math.abs(m.units) - m.deltaOnHand;
}

/** The seven counters in the order of the ledger's records. */
export function counterList(counters: LineCounters): readonly number[] {
  return counterNames.map((name) => counters[name]);
}
