import { type FileHandle, mkdir, open, readdir, readFile, rm, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Movement } from '../domain/movement.ts';
import type { RawEntry } from './archive.ts';
import type { Position } from './contract.ts';
import { parseEntry } from './entry.ts';
import type { LogEntry, LogGap } from './log-entry.ts';
import type { LogHistory } from './log-history.ts';
import type { LogConsumer } from './log-reader.ts';
import type { LostRange } from './opening.ts';
import { comparePositions, formatPosition, noPosition, parsePosition } from './position.ts';

export interface MirrorLimits {
  readonly segmentBytes: number;
  readonly maxSegments: number;
  /** Entries waiting for the disk; beyond this the log reader waits too. */
  readonly maxQueued: number;
}

const defaultLimits: MirrorLimits = { segmentBytes: 8 * 2 ** 20, maxSegments: 64, maxQueued: 20_000 };
const catchUpPage = 1_000;
/** Between two syncs while entries keep coming: what the mirror may lack after a crash, beside what was being synced. */
const syncGapMs = 20;
/** A new daemon on an old ledger copies its end, not its history: that is what the archive is for. */
const maxCatchUp = 100_000;

interface Segment {
  readonly path: string;
  readonly first: Position;
}

/**
 * A copy of the log's open end on the daemon's own disk, one line per entry. It is what a rolled-back ledger is held
 * against: the newest entry ever seen survives the daemon, and lost entries can be listed one by one.
 *
 *   open --catchUp--> following --entries--> writing (append, fsync) --> following
 *   any --disk error--> failing (told; entries are skipped, and the log is asked again at the next start)
 *
 * Bounded: segments that are archived are dropped, and of the others the oldest beyond `maxSegments`.
 */
export class LogMirror implements LogConsumer {
  readonly #dir: string;
  readonly #limits: MirrorLimits;
  readonly #onError: (error: unknown) => void;
  #segments: Segment[];
  #last: Position;
  #file: { readonly handle: FileHandle; bytes: number } | undefined;
  #queue: LogEntry[] = [];
  #writing: Promise<void> | undefined;

  private constructor(
    dir: string,
    limits: MirrorLimits,
    onError: (error: unknown) => void,
    segments: Segment[],
    last: Position,
  ) {
    this.#dir = dir;
    this.#limits = limits;
    this.#onError = onError;
    this.#segments = segments;
    this.#last = last;
  }

  /** A last line cut by a crash is dropped: its entry was never acknowledged as mirrored. */
  static async open(
    dir: string,
    options: { readonly limits?: Partial<MirrorLimits>; readonly onError?: (error: unknown) => void } = {},
  ): Promise<LogMirror> {
    await mkdir(dir, { recursive: true, mode: 0o700 });
    const segments = (await readdir(dir))
      .filter((file) => file.startsWith('log_'))
      .map((file) => ({ path: join(dir, file), first: parsePosition(file.slice(4)) }))
      .toSorted((a, b) => comparePositions(a.first, b.first));
    let last = noPosition;
    for (const segment of segments.toReversed()) {
      const entries = await readSegment(segment.path, true);
      const newest = entries.at(-1);
      if (newest === undefined) continue;
      last = parsePosition(newest[0]);
      break;
    }
    const limits = { ...defaultLimits, ...options.limits };
    return new LogMirror(dir, limits, options.onError ?? (() => undefined), segments, last);
  }

  /** Newest entry mirrored: where a restarted daemon's `SeenPosition` begins. Ask before `catchUp` moves it. */
  get last(): Position {
    return this.#last;
  }

