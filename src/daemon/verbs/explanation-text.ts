import type { HistoryRow } from '../../reconcile/exports.ts';
import type { ExplainedListing, Explanation } from '../../reconcile/explain.ts';

/** `GET /explain`. */
export type ExplanationAnswer = Omit<Explanation, 'movements'> & {
  readonly movements: readonly HistoryRow[];
};

/** The explanation as a person reads it in a terminal. */
export function explanationText(told: ExplanationAnswer): string {
  if (told.sequence === null)
    return `${told.sku}: the ledger has no movement of it${told.isPast ? ' by then' : ''}\n`;
  const lines = [
    `${told.sku}  available ${told.available}  ${told.isPast ? 'as of' : 'newest entry'} ${told.sequence} (${iso(told.atMs)})`,
    ...told.levels.map(({ location, onHand, committed, reserved, available }) => {
      return `  ${location}: on hand ${onHand} - committed ${committed} - reserved ${reserved} = available ${available}`;
    }),
    ...section('orders not shipped', told.orders, (order) => {
      return `${order.channel} ${order.reference}: ${order.units} since ${order.sinceId}`;
    }),
    ...section('holds', told.holds, (hold) => `${hold.reference}: ${hold.units} since ${hold.sinceId}`),
    ...section('held back until a drop is explained', told.provisional, (one) => {
      return `${one.channel} ${one.reference}: ${one.units} since ${one.sinceId}`;
    }),
  ];
  for (const { channel, mode, status, circuit, attention, listings, lastWrites } of told.channels) {
    lines.push(
      `${channel}  mode ${mode}, ${status}, circuit ${circuit}${attention === '' ? '' : `: ${attention}`}`,
    );
    if (listings.length === 0 && !told.isPast) lines.push('  does not list this SKU');
    for (const listing of listings) lines.push(...listingLines(listing));
    if (told.isPast) lines.push(...writeLines(lastWrites));
  }
  const movements = told.movements.map((row) => {
    const change = `on hand ${row.onHandBefore} -> ${row.onHandAfter}, available ${row.availableBefore} -> ${row.availableAfter}`;
    return `  ${row.sequence} ${row.at} ${row.kind} ${row.channel} ${row.reference} at ${row.location}: ${change} (${row.actor}${row.reason === '' ? '' : `: ${row.reason}`})`;
  });
  return `${[...lines, `newest ${told.movements.length} of ${told.entries} movements`, ...movements].join('\n')}\n`;
}

function listingLines(listing: ExplainedListing): readonly string[] {
  const { lastReading } = listing;
  const read =
    lastReading === null
      ? 'never read'
      : `read ${lastReading.value} ${Math.round(lastReading.ageMs / 1_000)} s ago, ${listing.takenSince} sold there since`;
  return [
    `  ${listing.listingId}: shows ${listing.belief ?? '?'}, ought to show ${listing.target} (${read})`,
    `    ${listing.steps.map(({ rule, setting, units }) => `${rule} ${setting} -> ${units}`).join(' | ')}`,
    ...listing.hindrances.map((hindrance) => `    ! ${hindrance}`),
    ...listing.openWrites.map(({ from, to, outcome }) => `    open write ${from} -> ${to}: ${outcome}`),
    ...writeLines(listing.lastWrites),
  ];
}

function writeLines(records: ExplainedListing['lastWrites']): readonly string[] {
  return records.map(({ atMs, kind, from, to, outcome, rule, reason, sequence }) => {
    const why = [rule, reason].filter((text) => text !== '').join(', ');
    return `    ${iso(atMs)} ${kind} ${from} -> ${to} ${outcome} for ${sequence}${why === '' ? '' : ` (${why})`}`;
  });
}

function section<T>(title: string, rows: readonly T[], line: (row: T) => string): readonly string[] {
  return rows.length === 0 ? [] : [`${title}:`, ...rows.map((row) => `  ${line(row)}`)];
}

function iso(atMs: number | null): string {
  return atMs === null ? '' : new Date(atMs).toISOString();
}
