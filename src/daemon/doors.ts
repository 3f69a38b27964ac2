import type { Logger } from 'pino';
import type { Route } from '../http/api/route.ts';
import { mcpRoutes } from '../http/mcp/mcp-routes.ts';
import { openApiRoutes } from '../http/openapi/openapi-routes.ts';
import type { PrivateRoutes } from '../http/private-route.ts';
import { reservationRoutes } from '../http/reservations/routes.ts';
import type { ReservationService } from '../http/reservations/service.ts';

/** Further ways to the reservation service, and the description of all of them. */
export function doors(
  service: ReservationService,
  others: readonly Route[],
  version: string,
  log: Logger,
): readonly PrivateRoutes[] {
  return [
    openApiRoutes([...reservationRoutes(service), ...others], version),
    mcpRoutes(service, version, log),
  ];
}
