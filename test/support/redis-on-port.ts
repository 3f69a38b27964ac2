import { freePort } from './free-port.ts';
import { type PrivateRedis, type PrivateRedisOptions, startPrivateRedis } from './redis.ts';

const maxTries = 5;

/**
 * A private server that listens on a TCP port too. A port that was free may be taken by the time redis-server binds it,
 * which then ends at once: another port is tried.
 */
export async function startPrivateRedisOnPort(
  optionsFor: (port: number) => PrivateRedisOptions,
): Promise<{ readonly server: PrivateRedis; readonly port: number }> {
  for (let tries = 1; ; tries++) {
    const port = await freePort();
    try {
      return { server: await startPrivateRedis(optionsFor(port)), port };
    } catch (error) {
      if (tries === maxTries || !String(error).includes('redis-server ended at once')) throw error;
    }
  }
}
