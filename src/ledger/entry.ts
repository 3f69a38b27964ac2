import type { ChannelId, LocationId, Sku } from '../domain/ids.ts';
import { type Movement, movementKindsByCode } from '../domain/movement.ts';
import { StockmeshError } from '../domain/errors.ts';
import { US } from './keys.ts';
import { parsePosition } from './position.ts';

const fieldCount = 17;

/** One entry of the log with every field read. The log reader's hot path reads only the fields it needs. */
export function parseEntry(id: string, sku: string, packed: string): Movement {
  const fields = packed.split(US);
  const kind = movementKindsByCode.get(fields[0] ?? '');
  if (kind === undefined || fields.length !== fieldCount) {
    throw new StockmeshError('LEDGER_ENTRY_UNREADABLE', { id, fields: fields.length });
  }
  const text = (index: number): string => fields[index] ?? '';
  const units = (index: number): number => (fields[index] === '' ? 0 : Number(fields[index]));
  const { epoch, seq } = parsePosition(id);
  return {
    id,
    epoch,
    seq,
    kind,
    sku: sku as Sku,
    location: text(1) as LocationId,
    units: units(2),
    deltaOnHand: units(3),
    deltaCommitted: units(4),
    deltaReserved: units(5),
    onHand: units(6),
    committed: units(7),
    reserved: units(8),
    version: units(9),
    channel: text(10) as ChannelId | '',
    reference: text(11),
    line: text(12),
    operationId: text(13),
    actor: text(14),
    atMs: epoch * 1_000 + units(15),
    extra: text(16),
  };
}
