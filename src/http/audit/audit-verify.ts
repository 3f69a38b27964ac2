import { firstHash, hashOf, readLine } from './audit-record.ts';
import { linesOf, segmentsIn } from './audit-segments.ts';

export interface AuditHead {
  readonly n: number;
  readonly hash: string;
}

export interface AuditReport {
  readonly lines: number;
  readonly first: number;
  readonly last: number;
  readonly lastHash: string;
  readonly findings: readonly { readonly line: number; readonly problem: string }[];
}

const maxFindings = 100;

/**
 * Recomputes the chain over every segment there is. Lines cannot be changed, put in, taken out or swapped unseen; that
 * nothing was cut off at the end is known from `head`, which is kept elsewhere. Deleting the oldest segments is
 * retention: the first line that is left is where the chain begins.
 */
export async function verifyAudit(directory: string, head?: AuditHead): Promise<AuditReport> {
  const findings: { line: number; problem: string }[] = [];
  let first = 0;
  let last = 0;
  let lines = 0;
  let before: string | undefined;
  let isHeadSeen = head === undefined || head.n === 0;
  const say = (line: number, problem: string): void => {
    if (findings.length < maxFindings) findings.push({ line, problem });
  };
  for (const segment of await segmentsIn(directory)) {
    for await (const { text } of linesOf(segment)) {
      lines++;
      const line = readLine(text);
      if (line === undefined) {
        say(last + 1, 'is not a line of this log');
        continue;
      }
      if (first === 0) first = line.n;
      else if (line.n !== last + 1) say(line.n, `comes after line ${last}`);
      // Where older segments were deleted the first line's predecessor is gone: it is believed.
      if (before === undefined && line.n === 1) before = firstHash;
      if (before !== undefined && hashOf(before, line.n, line.contentText) !== line.hash)
        say(line.n, 'was changed, or the line before it was');
      if (head !== undefined && line.n === head.n) {
        isHeadSeen = true;
        if (line.hash !== head.hash) say(line.n, 'is not the line that was written');
      }
      before = line.hash;
      last = line.n;
    }
  }
  if (!isHeadSeen && head !== undefined && head.n >= first) say(head.n, 'was written and is gone');
  return { lines, first, last, lastHash: before ?? firstHash, findings };
}
