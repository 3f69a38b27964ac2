import type { Redis } from 'ioredis';
import type { LedgerArchive } from './archive.ts';
import type { Position } from './contract.ts';
import { type Finding, maxFindings } from './fold.ts';
import { FullHistory, isOnBranch, type LogTail, RedisLogTail } from './full-history.ts';
import type { LedgerKeys } from './keys.ts';
import { defaultRetention } from './level-commands.ts';
import { comparePositions, noPosition, parsePosition } from './position.ts';
import { LedgerWriter } from './rebuild/ledger-writer.ts';
import { stateDifferences } from './rebuild/state-differences.ts';
import { LedgerReplay, type Retained } from './replay/ledger-replay.ts';
import { isPastRetention } from './replay/order-replay.ts';
import { dumpState } from './state-dump.ts';
import { HistoryFollower } from './verify/history-follower.ts';

export interface RebuildOptions {
  /** Where the rebuilt ledger goes: a server or a merchant without a ledger. */
  readonly target: { readonly redis: Redis; readonly keys: LedgerKeys };
  readonly archive: LedgerArchive;
  /** The end of the log that is not archived: a live ledger's (`RedisLogTail`), or a mirror's (`MirrorTail`). */
  readonly tail: LogTail;
  /** Goes on although the history does not fold: what it says last is believed. */
  readonly acceptFindings?: boolean;
  readonly retained?: Retained;
}

export type RebuildResult =
  | {
      readonly kind: 'rebuilt';
      readonly position: Position;
      readonly entries: number;
      readonly skus: number;
      readonly liveHolds: number;
      readonly orders: number;
      readonly listings: number;
      readonly findings: readonly Finding[];
    }
  /** The target holds a ledger; nothing was touched. */
  | { readonly kind: 'not-empty' }
  /** The history does not begin at its beginning, or is empty. */
  | { readonly kind: 'incomplete'; readonly first: Position | undefined }
  /** The history contradicts itself; nothing was written. */
  | { readonly kind: 'contradictory'; readonly findings: readonly Finding[] };

const retainedByDefault: Retained = {
  holdsMs: defaultRetention.holdsMs,
  operationsMs: defaultRetention.operationsMs,
};

/**
 * Disaster recovery: the whole state from archive and log, into an empty place. Its daemons then open it in a new epoch,
 * read every listing and ask the channels again. Not in any log, and so gone: bases and open writes of listings, poll
 * cursors, parked rows, platform tokens. Run it while no daemon uses the target.
 */
export async function rebuildLedger(options: RebuildOptions): Promise<RebuildResult> {
  const { archive, tail, target } = options;
  const history = new FullHistory(tail, archive);
  const branch = await history.branch();
  const replay = new LedgerReplay(options.retained ?? retainedByDefault);
  for await (const page of history.after(branch)) {
    const [first] = page;
    if (replay.fold.entries === 0 && first !== undefined && first.seq !== 1) {
      return { kind: 'incomplete', first: { epoch: first.epoch, seq: first.seq } };
    }
    for (const entry of page) replay.add(entry);
  }
  const { fold } = replay;
  if (fold.entries === 0) return { kind: 'incomplete', first: undefined };
  if (fold.findings.length > 0 && options.acceptFindings !== true) {
    return { kind: 'contradictory', findings: fold.findings };
  }
  for (const [order, record] of replay.orders.orders) {
    if (isPastRetention(record, replay.clock.wallMs)) replay.orders.orders.delete(order);
  }
  const writer = new LedgerWriter(target.redis, target.keys);
  if (!(await writer.begin())) return { kind: 'not-empty' };
  await writer.write(replay);
  for await (const rows of tail.after(await archive.lastId())) {
    const replayed = rows.filter(([id]) => isReplayed(parsePosition(id)));
    await writer.append(replayed);
  }
  await writer.end(replay);
  return {
    kind: 'rebuilt',
    position: { epoch: fold.epoch, seq: fold.seq },
    entries: fold.entries,
    skus: fold.versions.size,
    liveHolds: replay.holds.live.size,
    orders: replay.orders.orders.size,
    listings: replay.listings.listings.size,
    findings: fold.findings,
  };

  /** A live source may have moved on since. */
  function isReplayed(at: Position): boolean {
    return isOnBranch(branch, at) && comparePositions(at, fold) <= 0;
  }
}

export type RebuildCheck =
  | { readonly kind: 'checked'; readonly position: Position; readonly findings: readonly Finding[] }
  /** Somebody wrote during every try; `verify` checks a ledger at work. */
  | { readonly kind: 'moving' }
  | { readonly kind: 'incomplete'; readonly first: Position | undefined };

const checkTries = 5;

/** Rebuilds in memory and holds every record against the live ledger's. */
export async function checkRebuild(options: {
  readonly redis: Redis;
  readonly keys: LedgerKeys;
  readonly archive?: LedgerArchive | undefined;
  readonly retained?: Retained;
}): Promise<RebuildCheck> {
  const { redis, keys } = options;
  const history = new FullHistory(new RedisLogTail(redis, keys), options.archive);
  const branch = await history.branch();
  for await (const [first] of history.after(branch)) {
    if (first === undefined || first.seq === 1) break;
    return { kind: 'incomplete', first: { epoch: first.epoch, seq: first.seq } };
  }
  const replay = new LedgerReplay(options.retained ?? retainedByDefault);
  const follower = new HistoryFollower(history, branch, noPosition, (entry) => replay.add(entry));
  for (let tries = 0; tries < checkTries; tries += 1) {
    const position = await headOf(redis, keys);
    await follower.advanceTo(position);
    const live = await dumpState(redis, keys);
    if (comparePositions(position, await headOf(redis, keys)) !== 0) continue;
    await follower.close();
    const findings = [...replay.fold.findings, ...stateDifferences(replay, live)].slice(0, maxFindings);
    return { kind: 'checked', position, findings };
  }
  await follower.close();
  return { kind: 'moving' };
}

async function headOf(redis: Redis, keys: LedgerKeys): Promise<Position> {
  const [epoch, seq] = await redis.hmget(keys.ledger, 'epoch', 'seq');
  return { epoch: Number(epoch ?? 0), seq: Number(seq ?? 0) };
}
