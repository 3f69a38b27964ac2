import type { Logger } from 'pino';
import type { ApiKeys } from '../http/api/api-keys.ts';
import { tableRoutes } from '../http/api/register-routes.ts';
import type { AuditLog } from '../http/audit/audit-log.ts';
import { acpRoutes, acpTable } from '../http/checkout/acp-routes.ts';
import type { AnswerStore } from '../http/checkout/answered-once.ts';
import type { CheckoutDesk } from '../http/checkout/checkout-desk.ts';
import { ucpRoutes, ucpTable } from '../http/checkout/ucp-routes.ts';
import { mcpRoutes } from '../http/mcp/mcp-routes.ts';
import { movementStream, type MovementStreamOptions } from '../http/movements/movement-stream.ts';
import { openApiRoutes } from '../http/openapi/openapi-routes.ts';
import type { PrivateRoutes } from '../http/private-route.ts';
import { reservationRoutes } from '../http/reservations/routes.ts';
import type { ReservationService } from '../http/reservations/service.ts';
import { alertRoutes } from '../http/routes/alert-routes.ts';
import { channelRoutes } from '../http/routes/channel-routes.ts';
import { driftRoutes } from '../http/routes/drift-routes.ts';
import { historyRoutes } from '../http/routes/history-routes.ts';
import { keyRoutes } from '../http/routes/key-routes.ts';
import { type MappingPorts, mappingRoutes } from '../http/routes/mapping-routes.ts';
import { noticeRoutes } from '../http/routes/notice-routes.ts';
import { reportRoutes } from '../http/routes/report-routes.ts';
import { reviewRoutes } from '../http/routes/review-routes.ts';
import { type PaymentStore, reservationOperatorRoutes } from '../http/routes/reservation-operator-routes.ts';

/** What the routes of the private listener are made of, beside those every listener has. */
export interface PrivateRoutePorts {
  /** False: another daemon answers agents and checkouts (roles without `api`). */
  readonly servesAgents?: boolean | undefined;
  readonly service: ReservationService;
  readonly desk: CheckoutDesk;
  readonly answers: AnswerStore;
  readonly payments: PaymentStore;
  readonly audit: Pick<AuditLog, 'verify'>;
  readonly keys: ApiKeys;
  readonly nowMs: () => number;
  readonly movements: MovementStreamOptions;
  readonly alerts: Parameters<typeof alertRoutes>[0];
  readonly history: Parameters<typeof historyRoutes>[0];
  readonly drift: Parameters<typeof driftRoutes>[0];
  readonly reports: Parameters<typeof reportRoutes>[0];
  readonly channels: Parameters<typeof channelRoutes>[0];
  readonly notices: Parameters<typeof noticeRoutes>[0];
  readonly reviews: Parameters<typeof reviewRoutes>[0];
  readonly mapping: MappingPorts;
}

/**
 * Every route the daemon adds to its private listener, in one place: the test of scopes walks what this makes, so a route
 * that is registered elsewhere does not exist. `tables` of callers from outside make the OpenAPI document as well.
 */
export function privateRoutes(
  ports: PrivateRoutePorts,
  version: string,
  log: Logger,
): readonly PrivateRoutes[] {
  const { service, desk, answers } = ports;
  const reservations = reservationRoutes(service);
  const acp = acpTable(desk, service, answers);
  const ucp = ucpTable(desk, service, answers);
  const movements = movementStream(ports.movements);
  const forAgents: readonly PrivateRoutes[] = [
    tableRoutes(reservations),
    acpRoutes(acp, log),
    ucpRoutes(ucp, log),
    openApiRoutes([...reservations, ...acp, ...ucp, movements.route], version),
    mcpRoutes(service, version, log),
  ];
  return [
    ...(ports.servesAgents === false ? [] : forAgents),
    tableRoutes([movements.route]),
    (app) => movements.endWith(app),
    reservationOperatorRoutes(service, ports.payments, ports.audit, log),
    keyRoutes(ports.keys, ports.nowMs, log),
    alertRoutes(ports.alerts),
    historyRoutes(ports.history),
    driftRoutes(ports.drift, log),
    reportRoutes(ports.reports),
    channelRoutes(ports.channels, log),
    noticeRoutes(ports.notices, log),
    reviewRoutes(ports.reviews, log),
    mappingRoutes(ports.mapping, log),
  ];
}
