import { createHash } from 'node:crypto';
import { appendFile, mkdir, open, readFile, readdir, rename, rm, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gunzip, gzip } from 'node:zlib';
import { StockmeshError } from '../domain/errors.ts';
import { failpoint } from '../telemetry/failpoint.ts';
import { comparePositions, noPosition, parsePosition } from './position.ts';

/**
 * Segments of the log that were written to disk before they were trimmed from Redis.
 *
 *   collected in Redis --write--> <name>.part --fsync, rename--> segment on disk --chain line, fsync--> archived --> trim
 *
 * A segment without its chain line was never acknowledged: its entries are still in Redis, and the next run writes it
 * again. Each chain line hashes the one before it, so a segment that was changed, lost or swapped later is found.
 */

/** As it stands in the stream: id, SKU, packed entry. */
export type RawEntry = readonly [id: string, sku: string, packed: string];

export interface SegmentLine {
  readonly file: string;
  readonly first: string;
  readonly last: string;
  readonly entries: number;
  readonly sha256: string;
  readonly previous: string;
  readonly hash: string;
}

const chainFile = 'chain.ndjson';
const noHash = '0'.repeat(64);
export const maxSegmentEntries = 50_000;

const compress = promisify(gzip);
const expand = promisify(gunzip);

export class LedgerArchive {
  readonly #dir: string;

  constructor(dir: string) {
    this.#dir = dir;
  }

