import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import type { ChannelConfig, Config } from '../config/configuration.ts';
import type { ChannelId } from '../domain/ids.ts';
import type { ChannelStates } from '../mesh/channel-state.ts';
import type { ChannelSettings } from '../mesh/channel.ts';
import { StalenessWatch } from '../mesh/staleness-watch.ts';
import type { ChannelPart } from './channel-part.ts';

export interface StalenessPartOptions {
  readonly config: Config;
  readonly settings: readonly ChannelSettings[];
  readonly states: ChannelStates;
  readonly registry: Registry;
  readonly log: Logger;
  /** Filled while the channels are built. */
  readonly parts: ReadonlyMap<ChannelId, ChannelPart>;
}

/** The watch over old data, with every channel of the configuration as a source and as one who is told. */
export function watchStaleness({
  config,
  settings,
  states,
  registry,
  log,
  parts,
}: StalenessPartOptions): StalenessWatch {
  const watch = new StalenessWatch({
    channels: config.channels.map((channel) => ({
      id: channel.id,
      rule: channel.staleness,
      locations: new Set(
        settings.find(({ id }) => id === channel.id)?.locations.map(({ location }) => location),
      ),
      what: channel.platform === 'wms' ? 'counts' : 'orders',
      everyMs: everyMsOf(channel),
    })),
    view: (channel) => states.view(channel),
    registry,
    log,
  });
  watch.onChanged((channel) => {
    parts
      .get(channel)
      ?.publishing.stalenessChanged()
      .catch((error: unknown) => log.warn({ channel, err: error }, 'the channel is looked at later'));
  });
  watch.start();
  return watch;
}

function everyMsOf(channel: ChannelConfig): number {
  const { intervalMs, fallbackMs } = channel.poll;
  return Math.max(intervalMs, channel.platform === 'wms' ? channel.offPeakIntervalMs : fallbackMs);
}
