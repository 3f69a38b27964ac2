import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { RawEntry } from './archive.ts';
import type { LogTail } from './full-history.ts';
import { readMirrorSegment } from './log-mirror.ts';
import { comparePositions, noPosition, parsePosition } from './position.ts';

/** The open end of the log as a daemon mirrored it: what is left of it when the Redis that held it is gone. */
export class MirrorTail implements LogTail {
  readonly #dir: string;

  constructor(dir: string) {
    this.#dir = dir;
  }

  async *after(id: string): AsyncGenerator<readonly RawEntry[]> {
    let last = id === '' ? noPosition : parsePosition(id);
    for (const path of await this.#segments()) {
      const rows: RawEntry[] = [];
      for (const row of await readMirrorSegment(path)) {
        // After a restart of the daemon the same entries may have been mirrored again.
        const position = parsePosition(row[0]);
        if (comparePositions(position, last) <= 0) continue;
        rows.push(row);
        last = position;
      }
      if (rows.length > 0) yield rows;
    }
  }

  async firstOfEpochs(): Promise<readonly RawEntry[]> {
    const found: RawEntry[] = [];
    for await (const rows of this.after('')) {
      for (const row of rows) {
        const before = found.at(-1);
        const isSame = before !== undefined && parsePosition(before[0]).epoch === parsePosition(row[0]).epoch;
        if (!isSame) found.push(row);
      }
    }
    return found;
  }

  async #segments(): Promise<readonly string[]> {
    const files = (await readdir(this.#dir)).filter((file) => file.startsWith('log_'));
    return files
      .toSorted((a, b) => comparePositions(parsePosition(a.slice(4)), parsePosition(b.slice(4))))
      .map((file) => join(this.#dir, file));
  }
}
