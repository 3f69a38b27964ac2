import type { TestProject } from 'vitest/node';
import { startPrivateRedis } from './redis.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** Unix socket of the run's shared redis-server. It keeps nothing; isolate by `uniqueMerchant()`. */
    redisPath: string;
  }
}

/** One redis-server per run: a unix socket in a directory of its own, so that runs never meet on a port. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const redis = await startPrivateRedis({ appendonly: false });
  project.provide('redisPath', redis.path);
  return () => redis.stop();
}
