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
  /** By location: asked for every row of a reconciliation, so it makes no text of its own. */
  readonly #levels = new Map<LocationId, Set<Sku>>();
  #size = 0;
  /** Lost by a crash, they are found again: the opening is booked under an operation id of its own. */
  #unwritten: string[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(redis: Redis, key: string) {
    this.#redis = redis;
    this.#key = key;
  }

  async load(): Promise<void> {
    let cursor = '0';
    do {
      const [next, members] = await this.#redis.sscan(this.#key, cursor, 'COUNT', 1_000);
      cursor = next;
      for (const level of members) this.#note(...parts(level));
    } while (cursor !== '0');
  }

  get size(): number {
    return this.#size;
  }

  has(sku: Sku, location: LocationId): boolean {
    return this.#levels.get(location)?.has(sku) === true;
  }

  add(sku: Sku, location: LocationId): void {
    if (!this.#note(location, sku)) return;
    this.#unwritten.push(member(sku, location));
    this.#timer ??= setTimeout(() => void this.flush(), 20);
  }

  /** Entries of the log, as the daemon's reader gets them. */
  follow(entries: readonly Movement[]): void {
    for (const { kind, sku, location } of entries) if (figures.has(kind)) this.add(sku, location);
  }

  #note(location: LocationId, sku: Sku): boolean {
    let skus = this.#levels.get(location);
    if (skus === undefined) this.#levels.set(location, (skus = new Set()));
    if (skus.has(sku)) return false;
    skus.add(sku);
    this.#size++;
    return true;
  }

  async flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const levels = this.#unwritten.splice(0);
    if (levels.length === 0) return;
    try {
      await this.#redis.sadd(this.#key, ...levels);
    } catch {
      this.#unwritten.push(...levels);
      this.#timer ??= setTimeout(() => void this.flush(), 1_000);
    }
  }
}

function parts(level: string): [LocationId, Sku] {
  const end = level.indexOf(US);
  return [level.slice(0, end) as LocationId, level.slice(end + 1) as Sku];
}

function member(sku: Sku, location: LocationId): string {
  return `${location}${US}${sku}`;
}
