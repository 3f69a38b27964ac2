import { Gauge, type Registry } from 'prom-client';
import type { Logger } from 'pino';
import type { ChannelId, LocationId } from '../domain/ids.ts';
import { type DataAge, type Staleness, type StalenessRule, fresh, stalenessOf } from '../domain/staleness.ts';
import type { ChannelView } from './channel-state.ts';

export interface StalenessChannel {
  readonly id: ChannelId;
  readonly rule: StalenessRule;
  /** Whose stock it shows, or counts. */
  readonly locations: ReadonlySet<LocationId>;
  readonly what: DataAge['what'];
  readonly everyMs: number;
}

export interface StalenessWatchOptions {
  readonly channels: readonly StalenessChannel[];
  readonly view: (channel: ChannelId) => ChannelView | undefined;
  readonly registry: Registry;
  readonly log: Logger;
  readonly nowMs?: (() => number) | undefined;
  readonly lookEveryMs?: number | undefined;
}

const lookEveryMs = 2_000;

/**
 * Tells each channel whether what its stock is made from is old: its own orders, those of every channel that sells from
 * the same locations, and the counts of the warehouses that own them.
 *
 *   fresh --a source was not read to the end for too long--> stale --every source was--> fresh
 *
 * A source that was never read makes nothing old: there is no stock of it yet.
 */
export class StalenessWatch {
  readonly #options: StalenessWatchOptions;
  readonly #now = new Map<ChannelId, Staleness>();
  readonly #listeners = new Set<(channel: ChannelId, staleness: Staleness) => void>();
  readonly #gauge: Gauge<'channel'>;
  readonly #nowMs: () => number;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: StalenessWatchOptions) {
    this.#options = options;
    this.#nowMs = options.nowMs ?? Date.now;
    this.#gauge = new Gauge({
      name: 'stockmesh_channel_stale',
      help: '1 while what the stock of the channel is made from is old (policy of staleness)',
      labelNames: ['channel'],
      registers: [options.registry],
    });
  }

  start(): void {
    this.look();
    this.#timer ??= setInterval(() => this.look(), this.#options.lookEveryMs ?? lookEveryMs);
  }

  close(): void {
    clearInterval(this.#timer);
  }

  of(channel: ChannelId): Staleness {
    return this.#now.get(channel) ?? fresh;
  }

  /** Told when a channel becomes stale or fresh. It must not throw. */
  onChanged(listener: (channel: ChannelId, staleness: Staleness) => void): void {
    this.#listeners.add(listener);
  }

  look(): void {
    const { channels, log } = this.#options;
    for (const channel of channels) {
      const before = this.of(channel.id);
      const staleness = stalenessOf(channel.rule, this.#agesFor(channel));
      this.#now.set(channel.id, staleness);
      this.#gauge.set({ channel: channel.id }, staleness.kind === 'stale' ? 1 : 0);
      if (staleness.kind === before.kind) continue;
      if (staleness.kind === 'stale') {
        const { because, stopsRaises, bufferUnits } = staleness;
        log.warn(
          { channel: channel.id, ...because, stopsRaises, bufferUnits },
          'what the stock of the channel is made from is old',
        );
      } else log.info({ channel: channel.id }, 'what the stock of the channel is made from is fresh again');
      for (const listener of this.#listeners) listener(channel.id, staleness);
    }
  }

  #agesFor({ locations }: StalenessChannel): readonly DataAge[] {
    const nowMs = this.#nowMs();
    return this.#options.channels.flatMap((source): DataAge[] => {
      const view = this.#options.view(source.id);
      const isOff = view === undefined || view.mode === 'off' || view.lastPollAtMs === undefined;
      if (isOff || ![...source.locations].some((location) => locations.has(location))) return [];
      const ageMs = Math.max(0, nowMs - (view.lastPollAtMs ?? nowMs));
      return [{ source: source.id, what: source.what, ageMs, everyMs: source.everyMs }];
    });
  }
}

/** As a person reads it. */
export function stalenessText({ source, what, ageMs }: DataAge): string {
  return `the ${what} of ${source} were last read to the end ${Math.round(ageMs / 60_000)} min ago`;
}