  /**
   * Entries must follow the last archived one; they may be trimmed once this has resolved. `after` is the id that the
   * caller took for the last one (empty: none): another writer who was faster is refused with LEDGER_ARCHIVE_MOVED.
   */
  async append(entries: readonly RawEntry[], after?: string): Promise<SegmentLine> {
    const first = entries[0]?.[0];
    const last = entries.at(-1)?.[0];
    if (first === undefined || last === undefined || entries.length > maxSegmentEntries) {
      throw new RangeError(`a segment holds 1 to ${maxSegmentEntries} entries, not ${entries.length}`);
    }
    await mkdir(this.#dir, { recursive: true, mode: 0o700 });
    await this.#dropCutLine();
    const chain = await this.chain();
    const found = chain.at(-1)?.last ?? '';
    if (after !== undefined && found !== after)
      throw new StockmeshError('LEDGER_ARCHIVE_MOVED', { expected: after, found });
    const bytes = await compress(entries.map((entry) => `${JSON.stringify(entry)}\n`).join(''));
    const file = `${first}_${last}.ndjson.gz`;
    await writeDurably(join(this.#dir, file), bytes);
    await failpoint('segment-written');
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    const previous = chain.at(-1)?.hash ?? noHash;
    const line: SegmentLine = { file, first, last, entries: entries.length, sha256, previous, hash: '' };
    const sealed = { ...line, hash: chainHash(line) };
    await appendDurably(join(this.#dir, chainFile), `${JSON.stringify(sealed)}\n`);
    return sealed;
  }

  /**
   * Begins an empty archive behind entries that no archive holds any more, the id being the last of them: an operator's
   * act where a folder is lost for good, since no daemon trims a log that its archive does not reach. Their loss stays
   * in the chain: the history can be verified from here on, and not be rebuilt. False: the archive is not empty.
   */
  async beginAfter(id: string): Promise<boolean> {
    await mkdir(this.#dir, { recursive: true, mode: 0o700 });
    await this.#dropCutLine();
    if ((await this.chain()).length > 0) return false;
    const line = { file: '', first: '', last: id, entries: 0, sha256: '', previous: noHash, hash: '' };
    await appendDurably(
      join(this.#dir, chainFile),
      `${JSON.stringify({ ...line, hash: chainHash(line) })}\n`,
    );
    return true;
  }

  /** A last line without its newline was cut by a crash before it was acknowledged; the next would be glued to it. */
  async #dropCutLine(): Promise<void> {
    const path = join(this.#dir, chainFile);
    const bytes = await readFile(path).catch(() => Buffer.alloc(0));
    const whole = bytes.lastIndexOf(0x0a) + 1;
    if (whole !== bytes.length) await truncate(path, whole);
  }

  /** Every segment's line in order, the links between them checked; the segments themselves are checked by `read`. */
  async chain(): Promise<readonly SegmentLine[]> {
    const text = await readFile(join(this.#dir, chainFile), 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return '';
      throw error;
    });
    const lines: SegmentLine[] = [];
    let previous = noHash;
    for (const row of text.split('\n').slice(0, -1)) {
      const line = JSON.parse(row) as SegmentLine;
      if (line.previous !== previous || line.hash !== chainHash(line)) {
        throw new StockmeshError('LEDGER_ARCHIVE_BROKEN', {
          file: line.file,
          reason: 'its chain line does not follow the one before',
        });
      }
      previous = line.hash;
      lines.push(line);
    }
    return lines;
  }

  /** Id of the last archived entry; empty: none. Everything up to it may be trimmed. */
  async lastId(): Promise<string> {
    return (await this.chain()).at(-1)?.last ?? '';
  }

  /** The archived entry of this id; nothing: there is none. */
  async entry(id: string): Promise<RawEntry | undefined> {
    const at = parsePosition(id);
    const line = (await this.chain()).find(
      (segment) => comparePositions(at, parsePosition(segment.last)) <= 0,
    );
    if (line === undefined) return undefined;
    return (await this.readSegment(line)).find(([found]) => found === id);
  }

  /** All archived entries in order. Throws LEDGER_ARCHIVE_BROKEN at the first segment that is not what was archived. */
  async *read(): AsyncGenerator<readonly RawEntry[]> {
    for (const line of await this.chain()) yield await this.readSegment(line);
  }

  async readSegment(line: SegmentLine): Promise<readonly RawEntry[]> {
    // The line of a gap has no file.
    if (line.entries === 0) return [];
    const bytes = await readFile(join(this.#dir, line.file)).catch((error: NodeJS.ErrnoException) => {
      throw new StockmeshError('LEDGER_ARCHIVE_BROKEN', {
        file: line.file,
        reason: error.code ?? 'unreadable',
      });
    });
    if (createHash('sha256').update(bytes).digest('hex') !== line.sha256) {
      throw new StockmeshError('LEDGER_ARCHIVE_BROKEN', {
        file: line.file,
        reason: 'its bytes have another hash',
      });
    }
    const text = (await expand(bytes)).toString('utf8');
    return text
      .split('\n')
      .slice(0, -1)
      .map((row) => JSON.parse(row) as RawEntry);
  }

  /**
   * Removes what a crash left behind: half-written files and segments that never got their chain line. Those begin
   * after the chain's end; anything else in the folder is not ours to remove, least of all when the chain is damaged.
   */
  async removeUnacknowledged(): Promise<readonly string[]> {
    const last = (await this.chain()).at(-1);
    const end = last === undefined ? noPosition : parsePosition(last.last);
    const files = await readdir(this.#dir).catch(() => [] as string[]);
    const stale = files.filter((file) => {
      const [, first] = /^(\d+-\d+)_\d+-\d+\.ndjson\.gz(?:\.part)?$/.exec(file) ?? [];
      return first !== undefined && comparePositions(parsePosition(first), end) > 0;
    });
    await Promise.all(stale.map((file) => rm(join(this.#dir, file), { force: true })));
    return stale;
  }
}

function chainHash(line: SegmentLine): string {
  const { file, first, last, entries, sha256, previous } = line;
  return createHash('sha256')
    .update(JSON.stringify([previous, file, first, last, entries, sha256]))
    .digest('hex');
}

async function writeDurably(path: string, bytes: Uint8Array): Promise<void> {
  const part = `${path}.part`;
  const handle = await open(part, 'w', 0o600);
  try {
    await handle.writeFile(bytes);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(part, path);
  await syncDirectory(path);
}

async function appendDurably(path: string, text: string): Promise<void> {
  await appendFile(path, text, { mode: 0o600, flush: true });
  await syncDirectory(path);
}

/** A rename is durable only when its directory is. */
async function syncDirectory(path: string): Promise<void> {
  const handle = await open(join(path, '..'), 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
