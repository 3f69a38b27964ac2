import type { ChannelConfig, Config } from '../config/configuration.ts';
import type { LocationId, Sku } from '../domain/ids.ts';
import type { ChannelLocation, ChannelSettings } from '../mesh/channel.ts';
import type { ChannelModes } from '../mesh/channel-modes.ts';

/** A channel of the configuration in the mesh's words. */
export function channelSettings(
  config: Config,
  channel: ChannelConfig,
  modes: Pick<ChannelModes, 'of'>,
): ChannelSettings {
  const wmsOwned = new Set(config.locations.filter(isWmsOwned).map(({ id }) => id));
  return {
    id: channel.id,
    platform: channel.platform,
    get mode() {
      return modes.of(channel.id);
    },
    locations: Object.entries(channel.locations).flatMap(([platformLocationId, ours]) =>
      ours.map((location): ChannelLocation => ({
        location,
        platformLocationId,
        wmsOwned: wmsOwned.has(location),
      })),
    ),
    sourceRules: new Map(Object.entries(channel.sourceRules)),
    openingFigure: channel.openingFigure,
    aliases: new Map(Object.entries(channel.aliases).map(([theirs, ours]) => [theirs, ours as Sku])),
  };
}

/** Locations whose on-hand figure is the ledger's own. */
export function ownLocations(config: Config): ReadonlySet<LocationId> {
  return new Set(config.locations.filter((location) => !isWmsOwned(location)).map(({ id }) => id));
}

function isWmsOwned({ authority }: Config['locations'][number]): boolean {
  return authority !== 'ledger';
}
