import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import Redlock from 'redlock';
import type { Attempt } from '../support/closed-loop.ts';
import type { Contender } from './contender.ts';

const stockKey = (sku: number): string => `bench:{b}:sku-${sku}`;
const bareKey = (sku: number): string => `bench:{b}:bare-${sku}`;

async function fillStrings(redis: Redis, skus: number, units: number): Promise<void> {
  for (let from = 0; from < skus; from += 1_000) {
    const pairs: string[] = [];
    for (let sku = from; sku < Math.min(skus, from + 1_000); sku += 1)
      pairs.push(stockKey(sku), String(units));
    await redis.mset(pairs);
  }
}

/** Microseconds of server time in EVALSHA so far. */
export async function evalshaMicros(redis: Redis): Promise<number> {
  const stats = await redis.info('commandstats');
  return Number(/cmdstat_evalsha:calls=\d+,usec=(\d+)/.exec(stats)?.[1] ?? 0);
}

const bareScript = `
local left = redis.call('HGET', KEYS[1], 'o')
if tonumber(left) < 1 then return 0 end
redis.call('HINCRBY', KEYS[1], 'o', -1)
local seq = redis.call('INCR', KEYS[2])
redis.call('XADD', KEYS[3], seq .. '-0', 's', KEYS[1], 'e', '1')
return seq`;

/** The limit: the least a script can do and still take a unit and log it. No idempotency, no hold, no expiry, no epoch. */
export async function bareLimit(path: string): Promise<Contender> {
  const redis = new Redis({ path });
  const sha = String(await redis.script('LOAD', bareScript));
  let filled = 0;
  return {
    name: 'bare script (limit)',
    async fill(skus, units) {
      filled = units;
      for (let from = 0; from < skus; from += 1_000) {
        const pipeline = redis.pipeline();
        for (let sku = from; sku < Math.min(skus, from + 1_000); sku += 1)
          pipeline.hset(bareKey(sku), 'o', units);
        await pipeline.exec();
      }
    },
    async take(sku): Promise<Attempt> {
      return (await redis.evalsha(sha, 3, bareKey(sku), 'bench:{b}:seq', 'bench:{b}:log')) === 0
        ? 'refused'
        : 'ok';
    },
    taken: async (sku) => filled - Number(await redis.hget(bareKey(sku), 'o')),
    serverMicros: () => evalshaMicros(redis),
    async close() {
      await redis.quit();
    },
  };
}

/** A lock around read, check and write, as `redlock` documents it. */
export async function redlockContender(path: string): Promise<Contender> {
  const redis = new Redis({ path });
  const redlock = new Redlock([redis], { retryCount: 500, retryDelay: 5, retryJitter: 5, driftFactor: 0.01 });
  redlock.on('error', () => undefined);
  let filled = 0;
  return {
    name: 'redlock',
    async fill(skus, units) {
      filled = units;
      await fillStrings(redis, skus, units);
    },
    async take(sku): Promise<Attempt> {
      const lock = await redlock.acquire([`${stockKey(sku)}:lock`], 10_000).catch(() => undefined);
      if (lock === undefined) return 'gave-up';
      try {
        const left = Number(await redis.get(stockKey(sku)));
        if (left < 1) return 'refused';
        await redis.set(stockKey(sku), left - 1);
        return 'ok';
      } finally {
        await lock.release().catch(() => undefined);
      }
    },
    taken: async (sku) => filled - Number(await redis.get(stockKey(sku))),
    async close() {
      await redis.quit();
    },
  };
}

const releaseScript = `if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0`;

/** `SET lock NX PX` with back-off, the form most tutorials print. */
export async function setnxContender(path: string): Promise<Contender> {
  const redis = new Redis({ path });
  let filled = 0;
  return {
    name: 'SET NX with TTL',
    async fill(skus, units) {
      filled = units;
      await fillStrings(redis, skus, units);
    },
    async take(sku): Promise<Attempt> {
      const owner = randomUUID();
      const lockKey = `${stockKey(sku)}:lock`;
      for (let tries = 0; (await redis.set(lockKey, owner, 'PX', 10_000, 'NX')) === null; tries += 1) {
        if (tries >= 200) return 'gave-up';
        await delay(1 + Math.random() * Math.min(50, 2 ** tries));
      }
      const left = Number(await redis.get(stockKey(sku)));
      if (left > 0) await redis.set(stockKey(sku), left - 1);
      await redis.eval(releaseScript, 1, lockKey, owner);
      return left > 0 ? 'ok' : 'refused';
    },
    taken: async (sku) => filled - Number(await redis.get(stockKey(sku))),
    async close() {
      await redis.quit();
    },
  };
}
