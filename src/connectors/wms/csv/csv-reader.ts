import { createHash } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { CountOutcome, CountPage } from '../../counts.ts';
import type { Clock, ConnectorLog } from '../../ports.ts';
import type { CsvConnection } from '../options.ts';
import { directorySource } from './directory-source.ts';
import { type FileCursor, readFileCursor, remembered, writeFileCursor } from './file-cursor.ts';
import type { FileEntry, FileSource, Files } from './file-source.ts';
import { sftpSource } from './sftp-source.ts';
import { momentInName, readStockFile } from './stock-file.ts';

const defaultMaxFileBytes = 64 * 1024 ** 2;
const maxFilesPerPoll = 200;
/** What upload programs call a file that is not whole yet, and what is hidden. */
const unfinished = /^\.|\.(?:part|tmp|filepart|crdownload)$/i;

interface StockFileEntry extends FileEntry {
  readonly asOfMs: number;
  readonly isNamedAsOf: boolean;
  readonly sequence: bigint | undefined;
}

interface ReaderPorts {
  readonly clock: Clock;
  readonly log: ConnectorLog;
}

export function createCsvReader(connection: CsvConnection, ports: ReaderPorts): CsvReader {
  const { from } = connection;
  const source = from.kind === 'directory' ? directorySource(from.path) : sftpSource(from);
  return new CsvReader(connection, source, ports);
}

/**
 * Stock files of one directory.
 *
 *   lying --two looks, `settleMs` apart, are the same--> settled --oldest first--> read and judged whole
 *   read --applied and the cursor moved--> done/        read --refused or held--> failed/, with the reason; nothing changed
 *   read --known already--> done/, no change               delta file --one before it is missing--> lying, the source is held
 *
 * Where the account may not move files, their hashes are remembered instead.
 */
export class CsvReader {
  readonly #connection: CsvConnection;
  readonly #source: FileSource;
  readonly #clock: Clock;
  readonly #log: ConnectorLog;
  readonly #pattern: RegExp;
  /** Refused or put aside only here: the account may not move files. */
  readonly #untouchable = new Map<string, string>();

  constructor(connection: CsvConnection, source: FileSource, { clock, log }: ReaderPorts) {
    this.#connection = connection;
    this.#source = source;
    this.#clock = clock;
    this.#log = log;
    this.#pattern = new RegExp(connection.pattern);
  }

  get account(): string {
    return this.#source.account;
  }

  async probe(signal: AbortSignal): Promise<void> {
    await this.#source.session((files) => files.list(), signal);
  }

  async *poll(text: string | null, signal: AbortSignal): AsyncGenerator<CountPage> {
    let cursor = readFileCursor(text);
    const settled = await this.#settled(signal);
    for (const file of settled.slice(0, maxFilesPerPoll)) {
      signal.throwIfAborted();
      const step = await this.#step(file, cursor, signal);
      if (step === undefined) continue;
      if (step.kind === 'wait') {
        yield step.page;
        return;
      }
      yield step.page;
      // The consumer has gone on: the page is applied or held.
      if (step.next !== undefined && step.wasApplied()) cursor = step.next;
    }
  }

  async #settled(signal: AbortSignal): Promise<readonly StockFileEntry[]> {
    const first = await this.#look(signal);
    if (first.length === 0) return [];
    await delay(this.#connection.settleMs, undefined, { signal });
    const before = new Map(first.map((file) => [file.name, printOf(file)]));
    const now = await this.#look(signal);
    return now.filter((file) => before.get(file.name) === printOf(file)).toSorted(byAge);
  }

