import { Counter, type Registry } from 'prom-client';
import { MovementFeed } from '../http/movements/movement-feed.ts';
import type { MovementStreamOptions } from '../http/movements/movement-stream.ts';
import type { LedgerPart } from './ledger-part.ts';

/** The stream of movements, fed by the daemon's one log reader. */
export function openMovements(ledger: LedgerPart, registry: Registry): MovementStreamOptions {
  const feed = new MovementFeed({ history: ledger.history });
  ledger.reader.add({ onEntries: feed.onEntries });
  const slow = new Counter({
    name: 'stockmesh_movement_streams_cut_total',
    help: 'Streams of movements cut off because their client did not read',
    registers: [registry],
  });
  return { feed, onSlow: () => slow.inc() };
}
