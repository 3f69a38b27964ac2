import { Gauge, Histogram, type Registry } from 'prom-client';
import type { ChannelId, ListingId } from '../domain/ids.ts';

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
}

export class ExposureMetrics {
  readonly windowS: Histogram<'channel'>;
  readonly buffer: Gauge<'channel'>;

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

const hourMs = 3_600_000;
const maxSamples = 10_000;
const maxLooked = 100_000;

/**
 * What a platform of plain numbers leaves exposed by itself: nobody can see a sale of the listing between the reading a
 * write stems from and the moment it is applied, and the write erases it. Measured per write, at the pace of the SKU.
 */
export class ExposureMeter {
  readonly #options: ExposureMeterOptions;
  readonly #asOfMs = new Map<ListingId, number>();
  #samples: Sample[] = [];
  #toldAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: ExposureMeterOptions) {
    this.#options = options;
  }

  /** The listing was looked at, and what is known of it is true for that moment (ledger clock). */
  looked(listingId: ListingId, asOfMs: number | undefined): void {
    if (asOfMs === undefined) return;
    if (!this.#asOfMs.has(listingId) && this.#asOfMs.size >= maxLooked) return;
    this.#asOfMs.set(listingId, asOfMs);
  }

  written(listingId: ListingId, sku: string, nowMs: number): void {
    const asOfMs = this.#asOfMs.get(listingId);
    if (asOfMs === undefined) return;
    const { channel, applyGraceMs, unitsPerHour, metrics } = this.#options;
    const windowMs = Math.max(0, nowMs - asOfMs) + applyGraceMs;
    const units = (unitsPerHour(sku, nowMs) * windowMs) / hourMs;
    if (this.#samples.length >= maxSamples) this.#samples = this.#samples.slice(maxSamples / 2);
    this.#samples.push({ atMs: nowMs, windowMs, units });
    metrics.windowS.observe({ channel }, windowMs / 1_000);
    if (nowMs - this.#toldAtMs < 1_000) return;
    this.#toldAtMs = nowMs;
    metrics.buffer.set({ channel }, this.view(nowMs).recommendedBufferUnits);
  }

  view(nowMs: number): ExposureView {
    this.#samples = this.#samples.filter(({ atMs }) => nowMs - atMs <= hourMs);
    const windows = this.#samples.map(({ windowMs }) => windowMs).toSorted((a, b) => a - b);
    const units = this.#samples.reduce((most, sample) => Math.max(most, sample.units), 0);
    return {
      writes: windows.length,
      p50Ms: Math.round(windows[Math.floor(windows.length / 2)] ?? 0),
      maxMs: Math.round(windows.at(-1) ?? 0),
      units: Math.round(units * 1_000) / 1_000,
      recommendedBufferUnits: Math.max(0, Math.ceil(units - 1e-9)),
    };
  }
}
