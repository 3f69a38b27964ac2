import { join } from 'node:path';
import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import type { ChannelId, MerchantId, Sku } from '../domain/ids.ts';
import { StockmeshError } from '../domain/errors.ts';
import type { Movement } from '../domain/movement.ts';
import { LedgerArchive } from '../ledger/archive.ts';
import { CreditCommands } from '../ledger/credit-commands.ts';
import { FullHistory, RedisLogTail } from '../ledger/full-history.ts';
import { ledgerKeys, type LedgerKeys } from '../ledger/keys.ts';
import { LogHistory } from '../ledger/log-history.ts';
import { LogMirror } from '../ledger/log-mirror.ts';
import { LogRetention } from '../ledger/log-retention.ts';
import { LogReader } from '../ledger/log-reader.ts';
import { RedisMeshState } from '../ledger/mesh-state.ts';
import type { LostRange, OpenResult } from '../ledger/opening.ts';
import { SeenPosition } from '../ledger/position.ts';
import { type ReappliedEntry, reapplyLost } from '../ledger/reapply.ts';
import { LedgerProjection } from '../ledger/projection.ts';
import { RedisProjectionSource } from '../ledger/projection-snapshot.ts';
import { PublisherCommands } from '../ledger/publisher-commands.ts';
import { RedisLedger } from '../ledger/redis-ledger.ts';
import { RetentionMetrics } from '../ledger/retention-metrics.ts';
import { ScriptCaller } from '../ledger/script-caller.ts';
import { readScripts } from '../ledger/script-loader.ts';
import { ServerClock } from '../ledger/server-clock.ts';
import { Sweeper } from '../ledger/sweeper.ts';
import { verifyLedger, type VerifyReport } from '../ledger/verify.ts';
import { Housekeeping } from './housekeeping.ts';
import type { RedisPart } from './redis-part.ts';

export interface LedgerPart {
  readonly keys: LedgerKeys;
  readonly scripts: ScriptCaller;
  readonly ledger: RedisLedger;
  readonly publisher: PublisherCommands;
  readonly mesh: RedisMeshState;
  readonly history: LogHistory;
  readonly reader: LogReader;
  readonly projection: LedgerProjection;
  /** Why the ledger takes no commands; undefined while it does. */
  halted(): string | undefined;
  /** Entries this daemon has seen that the ledger no longer holds, while it is halted for them. */
  lostEntries(): Promise<readonly Movement[]>;
  /** An operator accepts the loss; what no platform can send again is put back under its own operation ids. */
  confirmLoss(actor: string): Promise<readonly ReappliedEntry[]>;
  /** Every entry there ever was, archive and log, oldest first. */
  wholeHistory(): AsyncGenerator<readonly Movement[]>;
  /** Those of one SKU. */
  historyOf(sku: Sku): AsyncGenerator<readonly Movement[]>;
  /** Archive and log against the state; changes nothing. */
  verify(): Promise<VerifyReport>;
  /** After every consumer has joined the reader. */
  start(): void;
  close(): Promise<void>;
}

export interface LedgerPartOptions {
  readonly merchant: MerchantId;
  readonly dataDir: string;
  readonly channels: readonly ChannelId[];
  readonly sweepMs: number;
  readonly actor: string;
  readonly redis: RedisPart;
  readonly registry: Registry;
  readonly log: Logger;
  /** Entries of a lost range are gone for good: whatever was built on them has to be looked at again. */
  readonly onLost: () => void;
}

/**
 * The ledger as one daemon uses it. A ledger that halted at its opening does not end the daemon: deliveries go on into
 * the inbox, and an operator can see why nothing else moves.
 */
