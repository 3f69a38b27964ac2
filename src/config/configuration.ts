import { resolve } from 'node:path';
import type { z } from 'zod';
import type { ChannelId, LocationId } from '../domain/ids.ts';
import { conflictsOfBook } from '../domain/policy-book.ts';
import { findCatalogueConflicts, findHiddenPatterns } from './catalogue.ts';
import { isLoopbackHost } from './fields.ts';
import { policyLayers } from './policy-layers.ts';
import { type configSchema, daemonRoles } from './schema.ts';

type Parsed = z.output<ReturnType<typeof configSchema>>;
type ParsedChannel = Parsed['channels'][number];

/** Each platform's channel by itself, so that `platform` still tells them apart. */
type Completed<Channel> = Channel extends unknown
  ? Readonly<Omit<Channel, 'locations'>> & {
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

/** Fills in what depends on other keys. `directory` is where the configuration file is. */
export function completeConfig(parsed: Parsed, directory: string): Config {
  const only = parsed.locations[0];
  return {
    ...parsed,
    dataDir: resolve(directory, parsed.dataDir ?? `.stockmesh/${parsed.merchant}`),
    channels: parsed.channels.map((channel) => ({
      ...channel,
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
    // Said once, however many channels it concerns.
    if (problems.some((known) => known.path === path && known.problem === problem)) return;
    problems.push({ path, problem });
  };
  const locations = firstUse(parsed.locations, ({ id }) => id);
  const channels = firstUse(parsed.channels, ({ id }) => id);
  if (parsed.reports.mailTo.length > 0 && parsed.alerts.mail === undefined)
    say('reports.mailTo', 'needs a mail server: alerts.mail is not configured');
  parsed.reports.tiers.forEach((tier, index) => {
    if (!channels.has(tier))
      say(`reports.tiers[${index}]`, `names the channel ${tier}, which is not configured`);
  });
  const shops = firstUse(parsed.channels, (channel) => `${channel.platform} ${accountOf(channel).account}`);

  parsed.locations.forEach(({ id, authority }, index) => {
    const at = `locations[${index}]`;
    if (locations.get(id) !== index) say(`${at}.id`, `is the id of locations[${locations.get(id)}] too`);
    const owner = authority.startsWith('channel:') ? authority.slice('channel:'.length) : undefined;
    if (owner !== undefined && !channels.has(owner as ChannelId)) {
      say(`${at}.authority`, `names the channel ${owner}, which is not configured`);
    } else if (owner !== undefined) sayOfOwner(parsed, id, owner, at, say);
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
    const layers = policyLayers(parsed, channel, index);
    for (const { path, problem } of conflictsOfBook(layers)) say(path, problem);
    findHiddenPatterns(
      channel.rules.map(({ skus }) => skus),
      `${at}.rules`,
      say,
    );
    for (const [theirs, ours] of Object.entries(channel.aliases)) {
      // One step only: what a chain would mean depends on who reads it.
      if (ours !== theirs && Object.hasOwn(channel.aliases, ours)) {
        say(`${at}.aliases[${JSON.stringify(theirs)}]`, `names ${ours}, which is an alias itself`);
      }
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
  sayOfRoles(parsed, say);
  findCatalogueConflicts(parsed.catalogue, say);
  const { skusFrom } = parsed.catalogue;
  if (skusFrom !== undefined) {
    const source = parsed.channels.find(({ id }) => id === skusFrom);
    if (source === undefined)
      say('catalogue.skusFrom', `names the channel ${skusFrom}, which is not configured`);
    else if (source.platform === 'wms')
      say('catalogue.skusFrom', `names ${skusFrom}, which is a warehouse: it has no listings`);
  }
  const { public: outside, private: inside } = parsed.http;
  if (!isLoopbackHost(inside.host) && inside.tls === undefined && !inside.allowPlainHttp) {
    say(
      'http.private.host',
      'is not this machine: set http.private.tls, or allowPlainHttp where a proxy has it',
    );
  }
  parsed.reservations.locations?.forEach((id, index) => {
    if (!locations.has(id)) say(`reservations.locations[${index}]`, `names ${id}, which is no location`);
  });
  for (const [name, stage] of Object.entries(parsed.reservations.stages)) {
    if (stage.defaultTtlMs > stage.maxTtlMs)
      say(`reservations.stages.${name}.defaultTtlMs`, 'is more than maxTtlMs');
  }
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

function sayOfRoles({ roles, redis }: Parsed, say: (path: string, problem: string) => void): void {
  const twice = roles.find((role, index) => roles.indexOf(role) !== index);
  if (twice !== undefined) say('roles', `names ${twice} twice`);
  if (roles.includes('reconcile') && !roles.includes('publish'))
    say('roles', 'has reconcile without publish: a channel is compared where it is published');
  const missing = daemonRoles.filter((role) => !roles.includes(role));
  if (missing.length > 0 && redis.url === undefined)
    say('roles', `lacks ${missing.join(', ')}: without redis.url no other daemon can do it`);
}

/** Whoever owns a figure has to count it, or the location never has one. */
function sayOfOwner(
  parsed: Parsed,
  location: LocationId,
  owner: string,
  at: string,
  say: (path: string, problem: string) => void,
): void {
  const channel = parsed.channels.find(({ id }) => id === owner);
  if (channel === undefined) return;
  if (channel.platform !== 'wms') {
    say(`${at}.authority`, `names ${owner}, which is no warehouse (platform: wms): only those own figures`);
  } else if (channel.locations !== undefined && !Object.values(channel.locations).flat().includes(location)) {
    say(`${at}.authority`, `names ${owner}, whose locations do not have ${location}`);
  }
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

/** Key -> index of its first use. */
function firstUse<Row, Key>(rows: readonly Row[], keyOf: (row: Row) => Key): ReadonlyMap<Key, number> {
  const first = new Map<Key, number>();
  rows.forEach((row, index) => {
    if (!first.has(keyOf(row))) first.set(keyOf(row), index);
  });
  return first;
}
