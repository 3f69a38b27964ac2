import type { ChannelId, LocationId, Sku } from '../domain/ids.ts';
import type { AllowedLocation, OrderRouting } from '../ledger/contract.ts';

/** `off`: nothing; `observe`: orders in, nothing written; `dry-run`: writes computed and shown; `live`: written. */
export const channelModes = ['off', 'observe', 'dry-run', 'live'] as const;
export type ChannelMode = (typeof channelModes)[number];

export interface ChannelLocation {
  readonly location: LocationId;
  /** The platform's id of the place; `*`: every place the platform names. */
  readonly platformLocationId: string;
  readonly wmsOwned: boolean;
}

/**
 * What happens to an order by the app or surface it came from. `import`: an app copied it here from another channel,
 * so it commits nothing (the platform still took the units from its listing). `sale`: it is an order like any other.
 */
export type SourceRule = 'sale' | 'import';

export interface ChannelSettings {
  readonly id: ChannelId;
  readonly platform: string;
  /** As of now: an operator may change it while the daemon runs. */
  readonly mode: ChannelMode;
  /** In the order in which orders without a location use them. */
  readonly locations: readonly ChannelLocation[];
  /** By the platform's source name, exactly as it spells it. */
  readonly sourceRules: ReadonlyMap<string, SourceRule>;
  /** What the opening figure of a level contained when the channel was connected. */
  readonly openingFigure: 'on-hand' | 'available';
  /** Platform SKU -> our SKU, where they differ; everything else maps by exact text. */
  readonly aliases: ReadonlyMap<string, Sku>;
}

/** Our locations behind one place of the platform, in the channel's order. */
export function locationsAt(
  settings: ChannelSettings,
  platformLocationId: string,
): readonly ChannelLocation[] {
  const exact = settings.locations.filter((place) => place.platformLocationId === platformLocationId);
  return exact.length > 0 ? exact : settings.locations.filter((place) => place.platformLocationId === '*');
}

export function routingOf(
  settings: ChannelSettings,
  listingKind: OrderRouting['listingKind'],
  actor: string,
): OrderRouting {
  const locations = new Map<LocationId, AllowedLocation>();
  for (const place of settings.locations) {
    if (!locations.has(place.location))
      locations.set(place.location, { location: place.location, wmsOwned: place.wmsOwned });
  }
  return { locations: [...locations.values()], listingKind, actor };
}
