import { Gauge, Histogram, type Registry } from 'prom-client';
import type { ChannelId, ListingId } from '../domain/ids.ts';
import type { ListingBase, ListingState } from '../domain/listing.ts';

export interface ExposureView {
  /** Writes of plain numbers in the last hour. */
  readonly writes: number;
  /** From the reading a write stems from until the platform has applied it: sales of the listing itself in between are erased. */
  readonly p50Ms: number;
  readonly maxMs: number;
  /** What the fastest of these listings would have sold in its window, at its pace then. */
  readonly units: number;
  /** Covers that: `policy.bufferUnits`. */
  readonly recommendedBufferUnits: number;
  /** What was really sold in these windows, known or not when the write was computed, since this process publishes. */
  readonly soldUnits: number;
  /** By so many that may be wrong: readings near an apply that could be before it or after it. */
  readonly doubtfulUnits: number;
}

export class ExposureMetrics {
  readonly windowS: Histogram<'channel'>;
  readonly buffer: Gauge<'channel'>;
  readonly sold: Gauge<'channel'>;

  constructor(registry: Registry) {
    this.windowS = new Histogram({
      name: 'stockmesh_exposure_seconds',
      help: 'Reading behind an absolute write until the platform has applied it: own sales in between are erased',
      labelNames: ['channel'],
      buckets: [0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3_600, 14_400],
      registers: [registry],
    });
    this.buffer = new Gauge({
      name: 'stockmesh_exposure_buffer_units',
      help: 'Buffer that covers what absolute writes of the last hour left exposed',
      labelNames: ['channel'],
      registers: [registry],
    });
    this.sold = new Gauge({
      name: 'stockmesh_exposure_sold_units',
      help: 'Units the platform sold between the reading behind an absolute write and its apply',
      labelNames: ['channel'],
      registers: [registry],
    });
  }
}

export interface ExposureMeterOptions {
  readonly channel: ChannelId;
  /** How long an accepted write takes to show. */
  readonly applyGraceMs: number;
  readonly unitsPerHour: (sku: string, nowMs: number) => number;
  readonly metrics: ExposureMetrics;
}

interface Sample {
  readonly atMs: number;
  readonly windowMs: number;
  readonly units: number;
}

/** Writes that stem from one reading, until a reading shows that the newest of them was applied. */
interface Chain {
  /** The number that was read, and the units taken by then. */
  readonly from: number;
  readonly takenAt: number;
  readonly to: number;
  readonly writeId: string;
  readonly sentAtMs: number;
  /** Reading that was last asked whether it shows the write, without proving it. */
  readonly doubtedAtMs?: number | undefined;
}

type Looked = Pick<ListingState, 'base' | 'taken' | 'openWrites' | 'rises'>;

interface Known {
  readonly base: ListingBase;
  /** Value and units taken at the first settled reading; undefined: there was none yet. */
  readonly opening: number | undefined;
  /** Sum over the writes that were seen applied, of what they took from the number that was read before. */
  readonly lowered: number;
  readonly chain: Chain | undefined;
  readonly soldUnits: number;
}

const hourMs = 3_600_000;
/** TikTok's times are whole seconds. */
const platformStepMs = 1_000;
const maxSamples = 10_000;
const maxLooked = 100_000;

/**
 * What a platform of plain numbers leaves exposed by itself: nobody can see a sale of the listing between the reading a
 * write stems from and the moment it is applied, and the write erases it. Measured per write, at the pace of the SKU.
 *
 * What was really sold in these windows follows from the numbers alone, once a reading shows that a write was applied:
 * orders say what the platform took, readings and writes say how far the number fell by itself, and what is missing
 * was sold between a reading and an apply. No platform says when it applied a write, and none has to.
 */
