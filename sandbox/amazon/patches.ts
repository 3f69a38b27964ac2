import type { AvailabilityChange, Listing, ListingIssue } from './listings.ts';
import type { ViolationKind } from './records.ts';

export interface PatchVerdict {
  readonly changes: readonly AvailabilityChange[];
  readonly issues: readonly ListingIssue[];
  readonly violations: readonly { readonly kind: ViolationKind; readonly detail: string }[];
}

const AVAILABILITY = '/attributes/fulfillment_availability';

/** Semantic check of the patches of one listing, the same for a single call and a feed message. */
export function judgePatches(listing: Listing | undefined, patches: readonly unknown[]): PatchVerdict {
  const changes: AvailabilityChange[] = [];
  const issues: ListingIssue[] = [];
  const violations: { kind: ViolationKind; detail: string }[] = [];
  if (!listing) return { changes, issues: [issue('4000001', 'The SKU does not exist')], violations };
  for (const patch of patches) {
    const { op, path, value } = asRecord(patch);
    if (path !== AVAILABILITY) {
      violations.push({ kind: 'unsupported-operation', detail: `patch of ${String(path)}` });
      issues.push(issue('90000900', `The attribute ${String(path)} cannot be changed here`));
      continue;
    }
    if (op !== 'merge' && op !== 'replace') {
      violations.push({ kind: 'unsupported-operation', detail: `patch operation ${String(op)}` });
      issues.push(issue('90000901', `The operation ${String(op)} is not emulated`));
      continue;
    }
    for (const row of Array.isArray(value) ? value : []) {
      const verdict = judgeRow(listing, op, asRecord(row));
      if (verdict.change) changes.push(verdict.change);
      if (verdict.issue) issues.push(verdict.issue);
      if (verdict.violation) violations.push(verdict.violation);
    }
  }
  if (changes.length === 0 && issues.length === 0)
    issues.push(
      issue('99022', "'fulfillment_availability' does not have enough values. The required minimum is '1'"),
    );
  return { changes: issues.length > 0 ? [] : changes, issues, violations };
}

function judgeRow(
  listing: Listing,
  op: 'merge' | 'replace',
  row: Readonly<Record<string, unknown>>,
): {
  change?: AvailabilityChange;
  issue?: ListingIssue;
  violation?: { kind: ViolationKind; detail: string };
} {
  const { fulfillment_channel_code: code, quantity, lead_time_to_ship_max_days: leadTime } = row;
  if (typeof code !== 'string' || code === '') {
    const text =
      "The field 'fulfillment_channel_code' does not have enough values. The required minimum is '1' value(s).";
    return { issue: issue('99022', text), violation: { kind: 'missing-selector', detail: listing.sku } };
  }
  if (quantity !== undefined && (typeof quantity !== 'number' || !Number.isInteger(quantity) || quantity < 0))
    return { issue: issue('90244', "'quantity' is not a whole number from 0") };
  const isForeign = [...listing.availability.keys()].some((known) => known.startsWith('AMAZON_'));
  const hasLeadTime = (listing.availability.get(code)?.leadTimeDays ?? null) !== null;
  const change: AvailabilityChange = {
    code,
    quantity: typeof quantity === 'number' ? quantity : null,
    leadTimeDays: typeof leadTime === 'number' ? leadTime : op === 'replace' ? null : undefined,
  };
  // Amazon does what it is told: the offer gets a second channel and the stock in its warehouses is stranded.
  if (code === 'DEFAULT' && isForeign)
    return { change, violation: { kind: 'default-on-fba', detail: listing.sku } };
  if (op === 'replace' && hasLeadTime && leadTime === undefined)
    return { change, violation: { kind: 'lead-time-wiped', detail: listing.sku } };
  return { change };
}

function issue(code: string, message: string): ListingIssue {
  return {
    code,
    message,
    severity: 'ERROR',
    categories: ['INVALID_ATTRIBUTE'],
    attributeNames: ['fulfillment_availability'],
  };
}

export function asRecord(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Readonly<Record<string, unknown>>)
    : {};
}
