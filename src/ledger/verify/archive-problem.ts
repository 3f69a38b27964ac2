import { StockmeshError } from '../../domain/errors.ts';
import type { LedgerArchive, RawEntry } from '../archive.ts';
import type { Position } from '../contract.ts';
import { isNextAfter, type LogTail } from '../full-history.ts';
import { readEntry } from '../log-entry.ts';
import { formatPosition, noPosition, parsePosition } from '../position.ts';

interface Problem {
  readonly at: string;
  readonly detail: string;
}

/** Why archive and log are not one history, if they are not. Reads every segment: a changed byte has to be found. */
export async function archiveProblem(archive: LedgerArchive, tail: LogTail): Promise<Problem | undefined> {
  try {
    let last = noPosition;
    let checked = 0;
    for (let isFirst = true; ; isFirst = false) {
      const fresh = (await archive.chain()).slice(checked);
      for (const line of fresh) {
        if (line.entries === 0) last = parsePosition(line.last);
        for (const row of await archive.readSegment(line)) {
          const entry = readEntry(...row);
          if (!isNextAfter(last, entry))
            return { at: row[0], detail: `follows ${formatPosition(last)} in the archive` };
          last = { epoch: entry.epoch, seq: entry.seq };
        }
      }
      checked += fresh.length;
      const next = await firstAfter(tail, last);
      if (next === undefined || isNextAfter(last, readEntry(...next))) return undefined;
      // Retention may have moved entries from the log to the archive since its chain was read.
      if (fresh.length > 0 || isFirst) continue;
      const end = formatPosition(last);
      return {
        at: next[0],
        detail: `the log begins here, the archive ends at ${end}: what is between is gone`,
      };
    }
  } catch (error) {
    if (!(error instanceof StockmeshError)) throw error;
    return { at: String(error.fields['file'] ?? ''), detail: error.message };
  }
}

async function firstAfter(tail: LogTail, last: Position): Promise<RawEntry | undefined> {
  for await (const [first] of tail.after(last.epoch === 0 ? '' : formatPosition(last))) return first;
  return undefined;
}
