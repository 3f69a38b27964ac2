import type { FourPlatforms } from '../../demo/emulators/four-platforms.ts';

/** What one listing would show had our writes put nothing back. */
interface Shadow {
  units: number;
  /** Units that really came back elsewhere and may be shown here. */
  mayRise: number;
  readonly ownSales: Dated[];
  /** What writes of ours took from the shelf. */
  readonly lowerings: Dated[];
}

interface Dated {
  readonly atMs: number;
  readonly units: number;
}

export interface Exposure {
  /** The oldest read that a write may stem from, and its apply. */
  readonly exposureMs: number;
  /** How long after a newer write an older one may still land. */
  readonly lateMs: number;
}

export interface PlatformCount {
  /** Units sold that were not there, at listings that only showed them because a write of ours had put them back. */
  oversoldByOwnWrites: number;
  /** Units that writes of ours put back on a shelf although they were sold. */
  putBack: number;
  /** Of these, what an older write put back that landed after a newer lowering: it undoes no more than that one took. */
  landedLate: number;
  /** Of these, more than that and than what the listing itself had sold since the oldest read a write may stem from. */
  beyondExposure: number;
}

/**
 * Sees every sale, every return and every write of a run, and judges the writes. A lowering can cause no oversell. A
 * raise may show what came back elsewhere; whatever it shows beyond that was sold before, which only an absolute write
 * can do: a sale of the listing itself between our read and the apply is erased (the platform's exposure).
 */
export class TrueStock {
  readonly counts = new Map<string, PlatformCount>();
  /** Sold anywhere beyond what was in the house, whatever the reason: two buyers within the same moment too. */
  oversold = 0;
  readonly #left = new Map<string, number>();
  readonly #shadows = new Map<string, Shadow>();
  readonly #platforms: FourPlatforms;
  readonly #exposure: Exposure;

  constructor(platforms: FourPlatforms, stock: ReadonlyMap<string, number>, exposure: Exposure) {
    this.#platforms = platforms;
    this.#exposure = exposure;
    for (const [sku, units] of stock) this.#left.set(sku, units);
    for (const channel of platforms.selling) {
      this.counts.set(channel.platform, {
        oversoldByOwnWrites: 0,
        putBack: 0,
        landedLate: 0,
        beyondExposure: 0,
      });
      for (const sku of channel.skus)
        this.#shadows.set(`${channel.id} ${sku}`, {
          units: channel.shown(sku),
          mayRise: 0,
          ownSales: [],
          lowerings: [],
        });
      channel.onWrite((sku, change) => {
        if (change > 0) this.#raised(channel.id, channel.platform, sku, change);
        else this.#lowered(channel.id, sku, channel.shown(sku), -change);
      });
    }
  }

  left(sku: string): number {
    return this.#left.get(sku) ?? 0;
  }

  sold(channel: string, platform: string, sku: string, units: number): void {
    const shadow = this.#shadow(channel, sku);
    const left = this.left(sku);
    const missing = Math.max(0, units - Math.max(0, left));
    this.oversold += missing;
    const count = this.counts.get(platform);
    if (count !== undefined && missing > 0)
      count.oversoldByOwnWrites += Math.min(missing, Math.max(0, units - Math.max(0, shadow.units)));
    this.#left.set(sku, left - units);
    shadow.units -= units;
    shadow.ownSales.push({ atMs: performance.now(), units });
  }

  cameBack(channel: string, sku: string, units: number): void {
    this.#left.set(sku, this.left(sku) + units);
    this.#shadow(channel, sku).units += units;
    for (const { id, skus } of this.#platforms.selling)
      if (id !== channel && skus.has(sku)) this.#shadow(id, sku).mayRise += units;
  }

  #lowered(channel: string, sku: string, shows: number, units: number): void {
    const shadow = this.#shadow(channel, sku);
    shadow.lowerings.push({ atMs: performance.now(), units });
    shadow.units = Math.min(shadow.units, shows);
  }

  #raised(channel: string, platform: string, sku: string, change: number): void {
    const shadow = this.#shadow(channel, sku);
    // What a lowering took too early (a provisional, a hold) may be shown again as far as it is really there.
    const isThere = Math.max(0, this.left(sku) - Math.max(0, shadow.units));
    const fair = Math.min(change, Math.max(shadow.mayRise, isThere));
    shadow.units += fair;
    shadow.mayRise = Math.max(0, shadow.mayRise - fair);
    const back = change - fair;
    const count = this.counts.get(platform);
    if (count === undefined || back === 0) return;
    const { exposureMs, lateMs } = this.#exposure;
    const exposed = unitsSince(shadow.ownSales, performance.now() - exposureMs);
    const late = Math.min(
      Math.max(0, back - exposed),
      unitsSince(shadow.lowerings, performance.now() - lateMs),
    );
    count.putBack += back;
    count.landedLate += late;
    count.beyondExposure += Math.max(0, back - exposed - late);
  }

  #shadow(channel: string, sku: string): Shadow {
    const found = this.#shadows.get(`${channel} ${sku}`);
    if (found === undefined) throw new Error(`${channel} does not list ${sku}`);
    return found;
  }
}

function unitsSince(changes: readonly Dated[], sinceMs: number): number {
  let units = 0;
  for (const change of changes) if (change.atMs >= sinceMs) units += change.units;
  return units;
}
