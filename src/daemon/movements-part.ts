import { Counter, type Registry } from 'prom-client';
import { tableRoutes } from '../http/api/register-routes.ts';
import type { Route } from '../http/api/route.ts';
import { MovementFeed } from '../http/movements/movement-feed.ts';
import { movementStream } from '../http/movements/movement-stream.ts';
import type { PrivateRoutes } from '../http/private-route.ts';
import type { LedgerPart } from './ledger-part.ts';

/** The stream of movements, fed by the daemon's one log reader. */
export function openMovements(
  ledger: LedgerPart,
  registry: Registry,
): { readonly table: readonly Route[]; readonly routes: PrivateRoutes } {
  const feed = new MovementFeed({ history: ledger.history });
  ledger.reader.add({ onEntries: feed.onEntries });
  const slow = new Counter({
    name: 'stockmesh_movement_streams_cut_total',
    help: 'Streams of movements cut off because their client did not read',
    registers: [registry],
  });
  const stream = movementStream({ feed, onSlow: () => slow.inc() });
  return {
    table: [stream.route],
    routes: (app) => {
      tableRoutes([stream.route])(app);
      stream.endWith(app);
    },
  };
}
