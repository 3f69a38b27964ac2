import type { Level, Movement } from '../domain/movement.ts';
import { US } from './keys.ts';

/** Something that must never be seen in a ledger. `invariant` names the rule (docs/ledger.md, "Invariants"). */
export interface Finding {
  readonly invariant: Invariant;
  readonly at: string;
  readonly detail: string;
}

export type Invariant =
  | 'sequence'
  | 'conservation'
  | 'version'
  | 'operation-once'
  | 'hold-ends-once'
  | 'reserved-sum'
  | 'committed-sum'
  | 'projection'
  | 'due-index'
  | 'counters'
  | 'taken'
  | 'range'
  | 'archive';

export interface FoldedLine {
  readonly sku: string;
  ordered: number;
  cancelled: number;
  writtenOff: number;
  shipped: number;
  restocked: number;
  taken: number;
}

export interface FoldedHold {
  /** Units still held, per `sku US location`. */
  readonly live: Map<string, number>;
}

export interface FoldOptions {
  /**
   * The last entry that is not there: the fold starts in the middle of a history. Each figure then begins as its first
   * entry says, and holds and orders from before are not judged.
   */
  readonly after?: { readonly epoch: number; readonly seq: number } | undefined;
  /** Counters of every order line there ever was; without it memory does not grow with the orders. */
  readonly followLines?: boolean | undefined;
}

/**
 * Ids that may come only once are remembered this far back. The ledger itself forgets them, by default a hold's a day
 * after its end and an operation's after thirty days: later the same id is no repeat.
 */
const maxRemembered = 250_000;
const holdIdMs = 43_200_000;
const operationIdMs = 2_419_200_000;
export const maxFindings = 10_000;

/**
 * Replays the log, entry by entry, into everything it says: levels, versions, live holds, provisional and taken units
 * per listing. What an entry claims and what the entries before it add up to are compared on the way, so a log that was
 * cut, doubled, reordered or edited does not fold without a finding. Memory grows with the SKUs and the live holds, not
 * with the entries.
 */
export class LedgerFold {
  readonly findings: Finding[] = [];
  readonly levels = new Map<string, Map<string, Level>>();
  readonly versions = new Map<string, number>();
  readonly holds = new Map<string, FoldedHold>();
  /** Per `channel US listing id`. */
  readonly taken = new Map<string, number>();
  readonly provisional = new Map<string, number>();
  /** Per `channel:order id US line id`. */
  readonly lines = new Map<string, FoldedLine>();
  /** Operations that may stand in the log only once. */
  readonly #onceOnly = new Map<string, number>();
  readonly #endedHolds = new Map<string, number>();
  readonly #followsLines: boolean;
  readonly isPartial: boolean;
  seq = 0;
  epoch = 0;
  entries = 0;

  constructor(options: FoldOptions = {}) {
    this.#followsLines = options.followLines ?? true;
    this.isPartial = options.after !== undefined;
    if (options.after === undefined) return;
    this.epoch = options.after.epoch;
    this.seq = options.after.seq;
  }

  add(movement: Movement): void {
    this.entries += 1;
    this.#checkSequence(movement);
    this.seq = movement.seq;
    this.epoch = movement.epoch;
    if (movement.kind === 'epoch') return;
    this.#checkLevel(movement);
    this.#followOperation(movement);
    this.#followHold(movement);
    this.#followListing(movement);
  }

