import { Redis, type RedisOptions } from 'ioredis';
import { afterEach, expect, inject } from 'vitest';

const open = new Set<Redis>();

/**
 * A connection to the run's shared Redis (or to `path`). The test closes it with `quit()` or `disconnect()`:
 * see `failOnLeakedConnections`.
 */
export function connectTestRedis(
  path: string = inject('redisPath'),
  options: Omit<RedisOptions, 'replyMapping'> = {},
): Redis {
  const redis = new Redis(path, { maxRetriesPerRequest: null, retryStrategy: () => 50, ...options });
  // Without a listener ioredis prints each failed reconnect; tests that kill Redis expect them.
  redis.on('error', () => undefined);
  redis.on('end', () => open.delete(redis));
  // A connection that is told to disconnect between two tries of connecting ends without saying so.
  const disconnect = redis.disconnect.bind(redis);
  redis.disconnect = (reconnect = false) => {
    if (!reconnect) open.delete(redis);
    disconnect(reconnect);
  };
  open.add(redis);
  return redis;
}

/** Call once at the top of a test file: an `afterEach` that fails the test which left a connection open. */
export function failOnLeakedConnections(): void {
  afterEach(async () => {
    const leaked = await stillOpen();
    for (const redis of leaked) redis.disconnect();
    open.clear();
    expect(leaked.length, 'connections left open by the test').toBe(0);
  });
}

/** `quit()` ends on a later turn of the loop: give closing connections a moment before judging. */
async function stillOpen(): Promise<readonly Redis[]> {
  for (let turn = 0; turn < 50 && open.size > 0; turn++) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return [...open];
}
