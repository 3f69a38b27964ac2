import { Counter, Gauge, type Registry } from 'prom-client';
import type { ChannelId } from '../domain/ids.ts';
import type { AppliedCounts } from './count-sink.ts';

/** How the counts of on-hand authorities fare, per channel. */
export class CountMetrics {
  readonly readings: Counter<'channel' | 'outcome'>;
  readonly age: Gauge<'channel'>;
  readonly #rows: Counter<'channel' | 'outcome'>;
  readonly #ages = new Map<ChannelId, () => number | undefined>();

  constructor(registry: Registry) {
    const registers = [registry];
    this.readings = new Counter({
      name: 'stockmesh_count_readings_total',
      help: 'Readings of a warehouse by how they ended: complete, held, failed',
      labelNames: ['channel', 'outcome'],
      registers,
    });
    this.#rows = new Counter({
      name: 'stockmesh_count_rows_total',
      help: 'Counts and movements of a warehouse by what became of them',
      labelNames: ['channel', 'outcome'],
      registers,
    });
    const ages = this.#ages;
    this.age = new Gauge({
      name: 'stockmesh_count_age_seconds',
      help: 'Time since the last complete reading of the warehouse',
      labelNames: ['channel'],
      registers,
      collect() {
        this.reset();
        for (const [channel, ageMs] of ages) {
          const age = ageMs();
          if (age !== undefined) this.set({ channel }, age / 1_000);
        }
      },
    });
  }

  /** `ageMs` is asked whenever the metrics are; undefined: this daemon does not read the warehouse. */
  watch(channel: ChannelId, ageMs: () => number | undefined): void {
    this.#ages.set(channel, ageMs);
  }

  applied(channel: ChannelId, { counted, changed, stale, again, parked }: AppliedCounts): void {
    const rows = {
      changed,
      unchanged: Math.max(0, counted - changed),
      stale,
      'asked-again': again.length,
      parked,
    };
    for (const [outcome, count] of Object.entries(rows))
      if (count > 0) this.#rows.inc({ channel, outcome }, count);
  }
}