  /** Copies what other daemons wrote while this one was away. Call it before the log reader starts. */
  async catchUp(history: Pick<LogHistory, 'after' | 'head'>): Promise<void> {
    const head = await history.head();
    if (head.seq - this.#last.seq > maxCatchUp) {
      this.#last = { epoch: head.epoch, seq: head.seq - maxCatchUp };
    }
    for (;;) {
      const slice = await history.after(this.#last, catchUpPage);
      if (slice.kind === 'trimmed') {
        // What is between was archived: the mirror only has to hold the open end.
        this.#last = { epoch: slice.first.epoch, seq: slice.first.seq - 1 };
        continue;
      }
      if (slice.entries.length === 0) return;
      await this.onEntries(slice.entries as readonly LogEntry[]);
      await this.flush();
    }
  }

  onEntries(entries: readonly LogEntry[]): void | Promise<void> {
    for (const entry of entries) {
      if (comparePositions(entry, this.#last) <= 0) continue;
      this.#queue.push(entry);
      this.#last = { epoch: entry.epoch, seq: entry.seq };
    }
    if (this.#queue.length > 0) this.#writing ??= this.#write();
    return this.#queue.length > this.#limits.maxQueued ? this.#writing : undefined;
  }

  /** Lost entries are put aside before anything else happens to the segments that hold them. */
  async onGap(gap: LogGap): Promise<void> {
    if (gap.kind === 'forked') await this.lost(gap.lost);
  }

  async flush(): Promise<void> {
    await this.#writing;
  }

  async close(): Promise<void> {
    await this.flush();
    await this.#file?.handle.close();
    this.#file = undefined;
  }

  /** Entries up to and including `archived` are safe elsewhere. */
  async dropArchived(archived: Position): Promise<void> {
    const kept = this.#segments.filter((_segment, index) => {
      const next = this.#segments[index + 1];
      return next === undefined || comparePositions(next.first, archived) > 0;
    });
    await this.#keep(kept);
  }

  /**
   * The mirrored entries of a lost range, oldest first. They are put aside in a file of their own, which neither
   * archiving nor rotation drops: an operator may need days to decide.
   */
  async lost(range: LostRange): Promise<readonly Movement[]> {
    const path = join(this.#dir, `lost_${range.epoch}_${range.from}_${range.to}.ndjson`);
    const putAside = await readSegment(path, false);
    if (putAside.length > 0) return putAside.map((entry) => parseEntry(...entry));
    await this.flush();
    const found: RawEntry[] = [];
    for (const segment of this.#segments) {
      for (const entry of await readSegment(segment.path, false)) {
        const { epoch, seq } = parsePosition(entry[0]);
        if (epoch === range.epoch && seq >= range.from && seq <= range.to) found.push(entry);
      }
    }
    if (found.length > 0) await writeDurably(path, found.map(lineOf).join(''));
    return found.map((entry) => parseEntry(...entry));
  }

  async #write(): Promise<void> {
    // A turn of the loop lets a burst of batches share one fsync.
    await Promise.resolve();
    for (let isFirst = true; this.#queue.length > 0; isFirst = false) {
      // Under load its syncs would follow one another, and Redis's own (appendfsync always) wait behind each of them.
      if (!isFirst) await delay(syncGapMs);
      const entries = this.#queue;
      this.#queue = [];
      try {
        await this.#append(entries);
      } catch (error) {
        this.#onError(error);
        await this.#file?.handle.close().catch(() => undefined);
        this.#file = undefined;
      }
    }
    this.#writing = undefined;
  }

  async #append(entries: readonly LogEntry[]): Promise<void> {
    const first = entries[0];
    if (first === undefined) return;
    const file = this.#file ?? (await this.#begin(first));
    const text = entries.map((entry) => lineOf([entry.id, entry.sku, entry.packed])).join('');
    const bytes = Buffer.from(text);
    await file.handle.appendFile(bytes);
    await file.handle.datasync();
    file.bytes += bytes.length;
    if (file.bytes < this.#limits.segmentBytes) return;
    await file.handle.close();
    this.#file = undefined;
  }

  async #begin(first: Position): Promise<{ readonly handle: FileHandle; bytes: number }> {
    const path = join(this.#dir, `log_${formatPosition(first)}`);
    const handle = await open(path, 'a', 0o600);
    this.#file = { handle, bytes: 0 };
    this.#segments.push({ path, first });
    await this.#keep(this.#segments.slice(-this.#limits.maxSegments));
    return this.#file;
  }

  async #keep(kept: Segment[]): Promise<void> {
    const dropped = this.#segments.filter((segment) => !kept.includes(segment));
    this.#segments = kept;
    for (const segment of dropped) await rm(segment.path, { force: true });
  }
}

function lineOf(entry: RawEntry): string {
  return `${JSON.stringify(entry)}\n`;
}

/** The whole entries of one segment; a last line that a crash cut short is left out. */
export function readMirrorSegment(path: string): Promise<readonly RawEntry[]> {
  return readSegment(path, false);
}

async function readSegment(path: string, isRepairing: boolean): Promise<readonly RawEntry[]> {
  const bytes = await readFile(path).catch(() => Buffer.alloc(0));
  const whole = bytes.lastIndexOf(0x0a) + 1;
  if (isRepairing && whole !== bytes.length) await truncate(path, whole);
  const lines = bytes.toString('utf8', 0, whole).split('\n').slice(0, -1);
  return lines.map((line) => JSON.parse(line) as RawEntry);
}

async function writeDurably(path: string, text: string): Promise<void> {
  const handle = await open(path, 'w', 0o600);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
}
