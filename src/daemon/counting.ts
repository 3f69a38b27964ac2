import type { Logger } from 'pino';
import type { ChannelConfig, Config } from '../config/configuration.ts';
import type { Connector } from '../connectors/connector.ts';
import type { LocationId, Sku } from '../domain/ids.ts';
import type { ChannelStates } from '../mesh/channel-state.ts';
import type { ChannelSettings } from '../mesh/channel.ts';
import { CountIntake } from '../mesh/count-intake.ts';
import type { CountMetrics } from '../mesh/count-metrics.ts';
import type { OrderSink } from '../mesh/order-sink.ts';
import { isPeak } from '../mesh/peak-hours.ts';
import type { PublishMetrics } from '../mesh/publish-metrics.ts';
import type { LedgerPart } from './ledger-part.ts';

export interface CountingOptions {
  readonly config: Config;
  readonly channel: ChannelConfig;
  readonly settings: ChannelSettings;
  readonly connector: Connector;
  readonly ledger: LedgerPart;
  readonly sink: Pick<OrderSink, 'parkRows'>;
  readonly states: ChannelStates;
  readonly metrics: { readonly counts: CountMetrics; readonly publish: PublishMetrics };
  readonly holder: string;
  readonly log: Logger;
}

/** What reads the channel's counts; undefined: it is no warehouse. */
export function createCounting(options: CountingOptions): CountIntake | undefined {
  const { config, channel, settings, connector, ledger, sink, states, metrics, holder, log } = options;
  if (channel.platform !== 'wms') return undefined;
  const owned = config.locations.filter(({ authority }) => authority === `channel:${channel.id}`);
  const intake = new CountIntake({
    settings,
    owned: new Map(owned.map(({ id, pickLagMs }) => [id, { pickLagMs }])),
    connector,
    ledger: ledger.ledger,
    leases: ledger.publisher,
    mesh: ledger.mesh,
    sink,
    stocked: (location) => stockedAt(ledger, location),
    metrics: metrics.counts,
    onCircuit: (state) =>
      metrics.publish.breakerOpen.set({ channel: channel.id }, state === 'closed' ? 0 : 1),
    log,
    holder,
    nowMs: () => Date.now(),
    skewMs: channel.skewMs,
    isPeak: () => isPeak(channel.peakHours, Date.now()),
    onComplete: () => {
      states.pollSeen(channel.id, Date.now());
      // It let us read everything, whatever it said before.
      states.attentionOver(channel.id);
    },
    onAccessLost: (reason) => states.needsAttention(channel.id, reason),
    poll: {
      peakIntervalMs: channel.poll.intervalMs,
      offPeakIntervalMs: Math.max(channel.poll.intervalMs, channel.offPeakIntervalMs),
    },
  });
  ledger.reader.add({ onEntries: (entries) => intake.onEntries(entries) });
  return intake;
}

function* stockedAt({ projection }: LedgerPart, location: LocationId): Iterable<Sku> {
  for (const sku of projection.skus())
    if ((projection.levelsOf(sku)?.get(location)?.onHand ?? 0) !== 0) yield sku;
}
