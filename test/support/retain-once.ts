import { LedgerArchive } from '../../src/ledger/archive.ts';
import { retainLog } from '../../src/ledger/log-retention.ts';
import { parseMerchantId } from '../../src/domain/ids.ts';
import { ledgerKeys } from '../../src/ledger/keys.ts';
import { PublisherCommands } from '../../src/ledger/publisher-commands.ts';
import { SeenPosition } from '../../src/ledger/position.ts';
import { ScriptCaller } from '../../src/ledger/script-caller.ts';
import { readScripts } from '../../src/ledger/script-loader.ts';
import { ServerClock } from '../../src/ledger/server-clock.ts';
import { armFailpoints } from '../../src/telemetry/failpoint.ts';
import { Redis } from 'ioredis';

/** One run of log retention in a process of its own, which a failpoint ends: `path merchant dir failpoints`. */
const [path = '', merchantText = '', dir = '', failpoints = ''] = process.argv.slice(2);
const merchant = parseMerchantId(merchantText);
if (merchant.kind !== 'ok' || armFailpoints(failpoints, false).kind !== 'armed')
  throw new Error('bad arguments');
const redis = new Redis(path);
const clock = new ServerClock();
const keys = ledgerKeys(merchant.value);
const caller = new ScriptCaller({
  redis,
  keys,
  source: readScripts(),
  seen: new SeenPosition(),
  clock,
  actor: 'retain-once',
  deadlineMs: 20_000,
  attemptMs: 5_000,
});
await retainLog({
  redis,
  keys,
  caller,
  lease: new PublisherCommands(caller),
  archive: new LedgerArchive(dir),
  holder: 'daemon',
  nowMs: () => clock.nowMs(),
  limits: { keepEntries: 50, segmentEntries: 100 },
});
redis.disconnect();
