import type { Redis } from 'ioredis';
import { StockmeshError } from '../domain/errors.ts';
import type { Movement } from '../domain/movement.ts';
import type { LedgerArchive } from './archive.ts';
import type { Position } from './contract.ts';
import { type Finding, LedgerFold, maxFindings } from './fold.ts';
import { type Branch, FullHistory, RedisLogTail } from './full-history.ts';
import { type LedgerKeys, US } from './keys.ts';
import { formatPosition, noPosition, parsePosition } from './position.ts';
import { HoldReplay } from './replay/hold-replay.ts';
import { OrderReplay } from './replay/order-replay.ts';
import { ShippingMarks } from './replay/shipping-marks.ts';
import { archiveProblem } from './verify/archive-problem.ts';
import { HistoryFollower } from './verify/history-follower.ts';
import type { VerifyContext } from './verify/pinned-read.ts';
import { verifyHolds } from './verify/verify-holds.ts';
import { verifyLevels } from './verify/verify-levels.ts';
import { verifyListings } from './verify/verify-listings.ts';
import { verifyOrders } from './verify/verify-orders.ts';

export interface VerifyOptions {
  readonly redis: Redis;
  readonly keys: LedgerKeys;
  /** Without it only what the log in Redis still holds can be judged. */
  readonly archive?: LedgerArchive | undefined;
  /** Orders whose lines are kept in memory at once; of more, the history is read several times. */
  readonly ordersPerPass?: number;
  /** Hold records that are read as of one moment; of more, the counters of agents are judged over several readings. */
  readonly holdsAtOnce?: number;
}

export interface VerifyReport {
  /** Sequence up to which log and state were compared. */
  readonly position: Position;
  readonly entries: number;
  readonly skus: number;
  readonly liveHolds: number;
  readonly listings: number;
  readonly orders: number;
  /** Empty: everything holds together. At most 10,000 are kept. */
  readonly findings: readonly Finding[];
  /** What could not be checked, and why. */
  readonly limits: readonly string[];
}

const maxForks = 3;

/**
 * Folds archive and log into what the ledger ought to hold, and compares that with what it holds. Writers may go on:
 * each piece is read together with the sequence it is true for, and the log is folded to exactly there. Memory grows
 * with the SKUs, the live holds and `ordersPerPass`, not with the history. It changes nothing.
 */
export async function verifyLedger(options: VerifyOptions): Promise<VerifyReport> {
  for (let forks = 1; ; forks += 1) {
    try {
      return await new VerifyRun(options).run();
    } catch (error) {
      const isForked = error instanceof StockmeshError && error.code === 'LEDGER_FORKED';
      if (!isForked || forks === maxForks) throw error;
    }
  }
}

class VerifyRun {
  readonly #options: VerifyOptions;
  readonly #findings: Finding[] = [];
  readonly #limits: string[] = [];
  #history: FullHistory;
  #branch: Branch = new Map();
  /** The entry before the first one that is there. */
  #start: Position | undefined;

  constructor(options: VerifyOptions) {
    this.#options = options;
    this.#history = new FullHistory(new RedisLogTail(options.redis, options.keys), options.archive);
  }

  async run(): Promise<VerifyReport> {
    const head = await this.#readHead();
    await this.#chooseHistory();
    const passes = Math.max(
      1,
      Math.ceil((await this.#orderCount()) / (this.#options.ordersPerPass ?? 250_000)),
    );
    const first = await this.#mainPass(head, passes);
    let { orders } = first;
    for (let pass = 1; pass < passes && this.#start === undefined; pass += 1) {
      orders += await this.#ordersPass(head, pass, passes, first.openUnits);
    }
    if (this.#start === undefined) this.#compareCommitted(first.committed, first.openUnits);
    const { fold, position, skus, liveHolds, listings } = first;
    const findings = [...fold.findings, ...this.#findings].slice(0, maxFindings);
    return {
      position,
      entries: fold.entries,
      skus,
      liveHolds,
      listings,
      orders,
      findings,
      limits: this.#limits,
    };
  }

  #find(invariant: Finding['invariant'], at: string, detail: string): void {
    if (this.#findings.length < maxFindings) this.#findings.push({ invariant, at, detail });
  }

  /** The end of the log and what the ledger's own hash says of it, as of one moment. */
  async #readHead(): Promise<Position> {
    const { redis, keys } = this.#options;
    const replies = await redis
      .multi()
      .hmget(keys.ledger, 'epoch', 'seq', 'first')
      .xrevrange(keys.log, '+', '-', 'COUNT', 1)
      .xrange(keys.log, '-', '+', 'COUNT', 1)
      .exec();
    const [epoch, seq, first] = ((replies?.[0]?.[1] ?? []) as (string | null)[]).map(Number);
    const head = { epoch: epoch ?? 0, seq: seq ?? 0 };
    const [tip] = (replies?.[1]?.[1] ?? []) as [string, string[]][];
    const [oldest] = (replies?.[2]?.[1] ?? []) as [string, string[]][];
    if (tip !== undefined && tip[0] !== formatPosition(head))
      this.#find('sequence', formatPosition(head), `the log ends at ${tip[0]}`);
    if (oldest !== undefined && parsePosition(oldest[0]).seq !== first)
      this.#find('sequence', formatPosition(head), `first is ${first}, the log begins at ${oldest[0]}`);
    return head;
  }

  async #orderCount(): Promise<number> {
    return this.#options.redis.zcard(this.#options.keys.orders);
  }

  /** Archive and log where they make one history, else the log alone, and said so. */
  async #chooseHistory(): Promise<void> {
    const { redis, keys, archive } = this.#options;
    const tail = new RedisLogTail(redis, keys);
    if (archive !== undefined) {
      const problem = await archiveProblem(archive, tail);
      if (problem !== undefined) {
        this.#find('archive', problem.at, problem.detail);
        this.#history = new FullHistory(tail);
      }
    }
    this.#branch = await this.#history.branch();
    for await (const [first] of this.#history.after(this.#branch)) {
      if (first !== undefined && first.seq > 1) {
        this.#start = { epoch: first.epoch, seq: first.seq - 1 };
        this.#limits.push(
          `entries 1 to ${first.seq - 1} are not here: only what later entries touched was checked, and no orders, ` +
            'listings, pools or sums',
        );
      }
      break;
    }
  }

