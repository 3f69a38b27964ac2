import { resolve } from 'node:path';
import type { z } from 'zod';
import type { ChannelId, LocationId } from '../domain/ids.ts';
import type { configSchema } from './schema.ts';

type Parsed = z.output<ReturnType<typeof configSchema>>;
type ParsedChannel = Parsed['channels'][number];

export type PolicyConfig = {
  readonly sharePercent: number;
  readonly bufferUnits: number;
  readonly bufferPercent: number;
  readonly capUnits: number | undefined;
  readonly endWhenUnits: number | undefined;
};

/** Each platform's channel by itself, so that `platform` still tells them apart. */
type Completed<Channel> = Channel extends unknown
  ? Readonly<Omit<Channel, 'policy' | 'locations'>> & {
      readonly policy: PolicyConfig;
      /** Platform location id (`*`: every one) -> our locations, in the order in which orders use them. */
      readonly locations: Readonly<Record<string, readonly LocationId[]>>;
    }
  : never;

export type ChannelConfig = Completed<ParsedChannel>;

/** The configuration as the daemon uses it: every default filled in, every reference resolved. */
export type Config = Readonly<Omit<Parsed, 'dataDir' | 'channels'>> & {
  /** Absolute. */
  readonly dataDir: string;
  readonly channels: readonly ChannelConfig[];
};

export type ConfigProblem = { readonly path: string; readonly problem: string };

/** What a platform can show at most: a target above it would never be seen there. */
const mostUnits: Readonly<Partial<Record<ParsedChannel['platform'], number>>> = { tiktok: 99_999 };

/** Fills in what depends on other keys. `directory` is where the configuration file is. */
export function completeConfig(parsed: Parsed, directory: string): Config {
  const only = parsed.locations[0];
  return {
    ...parsed,
    dataDir: resolve(directory, parsed.dataDir ?? `.stockmesh/${parsed.merchant}`),
    channels: parsed.channels.map((channel) => ({
      ...channel,
      policy: {
        sharePercent: channel.policy.sharePercent ?? parsed.policies.default.sharePercent ?? 100,
        bufferUnits: channel.policy.bufferUnits ?? parsed.policies.default.bufferUnits ?? 0,
        bufferPercent: channel.policy.bufferPercent ?? parsed.policies.default.bufferPercent ?? 0,
        capUnits: leastOf(
          channel.policy.capUnits ?? parsed.policies.default.capUnits,
          mostUnits[channel.platform],
        ),
        endWhenUnits: channel.policy.endWhenUnits ?? parsed.policies.default.endWhenUnits,
      },
      locations: channel.locations ?? {
        [everywhereOf(channel)]: only === undefined ? [] : [only.id],
      },
    })),
  };
}

/** Amazon shows its own warehouses as places too: only `DEFAULT` is stock of the merchant's. */
function everywhereOf({ platform }: ParsedChannel): string {
  return platform === 'amazon' ? 'DEFAULT' : '*';
}

/** The account behind a channel, and the key that names it. */
function accountOf(channel: ParsedChannel): { readonly key: string; readonly account: string } {
  // One warehouse may well be read by two channels, a location of ours each.
  if (channel.platform === 'wms') return { key: 'id', account: channel.id };
  return channel.platform === 'amazon'
    ? { key: 'sellerId', account: `${channel.sellerId} ${channel.region}` }
    : { key: 'shop', account: channel.shop };
}

/** What must hold between keys; each problem names the key a person would change. */
export function findConflicts(parsed: Parsed): readonly ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  const say = (path: string, problem: string): void => {
    problems.push({ path, problem });
  };
  const locations = firstUse(parsed.locations, ({ id }) => id);
  const channels = firstUse(parsed.channels, ({ id }) => id);
  const shops = firstUse(parsed.channels, (channel) => `${channel.platform} ${accountOf(channel).account}`);

  parsed.locations.forEach(({ id, authority }, index) => {
    const at = `locations[${index}]`;
    if (locations.get(id) !== index) say(`${at}.id`, `is the id of locations[${locations.get(id)}] too`);
    const owner = authority.startsWith('channel:') ? authority.slice('channel:'.length) : undefined;
    if (owner !== undefined && !channels.has(owner as ChannelId)) {
      say(`${at}.authority`, `names the channel ${owner}, which is not configured`);
    }
  });
  parsed.channels.forEach((channel, index) => {
    const at = `channels[${index}]`;
    const sameId = channels.get(channel.id);
    if (sameId !== index) say(`${at}.id`, `is the id of channels[${sameId}] too`);
    // Two channels of one shop would publish twice and count each of its orders twice.
    const { key, account } = accountOf(channel);
    const sameShop = shops.get(`${channel.platform} ${account}`);
    if (sameShop !== index) say(`${at}.${key}`, `is the ${key} of channels[${sameShop}] too`);
    if (
      channel.platform === 'shopify' &&
      channel.baseUrl === undefined &&
      !channel.shop.endsWith('.myshopify.com')
    ) {
      say(`${at}.shop`, 'must be the NAME.myshopify.com address of the shop, unless baseUrl is set');
    }
    if (channel.platform === 'wms') sayOfWarehouse(parsed, channel, at, say);
    if (channel.locations === undefined && parsed.locations.length > 1) {
      say(`${at}.locations`, 'is needed when there are several locations');
    }
    for (const [place, ours] of Object.entries(channel.locations ?? {})) {
      const unknown = ours.find((id) => !locations.has(id));
      if (unknown !== undefined) say(`${at}.locations["${place}"]`, `names ${unknown}, which is no location`);
    }
  });
  const { public: outside, private: inside } = parsed.http;
  if (outside.port === inside.port && outside.port !== 0) {
    say('http.private.port', 'is the port of http.public too');
  }
  if (parsed.redis.url === undefined) {
    for (const key of ['username', 'password', 'tls'] as const) {
      if (parsed.redis[key] !== undefined)
        say(`redis.${key}`, 'is for a Redis of your own: set redis.url too');
    }
  } else if (parsed.redis.tls !== undefined && !parsed.redis.url.startsWith('rediss:')) {
    say('redis.tls', 'needs a rediss:// address in redis.url');
  }
  return problems;
}

/** A warehouse counts: its channel must own the figures of its locations, each from one place. */
function sayOfWarehouse(
  parsed: Parsed,
  channel: ParsedChannel,
  at: string,
  say: (path: string, problem: string) => void,
): void {
  const authority = `channel:${channel.id}`;
  const ours = Object.values(
    channel.locations ?? { '*': parsed.locations.slice(0, 1).map(({ id }) => id) },
  ).flat();
  for (const id of ours) {
    const found = parsed.locations.find((location) => location.id === id);
    if (found !== undefined && found.authority !== authority) {
      say(`${at}.locations`, `names ${id}, whose authority is ${found.authority}: it must be ${authority}`);
    }
  }
  const twice = ours.find((id, index) => ours.indexOf(id) !== index);
  if (twice !== undefined) {
    say(`${at}.locations`, `has two places for ${twice}: sum them in the mapping, or give each a location`);
  }
}

function leastOf(cap: number | undefined, most: number | undefined): number | undefined {
  return cap === undefined || most === undefined ? (cap ?? most) : Math.min(cap, most);
}

/** Key -> index of its first use. */
function firstUse<Row, Key>(rows: readonly Row[], keyOf: (row: Row) => Key): ReadonlyMap<Key, number> {
  const first = new Map<Key, number>();
  rows.forEach((row, index) => {
    if (!first.has(keyOf(row))) first.set(keyOf(row), index);
  });
  return first;
}
