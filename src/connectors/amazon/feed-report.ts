import type { RowOutcome } from '../connector.ts';
import { type JsonRecord, isRecord, listOf, textOf } from '../raw-json.ts';
import { member, optionalUnits } from './fields.ts';

/** What a processing report says about each row. Message ids are places in the feed, from 1. */
export function outcomesOfReport(
  report: JsonRecord,
  feedId: string,
  rowCount: number,
): readonly RowOutcome[] {
  const all = (outcome: RowOutcome): readonly RowOutcome[] => Array.from({ length: rowCount }, () => outcome);
  const stated = textOf(member(report, 'header')?.['feedId']);
  if (stated !== undefined && stated !== feedId)
    return all({ kind: 'unknown', reason: 'the report is about another feed' });
  const summary = member(report, 'summary');
  const processed = optionalUnits(summary?.['messagesProcessed']);
  const accepted = optionalUnits(summary?.['messagesAccepted']);
  const issues = (listOf(report['issues']) ?? []).filter(isRecord);
  const errors = issues.filter((issue) => issue['severity'] === 'ERROR');
  const general = errors.find((issue) => issue['messageId'] === undefined);
  if (accepted === 0 && general !== undefined)
    return all({ kind: 'rejected', reason: textOfIssue(general), isPermanent: false });

  const refused = new Map<number, string>();
  for (const issue of errors) {
    const id = issue['messageId'];
    const isRow = typeof id === 'number' && id >= 1 && id <= rowCount;
    if (isRow && !refused.has(id)) refused.set(id, textOfIssue(issue));
  }
  // Where the sums do not leave every other row accepted, nothing tells which were: they stay open.
  const isWhole = processed === rowCount && accepted !== undefined && accepted >= rowCount - refused.size;
  return Array.from({ length: rowCount }, (_row, index): RowOutcome => {
    const reason = refused.get(index + 1);
    if (reason !== undefined) return { kind: 'rejected', reason, isPermanent: true };
    return isWhole ? { kind: 'accepted' } : { kind: 'unknown', reason: 'the report does not account for it' };
  });
}

function textOfIssue(issue: JsonRecord): string {
  return `${textOf(issue['code']) ?? ''}: ${textOf(issue['message']) ?? ''}`.slice(0, 300);
}