  #find(invariant: Invariant, at: string, detail: string): void {
    if (this.findings.length < maxFindings) this.findings.push({ invariant, at, detail });
  }

  #checkSequence(m: Movement): void {
    if (m.seq !== this.seq + 1) this.#find('sequence', m.id, `follows sequence ${this.seq}`);
    if (m.kind === 'epoch') {
      if (m.epoch <= this.epoch)
        this.#find('sequence', m.id, `an epoch that does not come after ${this.epoch}`);
    } else if (m.epoch !== this.epoch && this.epoch !== 0) {
      this.#find('sequence', m.id, `another epoch than ${this.epoch} without an entry that opens it`);
    }
  }

  #checkLevel(m: Movement): void {
    let locations = this.levels.get(m.sku);
    if (locations === undefined) {
      locations = new Map();
      this.levels.set(m.sku, locations);
    }
    const before = locations.get(m.location);
    const isBegun = before !== undefined || !this.isPartial;
    const { onHand, committed, reserved } = before ?? noLevel;
    const sums = {
      onHand: onHand + m.deltaOnHand,
      committed: committed + m.deltaCommitted,
      reserved: reserved + m.deltaReserved,
    };
    for (const name of ['onHand', 'committed', 'reserved'] as const) {
      if (isBegun && sums[name] !== m[name]) {
        this.#find(
          'conservation',
          m.id,
          `${m.sku} at ${m.location}: ${name} is ${m[name]}, the entries add up to ${sums[name]}`,
        );
      }
      if (!Number.isSafeInteger(m[name])) this.#find('range', m.id, `${name} is ${m[name]}`);
    }
    locations.set(m.location, { onHand: m.onHand, committed: m.committed, reserved: m.reserved });
    const known = this.versions.get(m.sku);
    const version = (known ?? 0) + 1;
    if (m.version !== version && (known !== undefined || !this.isPartial))
      this.#find('version', m.id, `${m.sku} has version ${m.version} after ${version - 1}`);
    this.versions.set(m.sku, m.version);
  }

  /** One entry per operation for single-entry commands; a transfer is exactly one entry per side. */
  #followOperation(m: Movement): void {
    if (m.operationId === '') return;
    if (m.kind !== 'received' && m.kind !== 'adjusted' && m.kind !== 'counted' && m.kind !== 'transferred')
      return;
    const side =
      m.kind === 'transferred' ? `${m.operationId}${US}${m.units < 0 ? 'from' : 'to'}` : m.operationId;
    if (m.atMs - (this.#onceOnly.get(side) ?? Number.NEGATIVE_INFINITY) < operationIdMs)
      this.#find('operation-once', m.id, `operation ${m.operationId} is in the log twice`);
    remember(this.#onceOnly, side, m.atMs);
  }

  #followHold(m: Movement): void {
    if (m.kind === 'held') {
      const hold = this.holds.get(m.reference) ?? { live: new Map<string, number>() };
      if (m.atMs - (this.#endedHolds.get(m.reference) ?? Number.NEGATIVE_INFINITY) < holdIdMs)
        this.#find('hold-ends-once', m.id, `hold ${m.reference} is held again after its end`);
      const place = `${m.sku}${US}${m.location}`;
      hold.live.set(place, (hold.live.get(place) ?? 0) + m.units);
      if (m.deltaReserved !== m.units)
        this.#find('conservation', m.id, `holds ${m.units} but reserves ${m.deltaReserved}`);
      this.holds.set(m.reference, hold);
      return;
    }
    if (m.kind !== 'released' && m.kind !== 'expired' && m.kind !== 'hold-committed') return;
    const hold = this.holds.get(m.reference);
    const place = `${m.sku}${US}${m.location}`;
    const live = hold?.live.get(place) ?? 0;
    if (hold === undefined && this.isPartial && !this.#endedHolds.has(m.reference)) return;
    if (hold === undefined || live < m.units) {
      this.#find(
        'hold-ends-once',
        m.id,
        `hold ${m.reference}: ${m.units} units ${m.kind}, ${live} were held`,
      );
      return;
    }
    if (m.deltaReserved !== -m.units)
      this.#find('conservation', m.id, `gives back ${m.units} but reserves ${m.deltaReserved}`);
    if (live === m.units) hold.live.delete(place);
    else hold.live.set(place, live - m.units);
    if (hold.live.size > 0) return;
    this.holds.delete(m.reference);
    remember(this.#endedHolds, m.reference, m.atMs);
  }

  #followListing(m: Movement): void {
    if (m.kind === 'provisioned' || m.kind === 'provision-resolved') {
      const listing = `${m.channel}${US}${m.reference}`;
      const units = (this.provisional.get(listing) ?? 0) + (m.kind === 'provisioned' ? m.units : -m.units);
      if (units < 0 && !this.isPartial)
        this.#find(
          'reserved-sum',
          m.id,
          `listing ${m.reference}: more provisional units resolved than booked`,
        );
      this.provisional.set(listing, units);
      return;
    }
    // Without a line it is the authority's own movement, or a credit that a person resolved.
    if (isOrderKind(m.kind) && m.line !== '') this.#followLine(m, m.kind);
  }

  #followLine(m: Movement, kind: OrderKind): void {
    // The listing id is free text and may hold semicolons: the two fields after it do not.
    const [, listingId, dTaken] = /^([^]*);([^;]*);[^;]*$/.exec(m.extra) ?? [];
    const taken = listingId === '' ? 0 : Number(dTaken ?? 0);
    if (listingId !== undefined && taken !== 0) {
      const listing = `${m.channel}${US}${listingId}`;
      this.taken.set(listing, (this.taken.get(listing) ?? 0) + taken);
    }
    if (this.#followsLines) this.#countLine(m, kind, taken);
  }

  #countLine(m: Movement, kind: OrderKind, taken: number): void {
    const key = `${m.channel}:${m.reference}${US}${m.line}`;
    let line = this.lines.get(key);
    if (line === undefined) {
      line = { sku: m.sku, ordered: 0, cancelled: 0, writtenOff: 0, shipped: 0, restocked: 0, taken: 0 };
      this.lines.set(key, line);
    }
    if (m.sku !== line.sku)
      this.#find('counters', m.id, `line ${m.line} of ${m.reference} moves ${m.sku}, it was ${line.sku}`);
    if (m.operationId.startsWith('adopted:')) {
      // An adopted line starts at its snapshot; only what was still open moved the level.
      const [ordered, cancelled, writtenOff, shipped, restocked] = m.operationId
        .slice('adopted:'.length)
        .split(',')
        .map(Number);
      Object.assign(line, { ordered, cancelled, writtenOff, shipped, restocked });
    } else if (kind === 'unshipped') {
      line.shipped -= m.units;
    } else {
      line[orderCounters[kind]] += m.units;
    }
    line.taken += taken;
  }
}

const noLevel: Level = { onHand: 0, committed: 0, reserved: 0 };

function remember(ids: Map<string, number>, id: string, atMs: number): void {
  ids.set(id, atMs);
  if (ids.size <= maxRemembered) return;
  const [oldest] = ids.keys();
  if (oldest !== undefined) ids.delete(oldest);
}

const orderCounters = {
  ordered: 'ordered',
  cancelled: 'cancelled',
  'written-off': 'writtenOff',
  shipped: 'shipped',
  returned: 'restocked',
} as const;
type OrderKind = keyof typeof orderCounters | 'unshipped';

function isOrderKind(kind: Movement['kind']): kind is OrderKind {
  return kind === 'unshipped' || Object.hasOwn(orderCounters, kind);
}
