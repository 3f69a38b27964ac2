import type { ChannelId, LocationId, Sku } from '../../../src/domain/ids.ts';
import type { Movement } from '../../../src/domain/movement.ts';

const start: Movement = {
  id: '',
  epoch: 7,
  seq: 0,
  kind: 'received',
  sku: 'X' as Sku,
  location: 'main' as LocationId,
  units: 0,
  deltaOnHand: 0,
  deltaCommitted: 0,
  deltaReserved: 0,
  onHand: 0,
  committed: 0,
  reserved: 0,
  version: 0,
  channel: '',
  reference: '',
  line: '',
  operationId: '',
  actor: 'test',
  atMs: 0,
  extra: '',
};

/** Entries of one level in order, their absolutes added up from the deltas; a second apart unless they say otherwise. */
export function movementsOf(...changes: readonly Partial<Movement>[]): readonly Movement[] {
  const level = { onHand: 0, committed: 0, reserved: 0 };
  return changes.map((change, index) => {
    const seq = index + 1;
    const entry = { ...start, atMs: seq * 1_000, ...change, seq, id: `7-${seq}` };
    level.onHand += entry.deltaOnHand;
    level.committed += entry.deltaCommitted;
    level.reserved += entry.deltaReserved;
    return { ...entry, ...level };
  });
}

/** An order of one line: heard at `heardAtMs` by the ledger, placed at `placedAtMs` on the platform. */
export function orderOf(
  channel: string,
  orderId: string,
  units: number,
  placedAtMs: number,
  heardAtMs: number,
): Partial<Movement> {
  return {
    kind: 'ordered',
    channel: channel as ChannelId,
    reference: orderId,
    units,
    deltaCommitted: units,
    atMs: heardAtMs,
    extra: `listing;${units};${placedAtMs}`,
  };
}

export async function* inPages(entries: readonly Movement[], size = 2): AsyncGenerator<readonly Movement[]> {
  for (let at = 0; at < entries.length; at += size) yield entries.slice(at, at + size);
}
