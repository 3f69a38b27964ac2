import type { Redis } from 'ioredis';
import type { LocationId, Sku } from '../domain/ids.ts';
import type { Movement } from '../domain/movement.ts';
import { US } from '../ledger/keys.ts';

/** Movements that bring a figure of the level itself, not only what was promised from it. */
const figures: ReadonlySet<Movement['kind']> = new Set(['received', 'counted', 'adjusted', 'transferred']);

/**
 * Which levels have ever been given a figure. Where there is none, `available` is not zero but unknown: nothing is
 * published for it, or the first start would set every listing of the merchant to zero.
 */
export class OpenedLevels {
  readonly #redis: Redis;
  readonly #key: string;
  readonly #levels = new Set<string>();

  constructor(redis: Redis, key: string) {
    this.#redis = redis;
    this.#key = key;
  }

  async load(): Promise<void> {
    let cursor = '0';
    do {
      const [next, members] = await this.#redis.sscan(this.#key, cursor, 'COUNT', 1_000);
      cursor = next;
      for (const level of members) this.#levels.add(level);
    } while (cursor !== '0');
  }

  has(sku: Sku, location: LocationId): boolean {
    return this.#levels.has(member(sku, location));
  }

  async add(sku: Sku, location: LocationId): Promise<void> {
    const level = member(sku, location);
    if (this.#levels.has(level)) return;
    await this.#redis.sadd(this.#key, level);
    this.#levels.add(level);
  }

  /** Entries of the log, as the daemon's reader gets them; answers the levels that were opened by them. */
  async follow(entries: readonly Movement[]): Promise<readonly { sku: Sku; location: LocationId }[]> {
    const opened = entries.filter(({ kind, sku, location }) => figures.has(kind) && !this.has(sku, location));
    for (const { sku, location } of opened) await this.add(sku, location);
    return opened;
  }
}

function member(sku: Sku, location: LocationId): string {
  return `${location}${US}${sku}`;
}