  async #look(signal: AbortSignal): Promise<readonly StockFileEntry[]> {
    const found = await this.#source.session((files) => files.list(), signal);
    return found.flatMap((file) => {
      const match = unfinished.test(file.name) ? null : this.#pattern.exec(file.name);
      if (match === null || this.#untouchable.get(file.name) === printOf(file)) return [];
      const asOfMs = momentInName(match.groups?.['at'], this.#connection.zone);
      const number = match.groups?.['sequence'];
      return {
        ...file,
        asOfMs: asOfMs ?? file.modifiedAtMs,
        isNamedAsOf: asOfMs !== undefined,
        sequence: number !== undefined && /^\d{1,30}$/.test(number) ? BigInt(number) : undefined,
      };
    });
  }

  async #step(
    file: StockFileEntry,
    cursor: FileCursor,
    signal: AbortSignal,
  ): Promise<
    | { readonly kind: 'wait'; readonly page: CountPage }
    | {
        readonly kind: 'page';
        readonly page: CountPage;
        readonly next: FileCursor | undefined;
        readonly wasApplied: () => boolean;
      }
    | undefined
  > {
    const { mode, maxFileBytes = defaultMaxFileBytes } = this.#connection;
    let content: Uint8Array | undefined;
    try {
      content = await this.#source.session((files) => files.read(file.name, maxFileBytes), signal);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      return this.#refusal(file, error.message, signal);
    }
    if (content === undefined) return undefined;
    const identity = identityOf(file, content);
    if (cursor.hashes.includes(identity)) {
      this.#log.info({ file: file.name }, 'the file was applied before');
      await this.#putAway(file, 'done', undefined, signal);
      return undefined;
    }
    if (mode === 'delta') {
      const { sequence } = file;
      const last = cursor.sequence;
      if (sequence === undefined) return this.#refusal(file, 'its name holds no sequence number', signal);
      if (last !== undefined && sequence <= last) {
        return this.#refusal(file, `file ${last} was applied last, this is ${sequence}`, signal);
      }
      if (last !== undefined && sequence > last + 1n) {
        const reason = `file ${last + 1n} is missing; ${file.name} waits for it`;
        return { kind: 'wait', page: { kind: 'held', source: 'delta files', reason, parked: [] } };
      }
    }
    const read = readStockFile(this.#connection, { ...file, content, identity }, this.#clock.nowMs());
    if (read.kind === 'refused') return this.#refusal(file, read.reason, signal);
    if (mode === 'snapshot' && cursor.asOfMs !== undefined && read.asOfMs < cursor.asOfMs) {
      return this.#refusal(file, 'a newer file was applied before it', signal);
    }
    const next = remembered(cursor, identity, read.asOfMs, file.sequence);
    let outcome: CountOutcome['kind'] | undefined;
    const page: CountPage = {
      ...read.page,
      cursor: writeFileCursor(next),
      settled: async (settled) => {
        outcome = settled.kind;
        if (settled.kind === 'applied') await this.#putAway(file, 'done', undefined, signal);
        else await this.#putAway(file, 'failed', settled.reason, signal);
      },
    };
    return { kind: 'page', page, next, wasApplied: () => outcome !== 'held' };
  }

  #refusal(file: StockFileEntry, reason: string, signal: AbortSignal) {
    const page: CountPage = {
      kind: 'held',
      source: file.name,
      reason,
      parked: [],
      settled: () => this.#putAway(file, 'failed', reason, signal),
    };
    return { kind: 'page', page, next: undefined, wasApplied: () => false } as const;
  }

  async #putAway(
    file: StockFileEntry,
    to: 'done' | 'failed',
    reason: string | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    const move = (files: Files): Promise<void> => files.putAway(file.name, to, reason);
    try {
      await this.#source.session(move, signal);
    } catch (error) {
      if (signal.aborted) throw error;
      this.#untouchable.set(file.name, printOf(file));
      if (this.#untouchable.size > maxFilesPerPoll * 50) this.#untouchable.clear();
      this.#log.warn(
        { file: file.name, to, err: error },
        'the file could not be moved: it is left where it is',
      );
    }
  }
}

/** By the moment in the name, else by modification; numbered files by their number. */
function byAge(a: StockFileEntry, b: StockFileEntry): number {
  if (a.sequence !== undefined && b.sequence !== undefined && a.sequence !== b.sequence) {
    return a.sequence < b.sequence ? -1 : 1;
  }
  return a.asOfMs - b.asOfMs || (a.name < b.name ? -1 : 1);
}

function printOf({ bytes, modifiedAtMs }: FileEntry): string {
  return `${bytes}:${modifiedAtMs}`;
}

/**
 * The bytes, and what the name adds to them: a file of another moment or number is another file even when the figures are
 * the same (nothing was sold, or the same was sold again). The time of modification adds nothing: copying changes it.
 */
function identityOf(file: StockFileEntry, content: Uint8Array): string {
  const named = `${file.isNamedAsOf ? file.asOfMs : ''}:${file.sequence ?? ''}`;
  const hash = createHash('sha256').update(content).update(`\u001f${named}`).digest();
  return hash.subarray(0, 15).toString('base64url');
}
