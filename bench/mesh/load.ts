import { setTimeout as delay } from 'node:timers/promises';
import type { FourPlatforms } from '../../demo/emulators/four-platforms.ts';
import type { WantedLine } from '../../demo/selling-channel.ts';
import { type Percentiles, ShelfClock } from '../../demo/shelf-clock.ts';

export interface LoadResult {
  readonly orders: number;
  readonly lines: number;
  readonly all: Percentiles;
  readonly byChannel: ReadonlyMap<string, Percentiles>;
  /** Line changes that did not reach another channel before the end of the wait. */
  readonly lost: number;
  /** Change of the number of waiting line changes per second, over the second half of the load. */
  readonly backlogSlopePerS: number;
  readonly cpuMsPerOrder: number;
}

/** Listens for writes from the beginning, over all loads of a setting. */
export class Shelves {
  clock: ShelfClock;
  /** Writes that changed nothing. */
  unchangingWrites = 0;
  writes = 0;
  lastWriteMs = 0;
  readonly sold = new Map<string, number>();
  readonly #platforms: FourPlatforms;

  constructor(platforms: FourPlatforms) {
    this.#platforms = platforms;
    this.clock = new ShelfClock(platforms.selling);
    for (const channel of platforms.selling)
      channel.onWrite((sku, change) => {
        this.writes++;
        this.lastWriteMs = performance.now();
        if (change === 0) this.unchangingWrites++;
        this.clock.written(channel.id, sku, change, this.lastWriteMs);
      });
  }

  /** A clock without the past: call it only when nothing waits. */
  begin(): void {
    this.clock = new ShelfClock(this.#platforms.selling);
  }

  buy(channelIndex: number, lines: readonly WantedLine[]): number {
    const { selling } = this.#platforms;
    const channel = selling[channelIndex % selling.length];
    if (channel === undefined) return 0;
    const { sales } = channel.buy(lines);
    const atMs = performance.now();
    for (const { sku, units } of sales) {
      this.clock.sold(channel.id, sku, units, atMs);
      this.sold.set(sku, (this.sold.get(sku) ?? 0) + units);
    }
    return sales.length;
  }

  async quiet(withinMs: number): Promise<number> {
    const untilMs = performance.now() + withinMs;
    while (this.clock.waiting() > 0 && performance.now() < untilMs) await delay(20);
    return this.clock.waiting();
  }
}

export async function runLoad(
  shelves: Shelves,
  channels: readonly string[],
  baskets: readonly (readonly WantedLine[])[],
  ordersPerS: number,
  durationMs: number,
  cpuS: () => number,
  /** How long what is on its way may take after the last order. */
  quietMs: number,
): Promise<LoadResult> {
  shelves.begin();
  const cpuBefore = cpuS();
  const startedMs = performance.now();
  const total = Math.round((ordersPerS * durationMs) / 1000);
  const samples: { readonly atS: number; readonly waiting: number }[] = [];
  const sampler = setInterval(
    () => samples.push({ atS: (performance.now() - startedMs) / 1000, waiting: shelves.clock.waiting() }),
    200,
  );
  let lines = 0;
  for (let n = 0; n < total; n++) {
    const waitMs = startedMs + (n * 1000) / ordersPerS - performance.now();
    if (waitMs > 0) await delay(waitMs);
    lines += shelves.buy(n, baskets[n % baskets.length] ?? []);
  }
  clearInterval(sampler);
  const lost = await shelves.quiet(quietMs);
  return {
    orders: total,
    lines,
    all: shelves.clock.percentiles(),
    byChannel: new Map(channels.map((id) => [id, shelves.clock.percentiles([id])])),
    lost,
    backlogSlopePerS: slopeOf(samples.slice(Math.floor(samples.length / 2))),
    cpuMsPerOrder: ((cpuS() - cpuBefore) * 1000) / total,
  };
}

/** Least squares. */
function slopeOf(samples: readonly { readonly atS: number; readonly waiting: number }[]): number {
  const count = samples.length;
  if (count < 2) return 0;
  const meanX = samples.reduce((sum, { atS }) => sum + atS, 0) / count;
  const meanY = samples.reduce((sum, { waiting }) => sum + waiting, 0) / count;
  let above = 0;
  let below = 0;
  for (const { atS, waiting } of samples) {
    above += (atS - meanX) * (waiting - meanY);
    below += (atS - meanX) ** 2;
  }
  return below === 0 ? 0 : above / below;
}
