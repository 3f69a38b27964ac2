// A daemon reduced to its data directory: locks it, runs the embedded Redis, prints one line of JSON when it serves.
import { join } from 'node:path';
import { pino } from 'pino';
import { exitCodeFor } from '../../src/domain/errors.ts';
import { lockDataDir } from '../../src/ledger/data-dir-lock.ts';
import { EmbeddedRedis } from '../../src/ledger/redis-server.ts';

const dataDir = process.argv[2] ?? '';
const log = pino({ level: 'silent' });

try {
  const lock = await lockDataDir(dataDir, Number(process.argv[3] ?? 500));
  const redis = new EmbeddedRedis({
    dir: join(dataDir, 'redis'),
    durability: 'always',
    log,
    onFailed: (error) => process.exit(exitCodeFor(error)),
  });
  await redis.start();
  // Before the line: who reads it may send the signal at once.
  process.once('SIGTERM', () => {
    void redis.stop().then(() => lock.release());
  });
  console.log(JSON.stringify({ socketPath: redis.socketPath, redisPid: redis.pid }));
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = exitCodeFor(error);
}
