import type { Redis } from 'ioredis';
import type { RawEntry } from '../archive.ts';
import { type LedgerKeys, US } from '../keys.ts';
import { formatPosition } from '../position.ts';
import type { LedgerReplay } from '../replay/ledger-replay.ts';
import { scanKeys } from '../state-dump.ts';
import { batchesOf } from '../verify/pinned-read.ts';
import { holdRecord, levelFields, listingFields, operationRecord, orderFields } from './rebuilt-records.ts';

const batch = 500;
const schema = '1';

/**
 * Writes a replayed ledger into an empty place.
 *
 *   empty --mark--> rebuilding --everything but the ledger's own hash--> rebuilding --hash in, mark out--> closed ledger
 *   rebuilding --crash, begun again--> emptied --> rebuilding
 *
 * No script runs on it before the last step, and then the first `open` begins a new epoch: the server is not the one
 * that the log was written on.
 */
export class LedgerWriter {
  readonly #redis: Redis;
  readonly #keys: LedgerKeys;

  constructor(redis: Redis, keys: LedgerKeys) {
    this.#redis = redis;
    this.#keys = keys;
  }

  /** False: there is a ledger already. What an interrupted rebuild left is removed. */
  async begin(): Promise<boolean> {
    const { log, skus, orders, holds, ledger } = this.#keys;
    if ((await this.#redis.exists(this.#mark)) === 1) await this.#empty();
    // A daemon that met the empty server has halted there: its hash is no ledger yet.
    const seq = Number((await this.#redis.hget(ledger, 'seq')) ?? 0);
    if (seq > 0 || (await this.#redis.exists(log, skus, orders, holds)) > 0) return false;
    await this.#redis.set(this.#mark, '1');
    await this.#redis.del(ledger);
    return true;
  }

  async write(replay: LedgerReplay): Promise<void> {
    await this.#writeSkus(replay);
    await this.#writeHolds(replay);
    await this.#writeOrders(replay);
    await this.#writeListings(replay);
    const { operations, epochs, holds } = replay;
    for (const some of batchesOf(operations.operations, batch)) {
      await this.#redis.hset(
        this.#keys.operations,
        ...some.flatMap(([id, one]) => [id, operationRecord(one)]),
      );
      await this.#redis.zadd(this.#keys.operationAge, ...some.flatMap(([id, { atMs }]) => [atMs, id]));
    }
    for (const [ended, { next, forkSeq, lostTo }] of epochs)
      await this.#redis.hset(this.#keys.epochs, String(ended), [next, forkSeq, lostTo].join(US));
    for (const [key, counters] of [
      [this.#keys.pools, holds.pools],
      [this.#keys.agents, holds.agents],
    ] as const) {
      for (const some of batchesOf(counters, batch)) await this.#redis.hset(key, ...some.flat());
    }
  }

  /** Entries that are in no archive: they are the log of the rebuilt ledger. */
  async append(rows: readonly RawEntry[]): Promise<void> {
    for (const some of batchesOf(rows, batch)) {
      const pipeline = this.#redis.pipeline();
      for (const [id, sku, packed] of some) pipeline.xadd(this.#keys.log, id, 's', sku, 'e', packed);
      await done(pipeline.exec());
    }
  }

  async end(replay: LedgerReplay): Promise<void> {
    const { fold, clock } = replay;
    const [first] = await this.#redis.xrange(this.#keys.log, '-', '+', 'COUNT', 1);
    const firstSeq = first === undefined ? fold.seq + 1 : Number(first[0].split('-')[1]);
    const hash = {
      epoch: fold.epoch,
      seq: fold.seq,
      now: clock.nowMs,
      raw: clock.wallMs,
      runId: '',
      schema,
      first: firstSeq,
      halted: '',
    };
    await done(this.#redis.multi().hset(this.#keys.ledger, hash).del(this.#mark).exec());
  }

  get #mark(): string {
    return `${this.#keys.prefix}rebuilding`;
  }

  async #empty(): Promise<void> {
    const { prefix } = this.#keys;
    const keys = this.#keys;
    await this.#redis.unlink(keys.skus, keys.holds, keys.due, keys.done, keys.orders, keys.credits, keys.log);
    await this.#redis.unlink(keys.pools, keys.agents, keys.operations, keys.operationAge, keys.epochs);
    await this.#redis.unlink(keys.cursors);
    for (const pattern of ['sku:*', 'order:*', 'listing:*', 'listings:*']) {
      for (const some of batchesOf(await scanKeys(this.#redis, `${prefix}${pattern}`), batch))
        await this.#redis.unlink(...some);
    }
  }

  async #writeSkus({ fold, fields, marks }: LedgerReplay): Promise<void> {
    for (const some of batchesOf(fold.levels, batch)) {
      const pipeline = this.#redis.pipeline();
      for (const [sku, locations] of some) {
        const all: string[] = ['v', String(fold.versions.get(sku) ?? 0)];
        for (const [location, level] of locations) {
          const key = `${sku}${US}${location}`;
          const has = fields.levels.get(key);
          if (has === undefined) continue;
          all.push(...levelFields(location, level, has, marks.levels.get(key) ?? []).flat());
        }
        pipeline.hset(`${this.#keys.prefix}sku:${sku}`, ...all);
      }
      pipeline.sadd(this.#keys.skus, ...some.map(([sku]) => sku));
      await done(pipeline.exec());
    }
  }

  async #writeHolds({ holds }: LedgerReplay): Promise<void> {
    const { holds: records, due, done: ended } = this.#keys;
    for (const some of batchesOf(holds.live.values(), batch)) {
      await this.#redis.hset(records, ...some.flatMap((hold) => [hold.holdId, holdRecord(hold)]));
      await this.#redis.zadd(due, ...some.flatMap(({ deadlineMs, holdId }) => [deadlineMs, holdId]));
    }
    for (const some of batchesOf(holds.ended.values(), batch)) {
      await this.#redis.hset(records, ...some.flatMap((hold) => [hold.holdId, holdRecord(hold)]));
      await this.#redis.zadd(ended, ...some.flatMap(({ endedMs, holdId }) => [endedMs, holdId]));
    }
  }

  async #writeOrders({ orders }: LedgerReplay): Promise<void> {
    for (const some of batchesOf(orders.orders, batch)) {
      const pipeline = this.#redis.pipeline();
      for (const [order, record] of some) {
        pipeline.hset(`${this.#keys.prefix}order:${order}`, ...orderFields(record).flat());
        pipeline.zadd(this.#keys.orders, record.touchedMs, order);
        for (const [sku, credit] of record.credits) {
          // Commits of the merchant's own channel wait for no order.
          if (credit.open.size > 0 && !order.startsWith('direct:'))
            pipeline.zadd(this.#keys.credits, credit.openSinceMs, `${order}${US}${sku}`);
        }
      }
      await done(pipeline.exec());
    }
  }

  async #writeListings({ listings, clock, fold }: LedgerReplay): Promise<void> {
    const channels = new Set<string>();
    for (const some of batchesOf(listings.listings, batch)) {
      const pipeline = this.#redis.pipeline();
      for (const [key, listing] of some) {
        const [channel = '', listingId = ''] = key.split(US);
        channels.add(channel);
        const fields = listingFields(listing, clock.wallMs).flat();
        pipeline.hset(`${this.#keys.prefix}listing:${channel}:${listingId}`, ...fields);
        pipeline.sadd(`${this.#keys.prefix}listings:${channel}`, listingId);
      }
      await done(pipeline.exec());
    }
    // Bases and marks are not in the log: every listing is looked at.
    for (const channel of channels)
      await this.#redis.hset(this.#keys.cursors, `full:${channel}`, formatPosition(fold));
  }
}

/** A pipeline answers errors in its rows. */
async function done(replies: Promise<[error: Error | null, result: unknown][] | null>): Promise<void> {
  for (const [error] of (await replies) ?? []) if (error !== null) throw error;
}