export async function openLedgerPart(options: LedgerPartOptions): Promise<LedgerPart> {
  const { redis, log } = options;
  const keys = ledgerKeys(options.merchant);
  const clock = new ServerClock();
  const mirror = await LogMirror.open(join(options.dataDir, 'mirror'), {
    onError: (error) => log.error({ err: error }, 'the mirror of the log could not be written'),
  });
  // What this daemon has seen survives it: a ledger that holds less than that was rolled back.
  const seen = new SeenPosition(mirror.last);
  const scripts = new ScriptCaller({
    redis: redis.commands,
    keys,
    source: readScripts(),
    seen,
    clock,
    actor: options.actor,
  });
  let halted: string | undefined;
  let lost: LostRange | undefined;
  scripts.onOpened((result) => {
    lost = result.lost ?? lost;
    halted = result.kind === 'halted' ? result.reason : undefined;
    tellOpened(result, log);
    if (result.kind === 'open' && result.lost !== undefined) options.onLost();
  });
  await scripts.open().catch((error: unknown) => {
    if (!(error instanceof StockmeshError && error.code === 'LEDGER_HALTED')) throw error;
  });
  const ledger = new RedisLedger(scripts, clock);
  const history = new LogHistory(redis.commands, keys);
  const reader = new LogReader({
    redis: redis.blocking,
    keys,
    seen,
    onError: (error) => log.warn({ err: error }, 'log reader'),
  });
  const projection = new LedgerProjection(new RedisProjectionSource(redis.commands, keys, options.channels));
  await projection.start(reader);
  // After the projection: the reader begins where that was loaded, and the mirror must not miss what lies before.
  await mirror.catchUp(history);
  reader.add(mirror);
  const archive = new LedgerArchive(join(options.dataDir, 'archive'));
  const publisher = new PublisherCommands(scripts);
  const mesh = new RedisMeshState(scripts);
  const nowMs = (): number => clock.nowMs();
  const retention = new LogRetention({
    redis: redis.commands,
    keys,
    caller: scripts,
    lease: publisher,
    archive,
    holder: options.actor,
    nowMs,
    metrics: new RetentionMetrics(options.registry),
    onArchived: (last) => mirror.dropArchived(last),
    onResult: (result) => {
      if (result.kind === 'not-joined') log.error(result, 'the archive does not reach up to the log');
      else if (result.kind === 'done' && result.segments > 0) log.info(result, 'log archived');
    },
    onError: (error) => log.warn({ err: error }, 'the log could not be archived or trimmed'),
  });
  const housekeeping = new Housekeeping({ credits: new CreditCommands(scripts, nowMs), mesh, log });
  const sweeper = new Sweeper({
    ledger,
    everyMs: options.sweepMs,
    onError: (error) => log.debug({ err: error }, 'sweep'),
  });
  return {
    keys,
    scripts,
    ledger,
    publisher,
    mesh,
    history,
    reader,
    projection,
    halted: () => halted,
    async lostEntries() {
      return halted === undefined || lost === undefined ? [] : mirror.lost(lost);
    },
    async confirmLoss(actor) {
      const range = await scripts.confirmLoss(actor);
      return range === undefined ? [] : reapplyLost(await mirror.lost(range), ledger, actor);
    },
    start() {
      reader.start(projection.position);
      sweeper.start();
      retention.start();
      housekeeping.start();
    },
    async *wholeHistory() {
      const whole = new FullHistory(new RedisLogTail(redis.commands, keys), archive);
      yield* whole.after(await whole.branch());
    },
    async *historyOf(sku) {
      const whole = new FullHistory(new RedisLogTail(redis.commands, keys), archive);
      yield* whole.after(await whole.branch(), undefined, sku);
    },
    verify: () => verifyLedger({ redis: redis.commands, keys, archive }),
    async close() {
      await Promise.all([sweeper.stop(), retention.stop(), housekeeping.close()]);
      await reader.stop();
      await mirror.close();
    },
  };
}

function tellOpened(result: OpenResult, log: Logger): void {
  if (result.kind === 'halted')
    log.error({ reason: result.reason, lost: result.lost }, 'the ledger is halted');
  else if (result.lost !== undefined) log.error({ lost: result.lost }, 'entries of the ledger are lost');
  else log.info({ position: result.position, isNewEpoch: result.isNewEpoch }, 'the ledger is open');
}
