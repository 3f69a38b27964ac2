import { StockmeshError } from '../../domain/errors.ts';
import type { RowOutcome, WriteBatch, WriteResult } from '../connector.ts';
import { type JsonRecord, isRecord, listOf, momentOf, textOf } from '../raw-json.ts';
import { idOf } from './ids.ts';
import { platform } from './options.ts';
import { member } from './order-fields.ts';

interface UserError {
  readonly code: string;
  readonly message: string;
  /** Undefined: the error is about the request as a whole. */
  readonly row: number | undefined;
}

/** Errors that will be the same next time, whatever the stock. */
const permanent = new Set([
  'INVALID_INVENTORY_ITEM',
  'INVALID_LOCATION',
  'INVALID_NAME',
  'INVALID_QUANTITY_NAME',
  'INVALID_QUANTITY_NEGATIVE',
  'INVALID_QUANTITY_TOO_HIGH',
  'INVALID_QUANTITY_TOO_LOW',
  'INVALID_REASON',
  'INVALID_REFERENCE_DOCUMENT',
  'ITEM_NOT_STOCKED_AT_LOCATION',
  'NON_MUTABLE_INVENTORY_ITEM',
  'NO_DUPLICATE_INVENTORY_ITEM_ID_GROUP_ID_PAIR',
]);
const stale = new Set(['CHANGE_FROM_QUANTITY_STALE', 'COMPARE_QUANTITY_STALE']);
/** Another request with this key runs, or the service gave up in the middle: repeat with the same key. */
const undecided = new Set(['IDEMPOTENCY_CONCURRENT_REQUEST', 'SERVICE_UNAVAILABLE']);

/** What Shopify's payload says about each row of the batch. */
export function resultOfPayload(batch: WriteBatch, data: Readonly<Record<string, unknown>>): WriteResult {
  const payload = data[batch.kind === 'repair' ? 'inventorySetQuantities' : 'inventoryAdjustQuantities'];
  if (!isRecord(payload))
    return { rows: batch.rows.map(() => ({ kind: 'unknown', reason: 'the answer has no payload' })) };
  const errors = (listOf(payload['userErrors']) ?? []).filter(isRecord).map((error) => userErrorOf(error));
  const group = member(payload, 'inventoryAdjustmentGroup');
  const platformReference = group === undefined ? undefined : textOf(group['id']);
  const reference = platformReference === undefined ? {} : { platformReference };
  // A repair is a new base, which has to be dated. A replay under the same key answers with the first group, and so with
  // the time when it was applied.
  const appliedAtMs = batch.kind === 'repair' ? momentOf(group?.['createdAt']) : undefined;
  const applied: RowOutcome = { kind: 'confirmed', ...(appliedAtMs === undefined ? {} : { appliedAtMs }) };

  for (const error of errors) {
    if (error.code === 'IDEMPOTENCY_KEY_PARAMETER_MISMATCH')
      throw new StockmeshError('CONNECTOR_KEY_MISMATCH', { platform, reference: batch.reference });
  }
  if (errors.length === 0) {
    if (group !== undefined) return { rows: batch.rows.map(() => applied), ...reference };
    // Recorded only for batches without any change, and those are not sent.
    return {
      rows: batch.rows.map(() => ({ kind: 'unknown', reason: 'neither a change nor an error was answered' })),
    };
  }
  const changed = group === undefined ? new Set<string>() : changedListings(group);
  const whole = errors.find((error) => error.row === undefined);
  const rows = batch.rows.map((row, index): RowOutcome => {
    const own = errors.find((error) => error.row === index);
    if (own !== undefined) return outcomeOf(own);
    // Every record shows that a batch with an error changed nothing; should a group come all the same, it is the evidence.
    if (changed.has(row.ref.key)) return applied;
    if (whole !== undefined) return outcomeOf(whole);
    return group === undefined
      ? { kind: 'not-applied' }
      : { kind: 'unknown', reason: 'the batch was applied in part' };
  });
  return { rows, ...reference };
}

function outcomeOf(error: UserError): RowOutcome {
  if (stale.has(error.code)) return { kind: 'stale' };
  if (undecided.has(error.code)) return { kind: 'unknown', reason: error.code };
  if (error.code === 'IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED') return { kind: 'key-spent', reason: error.code };
  const reason = error.message === '' ? error.code : `${error.code}: ${error.message}`;
  return { kind: 'rejected', reason, isPermanent: permanent.has(error.code) };
}

/** The row stands in the path: `["input", "changes", "3", "changeFromQuantity"]`. */
function userErrorOf(error: JsonRecord): UserError {
  const path = listOf(error['field']) ?? [];
  const list = path.findIndex((name) => name === 'changes' || name === 'quantities');
  const index = list === -1 ? Number.NaN : Number(path[list + 1]);
  return {
    code: textOf(error['code']) ?? 'UNKNOWN',
    message: (textOf(error['message']) ?? '').slice(0, 300),
    row: Number.isSafeInteger(index) && index >= 0 ? index : undefined,
  };
}

function changedListings(group: JsonRecord): Set<string> {
  const keys = new Set<string>();
  for (const change of (listOf(group['changes']) ?? []).filter(isRecord)) {
    const itemId = idOf(member(change, 'item')?.['id']);
    const locationId = idOf(member(change, 'location')?.['id']);
    if (change['name'] === 'available' && itemId !== undefined && locationId !== undefined)
      keys.add(`${itemId}@${locationId}`);
  }
  return keys;
}
