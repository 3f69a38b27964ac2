import { Gauge, type Registry } from 'prom-client';
import type { ChannelId } from '../domain/ids.ts';
import type { ChannelView } from './channel-state.ts';
import type { PublishMetrics } from './publish-metrics.ts';

const windowMs = 60_000;

/** How old what is known of a channel is, and whether its backlog grows. Observed by a timer. */
export class FreshnessMetrics {
  readonly #silence: Gauge<'channel'>;
  readonly #age: Gauge<'channel'>;
  readonly #publish: Pick<PublishMetrics, 'backlogSlope'>;
  readonly #samples = new Map<ChannelId, { readonly atMs: number; readonly backlog: number }[]>();

  constructor(registry: Registry, publish: Pick<PublishMetrics, 'backlogSlope'>) {
    const registers = [registry];
    this.#publish = publish;
    this.#silence = new Gauge({
      name: 'stockmesh_channel_push_silence_seconds',
      help: 'Since the newest push of the channel',
      labelNames: ['channel'],
      registers,
    });
    this.#age = new Gauge({
      name: 'stockmesh_channel_data_age_seconds',
      help: 'Since the orders, or counts, of the channel were last read to the end',
      labelNames: ['channel'],
      registers,
    });
  }

  observe(
    channel: ChannelId,
    { backlog, isPublishing }: { readonly backlog: number; readonly isPublishing: boolean },
    view: ChannelView | undefined,
  ): void {
    const nowMs = Date.now();
    // What never was has no age.
    if (view?.lastWebhookAtMs !== undefined)
      this.#silence.set({ channel }, Math.max(0, nowMs - view.lastWebhookAtMs) / 1_000);
    if (view?.lastPollAtMs !== undefined)
      this.#age.set({ channel }, Math.max(0, nowMs - view.lastPollAtMs) / 1_000);
    const kept = isPublishing ? (this.#samples.get(channel) ?? []) : [];
    const samples = [...kept.filter(({ atMs }) => nowMs - atMs <= windowMs), { atMs: nowMs, backlog }];
    this.#samples.set(channel, samples);
    this.#publish.backlogSlope.set({ channel }, slopeOf(samples));
  }
}

/** Least squares, per second; 0 for fewer than three samples. */
export function slopeOf(samples: readonly { readonly atMs: number; readonly backlog: number }[]): number {
  if (samples.length < 3) return 0;
  const meanMs = samples.reduce((sum, { atMs }) => sum + atMs, 0) / samples.length;
  const mean = samples.reduce((sum, { backlog }) => sum + backlog, 0) / samples.length;
  let over = 0;
  let under = 0;
  for (const { atMs, backlog } of samples) {
    over += (atMs - meanMs) * (backlog - mean);
    under += (atMs - meanMs) ** 2;
  }
  return under === 0 ? 0 : (over / under) * 1_000;
}
