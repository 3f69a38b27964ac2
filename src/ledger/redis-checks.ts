import type { Redis } from 'ioredis';
import { StockmeshError } from '../domain/errors.ts';
import { isAccessError } from './redis-connection.ts';

export type Durability = 'always' | 'everysec';

export type RedisFacts = {
  readonly server: 'Redis' | 'Valkey';
  readonly version: string;
  /** `info`: the user may not read CONFIG, so the rest was taken from INFO. */
  readonly readFrom: 'config' | 'info';
};

type Settings = ReadonlyMap<string, string>;

const checkedSettings = [
  'appendonly',
  'appendfsync',
  'no-appendfsync-on-rewrite',
  'maxmemory-policy',
] as const;

/**
 * Throws unless this Redis keeps what it acknowledged: REDIS_VERSION_UNSUPPORTED, REDIS_SETTING_WRONG,
 * REDIS_SETTING_UNKNOWN, REDIS_ACCESS_DENIED. These are refusals, not warnings: with eviction on, or without the
 * append-only file, the ledger would lose movements silently.
 */
export async function checkRedis(redis: Redis, durability: Durability): Promise<RedisFacts> {
  const info = parseInfo(await readInfo(redis));
  const isValkey = info.has('valkey_version') || info.get('server_name') === 'valkey';
  const server = isValkey ? 'Valkey' : 'Redis';
  const version = info.get('valkey_version') ?? info.get('redis_version') ?? 'unknown';
  if (!isVersionSupported(version, isValkey && info.has('valkey_version') ? [7, 2] : [7, 0])) {
    throw new StockmeshError('REDIS_VERSION_UNSUPPORTED', { found: `${server} ${version}` });
  }
  const config = await readConfig(redis);
  if (config === undefined) {
    checkByInfo(info, durability);
    return { server, version, readFrom: 'info' };
  }
  checkByConfig(config, durability);
  return { server, version, readFrom: 'config' };
}

function checkByConfig(config: Settings, durability: Durability): void {
  for (const setting of checkedSettings) {
    if (!config.has(setting)) throw new StockmeshError('REDIS_SETTING_UNKNOWN', { setting });
  }
  need(config, 'appendonly', ['yes']);
  need(config, 'appendfsync', durability === 'always' ? ['always'] : ['always', 'everysec']);
  // `yes` stops the fsyncs for as long as a rewrite runs, whatever appendfsync says.
  need(config, 'no-appendfsync-on-rewrite', ['no']);
  need(config, 'maxmemory-policy', ['noeviction']);
}

/**
 * INFO tells whether there is an append-only file and what is evicted, but not when the file is flushed. For
 * `everysec`, Redis's own default, that is enough; the promise of `always` may not rest on a guess.
 */
function checkByInfo(info: Settings, durability: Durability): void {
  const known = new Map<string, string>();
  const aof = info.get('aof_enabled');
  if (aof !== undefined) known.set('appendonly', aof === '1' ? 'yes' : 'no');
  const policy = info.get('maxmemory_policy');
  if (policy !== undefined) known.set('maxmemory-policy', policy);
  for (const [setting, needed] of [
    ['appendonly', 'yes'],
    ['maxmemory-policy', 'noeviction'],
  ] as const) {
    if (!known.has(setting)) throw new StockmeshError('REDIS_SETTING_UNKNOWN', { setting });
    need(known, setting, [needed]);
  }
  if (durability === 'always') throw new StockmeshError('REDIS_SETTING_UNKNOWN', { setting: 'appendfsync' });
}

function need(settings: Settings, setting: string, allowed: readonly string[]): void {
  const found = settings.get(setting) ?? 'unknown';
  if (allowed.includes(found)) return;
  throw new StockmeshError('REDIS_SETTING_WRONG', { setting, found, needed: allowed.join(' or ') });
}

async function readInfo(redis: Redis): Promise<string> {
  try {
    return await redis.info();
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    if (error.message.startsWith('NOPERM')) {
      throw new StockmeshError('REDIS_SETTING_UNKNOWN', { setting: 'version' }, { cause: error });
    }
    if (isAccessError(error)) {
      const fields = { address: 'the ledger', reason: error.message.split(' ', 1)[0] ?? '' };
      throw new StockmeshError('REDIS_ACCESS_DENIED', fields, { cause: error });
    }
    throw new StockmeshError(
      'REDIS_UNAVAILABLE',
      { address: 'the ledger', reason: error.message },
      { cause: error },
    );
  }
}

/** Undefined when the user may not, or a hosted Redis has no such command. */
async function readConfig(redis: Redis): Promise<Settings | undefined> {
  let reply: unknown;
  try {
    reply = await redis.call('CONFIG', 'GET', ...checkedSettings);
  } catch (error) {
    if (error instanceof Error && /^(?:NOPERM|ERR unknown command)/i.test(error.message)) return undefined;
    const reason = error instanceof Error ? error.message : String(error);
    throw new StockmeshError('REDIS_UNAVAILABLE', { address: 'the ledger', reason }, { cause: error });
  }
  const flat = Array.isArray(reply) ? reply.flat() : Object.entries(reply ?? {}).flat();
  const settings = new Map<string, string>();
  for (let index = 0; index + 1 < flat.length; index += 2) {
    settings.set(String(flat[index]), String(flat[index + 1]));
  }
  return settings;
}

export function parseInfo(text: string): Settings {
  const fields = new Map<string, string>();
  for (const line of text.split(/\r?\n/)) {
    const colon = line.indexOf(':');
    if (colon > 0 && !line.startsWith('#')) fields.set(line.slice(0, colon), line.slice(colon + 1));
  }
  return fields;
}

function isVersionSupported(version: string, [neededMajor, neededMinor]: readonly [number, number]): boolean {
  const [major, minor] = version.split('.').map(Number);
  if (major === undefined || minor === undefined || Number.isNaN(major) || Number.isNaN(minor)) return false;
  return major > neededMajor || (major === neededMajor && minor >= neededMinor);
}
