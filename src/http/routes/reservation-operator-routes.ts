import type { Logger } from 'pino';
import { z } from 'zod';
import type { AuditLog } from '../audit/audit-log.ts';
import { callerOf } from '../api/authenticate.ts';
import { parseInput, type PrivateRoutes, scoped } from '../private-route.ts';
import { channel, holdId, reference } from '../reservations/fields.ts';
import type { ReservationService } from '../reservations/service.ts';

/** Payments that are waited for. */
export interface PaymentStore {
  all(kind: 'payments'): Promise<ReadonlyMap<string, string>>;
  drop(kind: 'payments', id: string): Promise<void>;
}

const resolution = z.strictObject({
  hold_id: holdId,
  outcome: z.enum(['paid', 'unpaid']),
  order: z.strictObject({ channel, order_id: reference }).optional(),
});
const note = z.object({ since: z.number(), keyId: z.string(), reference: z.string() });
const maxShown = 1_000;

/** What a person does about holds: payments that hang, the audit log. */
export function reservationOperatorRoutes(
  service: ReservationService,
  payments: PaymentStore,
  audit: Pick<AuditLog, 'verify'>,
  log: Logger,
): PrivateRoutes {
  return (app) => {
    app.get('/inventory/v1/payments-pending', scoped('read'), async (request) => {
      const rows = [];
      for (const [id, text] of await payments.all('payments')) {
        if (rows.length >= maxShown) break;
        const found = await service.get(callerOf(request), id);
        // The hold ended without us: it waits for nobody any more.
        if (!('lines' in found.body) || found.body.state !== 'payment_pending') {
          await payments.drop('payments', id);
          continue;
        }
        const noted = note.safeParse(JSON.parse(text)).data;
        rows.push({
          ...found.body,
          reference: noted?.reference ?? '',
          key_id: noted?.keyId ?? '',
          since: new Date(noted?.since ?? 0).toISOString(),
        });
      }
      return { payments: rows };
    });

    app.post('/inventory/v1/payments-pending/resolve', scoped('operator'), async (request, reply) => {
      const asked = parseInput(resolution, request.body);
      const caller = callerOf(request);
      const outcome =
        asked.outcome === 'paid'
          ? await service.commit(
              caller,
              asked.hold_id,
              asked.order === undefined ? {} : { order: asked.order },
            )
          : await service.release(caller, asked.hold_id);
      log.warn({ hold: asked.hold_id, outcome: asked.outcome }, 'an operator resolved a pending payment');
      reply.code(outcome.status);
      return outcome.body;
    });

    let verifying: Promise<object> | undefined;
    app.post('/audit/verify', scoped('read'), async () => {
      // It reads every file: whoever asks meanwhile gets the same report.
      verifying ??= audit.verify().finally(() => (verifying = undefined));
      return verifying;
    });
  };
}
