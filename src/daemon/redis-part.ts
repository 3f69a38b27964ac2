import { join } from 'node:path';
import type { Redis } from 'ioredis';
import type { Logger } from 'pino';
import type { Config } from '../config/configuration.ts';
import type { StockmeshError } from '../domain/errors.ts';
import { checkRedis } from '../ledger/redis-checks.ts';
import {
  addressOf,
  type ConnectionKind,
  connectRedis,
  type RedisTarget,
  waitUntilReady,
} from '../ledger/redis-connection.ts';
import { EmbeddedRedis } from '../ledger/redis-server.ts';
import { type RedisHealth, RedisWatch } from '../ledger/redis-watch.ts';
import type { RedisMetrics } from '../telemetry/metrics.ts';

export interface RedisPart {
  /** Short calls of the ledger and the mesh. */
  readonly commands: Redis;
  /** For the log reader alone: its reads block. */
  readonly blocking: Redis;
  /** For BullMQ. */
  readonly queues: Redis;
  health(): RedisHealth;
  close(): Promise<void>;
}

const readyWithinMs = 30_000;

/** Redis, embedded or of the merchant's own: started, checked, connected; `close` ends it last of all. */
export async function openRedis(
  config: Config,
  log: Logger,
  metrics: RedisMetrics,
  onFailed: (error: StockmeshError) => void,
): Promise<RedisPart> {
  const embedded =
    config.redis.url === undefined ? await startEmbedded(config, log, metrics, onFailed) : undefined;
  const target: RedisTarget =
    embedded === undefined ? externalTarget(config) : { kind: 'socket', path: embedded.socketPath };
  const connections: Redis[] = [];
  const connect = (kind: ConnectionKind): Redis => {
    const redis = connectRedis(target, {
      kind,
      name: `stockmesh:${config.merchant}:${kind}`,
      onError: (error) => log.warn({ err: error, kind }, 'connection to Redis'),
    });
    connections.push(redis);
    return redis;
  };
  try {
    const commands = connect('commands');
    await waitUntilReady(commands, addressOf(target), readyWithinMs);
    const facts = await checkRedis(commands, config.redis.durability);
    log.info({ ...facts, durability: config.redis.durability }, 'Redis is fit for the ledger');
    const watch = startWatch(commands, config, log, metrics);
    return {
      commands,
      blocking: connect('blocking'),
      queues: connect('queues'),
      health: () => watch.health,
      async close() {
        await watch.stop();
        for (const redis of connections) redis.disconnect();
        await embedded?.stop();
      },
    };
  } catch (error) {
    for (const redis of connections) redis.disconnect();
    await embedded?.stop();
    throw error;
  }
}

async function startEmbedded(
  config: Config,
  log: Logger,
  metrics: RedisMetrics,
  onFailed: (error: StockmeshError) => void,
): Promise<EmbeddedRedis> {
  const embedded = new EmbeddedRedis({
    dir: join(config.dataDir, 'redis'),
    serverPath: config.redis.serverPath,
    durability: config.redis.durability,
    log,
    onFailed,
    onRestart: () => metrics.restarts.inc(),
  });
  await embedded.start();
  return embedded;
}

function externalTarget({ redis }: Config): RedisTarget {
  const { url = '', username, password, tls } = redis;
  return { kind: 'url', url, username, password, tls };
}

function startWatch(redis: Redis, config: Config, log: Logger, metrics: RedisMetrics): RedisWatch {
  metrics.up.set(1);
  const watch = new RedisWatch({
    redis,
    durability: config.redis.durability,
    intervalMs: config.schedules.redisCheckMs,
    onChange: (health) => {
      metrics.up.set(health.kind === 'right' ? 1 : 0);
      if (health.kind === 'wrong') {
        metrics.refusals.inc({ setting: String(health.error.fields['setting'] ?? 'version') });
        log.error({ err: health.error }, 'Redis is not fit for the ledger any more: nothing is written');
      } else if (health.kind === 'away') log.error({ err: health.error }, 'Redis does not answer');
      else log.info('Redis is fit for the ledger');
    },
  });
  watch.start();
  return watch;
}