  async #mainPass(head: Position, passes: number) {
    const isPartial = this.#start !== undefined;
    const fold = new LedgerFold({ after: this.#start, followLines: false });
    const marks = new ShippingMarks();
    const holds = new HoldReplay();
    const provisional = new Map<string, number>();
    const wants = partOf(0, passes);
    const orders = new OrderReplay(isPartial ? () => false : wants);
    const { context, follower } = this.#follow((m) => {
      fold.add(m);
      if (m.kind === 'epoch') return;
      holds.add(m, 0);
      if (isPartial) return;
      marks.add(m);
      orders.add(m);
      if (m.kind === 'provisioned') addUnits(provisional, `${m.sku}${US}${m.location}`, m.units);
      if (m.kind === 'provision-resolved') addUnits(provisional, `${m.sku}${US}${m.location}`, -m.units);
    });
    await context.advanceTo(head);
    // Sums are made at one moment, before the walk through the state moves on with the writers.
    const openUnits = new Map(orders.openUnits);
    for (const key of marks.levels.keys()) addUnits(openUnits, key, marks.unitsAt(key));
    const committed = new Map<string, number>();
    if (!isPartial) this.#compareReserved(fold, holds, provisional, committed);
    const skus = await verifyLevels(context, fold, marks);
    const liveHolds = await verifyHolds(context, holds, this.#options.holdsAtOnce);
    const listings = isPartial ? 0 : await verifyListings(context, fold);
    const seen = isPartial ? 0 : await verifyOrders(context, orders, wants);
    await follower.close();
    const { position } = follower;
    return { fold, position, skus, liveHolds, listings, orders: seen, openUnits, committed };
  }

  async #ordersPass(
    head: Position,
    pass: number,
    passes: number,
    openUnits: Map<string, number>,
  ): Promise<number> {
    const wants = partOf(pass, passes);
    const orders = new OrderReplay(wants);
    const { context, follower } = this.#follow((m) => {
      if (m.kind !== 'epoch') orders.add(m);
    });
    await context.advanceTo(head);
    for (const [key, units] of orders.openUnits) addUnits(openUnits, key, units);
    const seen = await verifyOrders(context, orders, wants);
    await follower.close();
    return seen;
  }

  #follow(apply: (m: Movement) => void): { context: VerifyContext; follower: HistoryFollower } {
    const follower = new HistoryFollower(this.#history, this.#branch, this.#start ?? noPosition, apply);
    let isShort = false;
    const context: VerifyContext = {
      redis: this.#options.redis,
      keys: this.#options.keys,
      isPartial: this.#start !== undefined,
      find: (invariant, at, detail) => this.#find(invariant, at, detail),
      advanceTo: async (target) => {
        if ((await follower.advanceTo(target)) || isShort) return;
        isShort = true;
        this.#find(
          'sequence',
          formatPosition(target),
          `the log ends at ${formatPosition(follower.position)}`,
        );
      },
    };
    return { context, follower };
  }

  /** Reserved units are live holds and provisionals, and nothing else; notes what is committed at the same moment. */
  #compareReserved(
    fold: LedgerFold,
    holds: HoldReplay,
    provisional: ReadonlyMap<string, number>,
    committed: Map<string, number>,
  ): void {
    const sums = new Map(provisional);
    for (const hold of holds.live.values()) {
      for (const line of hold.lines) addUnits(sums, `${line.sku}${US}${line.location}`, line.units);
    }
    for (const [sku, locations] of fold.levels) {
      for (const [location, level] of locations) {
        const key = `${sku}${US}${location}`;
        if (level.committed !== 0) committed.set(key, level.committed);
        addUnits(sums, key, -level.reserved);
      }
    }
    for (const [key, units] of sums) {
      if (units !== 0)
        this.#find('reserved-sum', key.replace(US, ' at '), `holds and provisionals differ by ${units}`);
    }
  }

  #compareCommitted(committed: ReadonlyMap<string, number>, openUnits: ReadonlyMap<string, number>): void {
    for (const key of new Set([...committed.keys(), ...openUnits.keys()])) {
      const [said, sum] = [committed.get(key) ?? 0, openUnits.get(key) ?? 0];
      if (said !== sum) {
        this.#find(
          'committed-sum',
          key.replace(US, ' at '),
          `committed is ${said}, its orders, credits and parcels add up to ${sum}`,
        );
      }
    }
  }
}

function addUnits(sums: Map<string, number>, key: string, units: number): void {
  const sum = (sums.get(key) ?? 0) + units;
  if (sum === 0) sums.delete(key);
  else sums.set(key, sum);
}

/** Spreads orders evenly over the passes. */
function partOf(pass: number, passes: number): (order: string) => boolean {
  if (passes === 1) return () => true;
  return (order) => {
    let hash = 0x811c9dc5;
    for (let i = 0; i < order.length; i += 1) hash = Math.imul(hash ^ order.charCodeAt(i), 0x01000193);
    return (hash >>> 0) % passes === pass;
  };
}