export class ExposureMeter {
  readonly #options: ExposureMeterOptions;
  readonly #known = new Map<ListingId, Known>();
  #soldUnits = 0;
  #doubtfulUnits = 0;
  #samples: Sample[] = [];
  #toldAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: ExposureMeterOptions) {
    this.#options = options;
  }

  /** Somebody else may have written meanwhile: what is known of the listings ends here. */
  begin(): void {
    this.#known.clear();
  }

  /** The listing was looked at. */
  looked(listingId: ListingId, state: Looked): void {
    const { base, openWrites } = state;
    const before = this.#known.get(listingId);
    if (base === undefined) {
      this.#known.delete(listingId);
      return;
    }
    if (before === undefined && this.#known.size >= maxLooked) return;
    const sum = base.value + base.takenAt;
    const opening = before?.opening ?? (base.settled ? sum : undefined);
    let lowered = before?.lowered ?? 0;
    let chain = before?.chain;
    const isUnproven = openWrites.some(({ writeId }) => writeId === chain?.writeId);
    if (
      chain !== undefined &&
      isUnproven &&
      base.asOfMs > chain.sentAtMs &&
      base.asOfMs !== chain.doubtedAtMs
    ) {
      chain = { ...chain, doubtedAtMs: base.asOfMs };
      this.#doubtfulUnits += Math.abs(base.value - chain.to);
    }
    if (chain !== undefined && isApplied(chain, state)) {
      lowered += chain.from - chain.to;
      chain = undefined;
    }
    const soldBefore = before?.soldUnits ?? 0;
    const soldUnits = chain === undefined && opening !== undefined ? sum - opening + lowered : soldBefore;
    this.#known.set(listingId, { base, opening, lowered, chain, soldUnits });
    if (soldUnits === soldBefore) return;
    this.#soldUnits += soldUnits - soldBefore;
    this.#options.metrics.sold.set({ channel: this.#options.channel }, Math.max(0, this.#soldUnits));
  }

  /** The platform took a write of it. */
  written(
    listingId: ListingId,
    sku: string,
    { writeId, sentAtMs, to }: { readonly writeId: string; readonly sentAtMs: number; readonly to: number },
    nowMs: number,
  ): void {
    const known = this.#known.get(listingId);
    if (known === undefined) return;
    if (known.chain === undefined || sentAtMs >= known.chain.sentAtMs) {
      const { from, takenAt } = known.chain ?? { from: known.base.value, takenAt: known.base.takenAt };
      this.#known.set(listingId, { ...known, chain: { from, takenAt, to, writeId, sentAtMs } });
    }
    const { asOfMs } = known.base;
    const { channel, applyGraceMs, unitsPerHour, metrics } = this.#options;
    const windowMs = Math.max(0, nowMs - asOfMs) + applyGraceMs;
    const units = (unitsPerHour(sku, nowMs) * windowMs) / hourMs;
    if (this.#samples.length >= maxSamples) this.#samples = this.#samples.slice(maxSamples / 2);
    this.#samples.push({ atMs: nowMs, windowMs, units });
    metrics.windowS.observe({ channel }, windowMs / 1_000);
    if (nowMs - this.#toldAtMs < 1_000) return;
    this.#toldAtMs = nowMs;
    metrics.buffer.set({ channel }, bufferFor(this.#mostUnits(nowMs)));
  }

  view(nowMs: number): ExposureView {
    this.#samples = this.#samples.filter(({ atMs }) => nowMs - atMs <= hourMs);
    const windows = this.#samples.map(({ windowMs }) => windowMs).toSorted((a, b) => a - b);
    const units = this.#mostUnits(nowMs);
    return {
      writes: windows.length,
      p50Ms: Math.round(windows[Math.floor(windows.length / 2)] ?? 0),
      maxMs: Math.round(windows.at(-1) ?? 0),
      units: Math.round(units * 1_000) / 1_000,
      recommendedBufferUnits: bufferFor(units),
      soldUnits: Math.max(0, this.#soldUnits),
      doubtfulUnits: this.#doubtfulUnits,
    };
  }

  /** Of the last hour. Once a second under trade: nothing is copied or sorted for it. */
  #mostUnits(nowMs: number): number {
    let most = 0;
    for (const { atMs, units } of this.#samples) if (units > most && nowMs - atMs <= hourMs) most = units;
    return most;
  }
}

function bufferFor(units: number): number {
  return Math.max(0, Math.ceil(units - 1e-9));
}

/**
 * A reading after the newest write of the chain shows the one number or the other, give or take orders that are not known
 * yet: what the write leaves, or, before a late apply, what the listing shows without it. The nearer one is meant; a
 * reading is taken once the apply grace has passed, so of two as near it is the write.
 */
function isApplied(chain: Chain, { base, taken, openWrites, rises }: Looked): boolean {
  const { writeId, from, to, takenAt, sentAtMs } = chain;
  if (base === undefined || !openWrites.some((write) => write.writeId === writeId)) return true;
  if (base.asOfMs <= sentAtMs) return false;
  const since = rises.filter(({ atMs }) => atMs > sentAtMs - platformStepMs).map(({ units }) => units);
  const sold = since.reduce((sum, units) => sum + Math.max(0, units), 0);
  const givenBack = since.reduce((sum, units) => sum + Math.max(0, -units), 0);
  const fromWrite = Math.max(to - sold - base.value, base.value - (to + givenBack), 0);
  const fromBefore = Math.abs(base.value - (from - (taken - takenAt)));
  return fromWrite <= fromBefore;
}
