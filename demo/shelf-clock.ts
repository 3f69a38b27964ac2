export interface Shelf {
  readonly id: string;
  readonly skus: ReadonlySet<string>;
}

export interface Percentiles {
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
}

/** What the sales elsewhere mean for one SKU of a shelf, in units since the start. */
interface ShelvedSku {
  soldElsewhere: number;
  lowered: number;
  readonly waiting: { total: number; readonly soldAtMs: number }[];
}

interface TimedShelf extends Shelf {
  readonly shelved: Map<string, ShelvedSku>;
  readonly timesMs: number[];
  /** Over all its SKUs: the load asks for it several times a second. */
  waiting: number;
}

/**
 * Times each sale until every other channel that lists the SKU shows it. A sale of `u` units on A raises the total that B
 * has to be lowered by; it is on B's shelf once the lowerings written to B have reached that total. Counting written
 * units, and not comparing levels, keeps B's own sales of the same SKU from looking like the news from A.
 */
export class ShelfClock {
  readonly #shelves: readonly TimedShelf[];
  readonly #untimed: ReadonlySet<string>;

  /** `untimed`: SKUs whose numbers change for other reasons too. */
  constructor(shelves: readonly Shelf[], untimed: ReadonlySet<string> = new Set()) {
    this.#shelves = shelves.map(({ id, skus }) => ({
      id,
      skus,
      shelved: new Map(),
      timesMs: [],
      waiting: 0,
    }));
    this.#untimed = untimed;
  }

  sold(channel: string, sku: string, units: number, atMs: number): void {
    for (const shelf of this.#others(channel, sku)) {
      const shelved = shelvedOf(shelf, sku);
      shelved.soldElsewhere += units;
      shelved.waiting.push({ total: shelved.soldElsewhere, soldAtMs: atMs });
      shelf.waiting += 1;
    }
  }

  /** Units that came back on a channel: the others have that much less to lower. */
  gaveBack(channel: string, sku: string, units: number): void {
    for (const shelf of this.#others(channel, sku)) {
      const shelved = shelvedOf(shelf, sku);
      shelved.soldElsewhere -= units;
      for (const sale of shelved.waiting) sale.total -= units;
    }
  }

  /** `delta`: what a write of ours did to the channel's number (negative for a lowering). */
  written(channel: string, sku: string, delta: number, atMs: number): void {
    if (this.#untimed.has(sku)) return;
    const shelf = this.#shelves.find(({ id }) => id === channel);
    if (shelf === undefined) return;
    const shelved = shelvedOf(shelf, sku);
    shelved.lowered -= delta;
    const { waiting, lowered } = shelved;
    const later = waiting.findIndex((sale) => sale.total > lowered);
    for (const sale of waiting.splice(0, later === -1 ? waiting.length : later)) {
      shelf.timesMs.push(Math.max(0, atMs - sale.soldAtMs));
      shelf.waiting -= 1;
    }
  }

  /** Sales that some channel does not show yet. */
  waiting(channels?: readonly string[]): number {
    return this.#named(channels).reduce((sum, { waiting }) => sum + waiting, 0);
  }

  /** Over the shelves of these channels; absent: of all. */
  percentiles(channels?: readonly string[]): Percentiles {
    const sorted = this.#named(channels)
      .flatMap(({ timesMs }) => timesMs)
      .toSorted((a, b) => a - b);
    const at = (share: number): number => {
      const index = Math.min(sorted.length - 1, Math.ceil(sorted.length * share) - 1);
      return Math.round((sorted[Math.max(0, index)] ?? 0) * 10) / 10;
    };
    return { p50: at(0.5), p95: at(0.95), p99: at(0.99) };
  }

  #named(channels: readonly string[] | undefined): readonly TimedShelf[] {
    return this.#shelves.filter(({ id }) => channels?.includes(id) ?? true);
  }

  #others(channel: string, sku: string): readonly TimedShelf[] {
    if (this.#untimed.has(sku)) return [];
    return this.#shelves.filter(({ id, skus }) => id !== channel && skus.has(sku));
  }
}

function shelvedOf({ shelved }: TimedShelf, sku: string): ShelvedSku {
  const known = shelved.get(sku);
  if (known) return known;
  const made: ShelvedSku = { soldElsewhere: 0, lowered: 0, waiting: [] };
  shelved.set(sku, made);
  return made;
}
