import { join } from 'node:path';
import type { Redis } from 'ioredis';
import type { Logger } from 'pino';
import type { StockmeshError } from '../domain/errors.ts';
import type { Secret } from '../domain/secret.ts';
import type { RedisMetrics } from '../telemetry/metrics.ts';
import { type DataDirLock, lockDataDir } from './data-dir-lock.ts';
import { checkRedis, type Durability, type RedisFacts } from './redis-checks.ts';
import {
  addressOf,
  type ConnectionKind,
  connectRedis,
  type RedisTarget,
  type RedisTls,
  waitUntilReady,
} from './redis-connection.ts';
import { EmbeddedRedis } from './redis-server.ts';
import { type RedisHealth, RedisWatch } from './redis-watch.ts';

export type RedisHostSettings = {
  readonly dataDir: string;
  readonly merchant: string;
  readonly redis: {
    readonly durability: Durability;
    readonly url?: string | undefined;
    readonly username?: string | undefined;
    readonly password?: Secret | undefined;
    readonly tls?: RedisTls | undefined;
    readonly serverPath?: string | undefined;
  };
  readonly checkMs: number;
  readonly log: Logger;
  readonly metrics: RedisMetrics;
  /** The embedded Redis cannot go on without a person: end with the error's exit code. */
  readonly onFailed: (error: StockmeshError) => void;
};

const readyWithinMs = 20_000;

/**
 * The daemon's hold on its Redis, embedded or external: the lock of the data directory, the server if it is ours, the
 * connections made through it, and the repeated checks.
 *
 *   open(): lock -> start (embedded) -> connect -> answers -> checked -> watched     any refusal: all undone, thrown
 *   close(): watch ends -> connections -> server -> lock
 */
export class RedisHost {
  readonly facts: RedisFacts;
  /** The connection the checks use; shared by short commands. */
  readonly commands: Redis;
  readonly #settings: RedisHostSettings;
  readonly #lock: DataDirLock;
  readonly #embedded: EmbeddedRedis | undefined;
  readonly #target: RedisTarget;
  readonly #connections: Redis[];
  readonly #watch: RedisWatch;

  static async open(settings: RedisHostSettings): Promise<RedisHost> {
    const { dataDir, redis, merchant, log, metrics } = settings;
    const lock = await lockDataDir(dataDir);
    const embedded = redis.url === undefined ? embeddedRedis(settings) : undefined;
    let commands: Redis | undefined;
    try {
      await embedded?.start();
      const target = targetOf(settings, embedded);
      commands = connectRedis(target, { kind: 'commands', name: `stockmesh:${merchant}:commands` });
      await waitUntilReady(commands, addressOf(target), readyWithinMs);
      const facts = await checkRedis(commands, redis.durability);
      log.info({ ...facts, address: addressOf(target), durability: redis.durability }, 'Redis is right');
      metrics.up.set(1);
      return new RedisHost(settings, { lock, embedded, target, commands, facts });
    } catch (error) {
      commands?.disconnect();
      await embedded?.stop();
      lock.release();
      throw error;
    }
  }

  private constructor(
    settings: RedisHostSettings,
    opened: {
      readonly lock: DataDirLock;
      readonly embedded: EmbeddedRedis | undefined;
      readonly target: RedisTarget;
      readonly commands: Redis;
      readonly facts: RedisFacts;
    },
  ) {
    this.#settings = settings;
    this.#lock = opened.lock;
    this.#embedded = opened.embedded;
    this.#target = opened.target;
    this.facts = opened.facts;
    this.commands = opened.commands;
    this.#connections = [opened.commands];
    this.#watch = new RedisWatch({
      redis: opened.commands,
      durability: settings.redis.durability,
      intervalMs: settings.checkMs,
      onChange: (health) => this.#report(health),
      onChecked: (tookMs) => settings.metrics.checkSeconds.observe(tookMs / 1_000),
    });
    this.#watch.start();
  }

  get health(): RedisHealth {
    return this.#watch.health;
  }

  /** For messages; without credentials. */
  get address(): string {
    return addressOf(this.#target);
  }

  /** A further connection; `close()` ends it. BullMQ does not close what it was given, so it gets its own from here. */
  connect(kind: ConnectionKind, label: string = kind): Redis {
    const name = `stockmesh:${this.#settings.merchant}:${label}`;
    const connection = connectRedis(this.#target, {
      kind,
      name,
      onError: (error) => this.#note(error, label),
    });
    this.#connections.push(connection);
    return connection;
  }

  async close(): Promise<void> {
    await this.#watch.stop();
    for (const connection of this.#connections) connection.disconnect();
    await this.#embedded?.stop();
    this.#lock.release();
  }

  #report(health: RedisHealth): void {
    const { log, metrics } = this.#settings;
    metrics.up.set(health.kind === 'right' ? 1 : 0);
    if (health.kind === 'right') log.info('Redis is right');
    if (health.kind === 'right' || health.kind === 'unchecked') return;
    const setting = String(health.error.fields['setting'] ?? health.error.code);
    if (health.kind === 'wrong') metrics.refusals.inc({ setting });
    log.error(
      { err: health.error },
      health.kind === 'wrong' ? 'Redis would lose data' : 'Redis does not answer',
    );
  }

  #note(error: Error, connection: string): void {
    this.#settings.log.debug({ err: error, connection }, 'connection to Redis lost');
  }
}

function embeddedRedis({ dataDir, redis, log, metrics, onFailed }: RedisHostSettings): EmbeddedRedis {
  return new EmbeddedRedis({
    dir: join(dataDir, 'redis'),
    serverPath: redis.serverPath,
    durability: redis.durability,
    log,
    onFailed,
    onRestart: () => metrics.restarts.inc(),
  });
}

function targetOf({ redis }: RedisHostSettings, embedded: EmbeddedRedis | undefined): RedisTarget {
  if (embedded !== undefined) return { kind: 'socket', path: embedded.socketPath };
  const { url = '', username, password, tls } = redis;
  return { kind: 'url', url, username, password, tls };
}
