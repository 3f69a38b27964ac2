import { csvLine } from './csv.ts';
import type { Report } from './report.ts';

/** One line per step of every finding: old and new value, rule, reason, sequence, actor. */
export function findingsCsv(report: Report): string {
  const lines = [
    csvLine([
      'finding',
      'at',
      'channel',
      'sku',
      'listing',
      'location',
      'verdict',
      'cause',
      'odd_one_out',
      'state',
      'step',
      'old',
      'new',
      'shown',
      'expected_from',
      'expected_to',
      'should_show',
      'rule',
      'reason',
      'sequence',
      'actor',
      'run',
    ]),
  ];
  for (const f of report.findings) {
    for (const step of f.steps) {
      lines.push(
        csvLine([
          f.id,
          iso(step.atMs),
          f.channel,
          f.sku,
          f.listingId,
          f.location,
          f.verdict,
          f.cause,
          f.odd,
          f.state,
          step.what,
          step.from,
          step.to,
          f.shown,
          f.expectedLowest,
          f.expectedHighest,
          f.target,
          f.rule,
          step.reason,
          step.position,
          step.actor,
          f.runId,
        ]),
      );
    }
  }
  return lines.join('');
}

/** Refunds and backorders of every shortfall: one line per order concerned, in the order of refunding. */
export function shortfallsCsv(report: Report): string {
  const lines = [
    csvLine([
      'opened',
      'closed',
      'sku',
      'units_missing',
      'value',
      'currency',
      'cause',
      'reason',
      'channel',
      'sequence',
      'gap_ms',
      'buffer_units',
      'refund_rank',
      'backorder_rank',
      'order_channel',
      'order',
      'order_units',
      'order_placed',
    ]),
  ];
  for (const s of report.shortfalls) {
    const closed = s.closedAtMs === null ? '' : iso(s.closedAtMs);
    const head = [
      iso(s.openedAtMs),
      closed,
      s.sku,
      s.units,
      s.value,
      s.value === null ? '' : report.currency,
      s.cause,
      s.reason,
      s.channel,
      s.sequence,
      s.gapMs,
      s.bufferUnits,
    ];
    if (s.refunds.length === 0) lines.push(csvLine([...head, '', '', '', '', '', '']));
    for (const [rank, order] of s.refunds.entries()) {
      const waits =
        s.backorders.findIndex(
          ({ channel, orderId }) => channel === order.channel && orderId === order.orderId,
        ) + 1;
      lines.push(
        csvLine([...head, rank + 1, waits, order.channel, order.orderId, order.units, iso(order.placedAtMs)]),
      );
    }
  }
  return lines.join('');
}

function iso(atMs: number): string {
  return new Date(atMs).toISOString();
}
