import type { Redis } from 'ioredis';
import { z } from 'zod';
import type { BundleComponent, Catalogue } from '../domain/catalogue.ts';
import type { Sku } from '../domain/ids.ts';

const version = z.object({
  sinceMs: z.number(),
  /** Empty: from then on it was no bundle. */
  components: z.array(z.object({ sku: z.string(), units: z.number() })),
});
type Version = z.output<typeof version>;
const versions = z.array(version);

const maxVersions = 100;

/** Of what an order's bundle consisted when it was placed. */
export interface BundleBook {
  /** Undefined: the SKU was no bundle then. */
  componentsAt(sku: Sku, placedAtMs: number): readonly BundleComponent[] | undefined;
}

/**
 * Remembers what bundles were made of. An order's cancellation has to give back what the order took, also after the
 * configuration says something else; so each order is read by the definition in force when it was placed.
 */
export class BundleHistory implements BundleBook {
  readonly #redis: Redis;
  readonly #key: string;
  readonly #versions = new Map<Sku, readonly Version[]>();

  constructor(redis: Redis, key: string) {
    this.#redis = redis;
    this.#key = key;
  }

  /**
   * Notes what the catalogue says from `nowMs` on, before any order is read by it. The first definition of a SKU that
   * the ledger never heard of counts for all time; of one that was sold as itself, from now on.
   */
  async update(
    catalogue: Pick<Catalogue, 'bundles' | 'componentsOf'>,
    nowMs: number,
    isKnown: (sku: Sku) => boolean,
  ): Promise<void> {
    for (const [sku, text] of Object.entries(await this.#redis.hgetall(this.#key))) {
      const stored = versions.safeParse(JSON.parse(text));
      if (stored.success) this.#versions.set(sku as Sku, stored.data);
    }
    for (const sku of new Set([...this.#versions.keys(), ...catalogue.bundles()])) {
      const before = this.#versions.get(sku) ?? [];
      const components = (catalogue.componentsOf(sku) ?? []).map((component) => ({ ...component }));
      components.sort((a, b) => (a.sku < b.sku ? -1 : 1));
      if (isSame(before.at(-1)?.components ?? [], components)) continue;
      const sinceMs = before.length === 0 && !isKnown(sku) ? 0 : nowMs;
      const after = [...before, { sinceMs, components }].slice(-maxVersions);
      await this.#redis.hset(this.#key, sku, JSON.stringify(after));
      this.#versions.set(sku, after);
    }
  }

  componentsAt(sku: Sku, placedAtMs: number): readonly BundleComponent[] | undefined {
    const found = this.#versions.get(sku)?.findLast(({ sinceMs }) => sinceMs <= placedAtMs);
    return found === undefined || found.components.length === 0
      ? undefined
      : found.components.map(({ sku: part, units }) => ({ sku: part as Sku, units }));
  }
}

function isSame(left: Version['components'], right: Version['components']): boolean {
  return JSON.stringify(left) === JSON.stringify(right);
}
