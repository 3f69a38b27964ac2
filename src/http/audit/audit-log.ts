import { mkdir, open, rm, stat, truncate } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { Counter, type Registry } from 'prom-client';
import { type AuditContent, firstHash, lineOf, readLine } from './audit-record.ts';
import { linesOf, type Segment, segmentName, segmentsIn } from './audit-segments.ts';
import { type AuditHead, type AuditReport, verifyAudit } from './audit-verify.ts';
import { WaitingLines } from './waiting-lines.ts';

export interface AuditLogOptions {
  readonly directory: string;
  readonly segmentBytes: number;
  readonly maxSegments: number;
  readonly registry: Registry;
  readonly onError: (error: unknown) => void;
  /** Keeps what proves that nothing was cut off at the end; another place than these files. */
  readonly keepHead: (head: AuditHead) => Promise<void>;
  readonly keptHead: () => Promise<AuditHead | undefined>;
}

/** A decision is made whether or not the disk keeps up: beyond that many the newest are counted instead of kept. */
const maxPending = 20_000;
const flushMs = 50;

/**
 * The decisions of this daemon, append only, each bound to the one before it by its hash.
 *
 *   made --open--> last line found (a torn one cut off) --append--> pending --every 50 ms--> written
 *   written --segment full--> next segment, the oldest beyond the retention deleted      any --close--> flushed, closed
 *
 * A crash loses what is pending. Holds, commits and releases are in the ledger's log in any case; denials and reads are
 * nowhere else.
 */
export class AuditLog {
  readonly #options: AuditLogOptions;
  readonly #lost: Counter;
  readonly #kept: Counter;
  readonly #pending = new WaitingLines();
  #n = 0;
  #hash = firstHash;
  #file: FileHandle | undefined;
  #fileBytes = 0;
  #timer: NodeJS.Timeout | undefined;
  #flushing: Promise<void> = Promise.resolve();

  private constructor(options: AuditLogOptions) {
    this.#options = options;
    const registers = [options.registry];
    this.#lost = new Counter({
      name: 'stockmesh_audit_lost_total',
      help: 'Decisions that could not be kept because the disk did not keep up; alert on any',
      registers,
    });
    this.#kept = new Counter({
      name: 'stockmesh_audit_lines_total',
      help: 'Decisions written to the audit log',
      registers,
    });
  }

  static async open(options: AuditLogOptions): Promise<AuditLog> {
    const log = new AuditLog(options);
    await mkdir(options.directory, { recursive: true, mode: 0o700 });
    await log.#findEnd();
    return log;
  }

  get directory(): string {
    return this.#options.directory;
  }

  /** Answers the JSON text of the record. */
  append(content: AuditContent): string {
    const contentText = JSON.stringify(content);
    if (this.#pending.count >= maxPending) {
      this.#lost.inc();
      return contentText;
    }
    const { text, hash } = lineOf(this.#hash, this.#n + 1, contentText);
    this.#n++;
    this.#hash = hash;
    this.#pending.add(text);
    this.#timer ??= setTimeout(() => this.#flushSoon(), flushMs);
    return contentText;
  }

  /** Everything appended so far is on its way to the disk. */
  async flush(): Promise<void> {
    this.#flushSoon();
    await this.#flushing;
  }

  async verify(): Promise<AuditReport> {
    await this.flush();
    return verifyAudit(this.#options.directory, await this.#options.keptHead());
  }

  /** Contents that hold one of the words, oldest first; read from the files, segment by segment. */
  async find(words: readonly string[], limit: number): Promise<readonly AuditContent[]> {
    await this.flush();
    const found: AuditContent[] = [];
    for (const segment of await segmentsIn(this.#options.directory)) {
      for await (const { text } of linesOf(segment)) {
        if (!words.some((word) => text.includes(word))) continue;
        const line = readLine(text);
        if (line !== undefined) found.push(JSON.parse(line.contentText) as AuditContent);
        if (found.length >= limit) return found;
      }
    }
    return found;
  }

  async close(): Promise<void> {
    await this.flush();
    await this.#file?.close();
    this.#file = undefined;
  }

  #flushSoon(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#flushing = this.#flushing.then(() => this.#write()).catch(this.#options.onError);
  }

  async #write(): Promise<void> {
    const { count } = this.#pending;
    if (count === 0) return;
    const blocks = this.#pending.take();
    const head = { n: this.#n, hash: this.#hash };
    const first = head.n - count + 1;
    if (this.#file === undefined || this.#fileBytes >= this.#options.segmentBytes)
      await this.#nextFile(first);
    for (const { written } of blocks) {
      await this.#file?.appendFile(written);
      this.#fileBytes += written.length;
    }
    this.#pending.giveBack(blocks);
    this.#kept.inc(count);
    await this.#options.keepHead(head).catch(this.#options.onError);
  }

  async #nextFile(first: number): Promise<void> {
    await this.#file?.close();
    const path = join(this.#options.directory, segmentName(first));
    this.#file = await open(path, 'a', 0o600);
    this.#fileBytes = 0;
    const segments = await segmentsIn(this.#options.directory);
    for (const old of segments.slice(0, Math.max(0, segments.length - this.#options.maxSegments)))
      await rm(old.path, { force: true });
  }

  async #findEnd(): Promise<void> {
    const last = (await segmentsIn(this.#options.directory)).at(-1);
    if (last === undefined) return;
    const bytes = await this.#readEnd(last);
    const { size } = await stat(last.path);
    // A process that died while it wrote left a part of a line: it was never told to anybody as kept.
    if (bytes < size) await truncate(last.path, bytes);
    this.#file = await open(last.path, 'a', 0o600);
    this.#fileBytes = bytes;
  }

  /** Bytes up to the end of the last whole line. */
  async #readEnd(segment: Segment): Promise<number> {
    let bytes = 0;
    this.#n = segment.first - 1;
    for await (const { text, isWhole } of linesOf(segment)) {
      const line = isWhole ? readLine(text) : undefined;
      if (line === undefined) break;
      bytes += Buffer.byteLength(text) + 1;
      this.#n = line.n;
      this.#hash = line.hash;
    }
    return bytes;
  }
}
