import { z } from 'zod';
import type { Alerts } from '../../mesh/alerts/alerts.ts';
import { parseInput, type PrivateRoutes, scoped } from '../private-route.ts';

const byWhom = z.strictObject({ actor: z.string().min(1).max(200) });

/** What people were, or should be, called for. */
export function alertRoutes(alerts: Pick<Alerts, 'list' | 'test'>): PrivateRoutes {
  return (app) => {
    app.get('/alerts', scoped('read'), async () => ({ alerts: await alerts.list() }));

    app.post('/alerts/test', scoped('operator'), async (request) => {
      const { actor } = parseInput(byWhom, request.body);
      return { senders: await alerts.test(actor) };
    });
  };
}
