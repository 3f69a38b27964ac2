import type { Logger } from 'pino';
import { z } from 'zod';
import { StockmeshError } from '../../domain/errors.ts';
import { parseInput, type PrivateRoutes, scoped } from '../private-route.ts';

export interface NoticePorts {
  view(): Promise<readonly object[]>;
  dead(endpoint: string, limit: number): Promise<readonly object[] | undefined>;
  enable(endpoint: string): Promise<number | undefined>;
}

const limit = z.coerce.number().int().min(1).max(1_000).default(100);
const deadQuery = z.object({ endpoint: z.string().min(1).max(40), limit });
const enableBody = z.strictObject({ endpoint: z.string().min(1).max(40) });

/** Endpoints of outgoing webhooks: how they fare, what could not be delivered, and calling one again. */
export function noticeRoutes(ports: NoticePorts, log: Logger): PrivateRoutes {
  return (app) => {
    app.get('/endpoints', scoped('read'), async () => ({ endpoints: await ports.view() }));

    app.get('/endpoints/dead', scoped('read'), async (request) => {
      const asked = parseInput(deadQuery, request.query);
      const rows = await ports.dead(asked.endpoint, asked.limit);
      if (rows === undefined) throw new StockmeshError('HTTP_NOT_FOUND', {});
      return { rows };
    });

    app.post('/endpoints/enable', scoped('operator'), async (request) => {
      const { endpoint } = parseInput(enableBody, request.body);
      const sentAgain = await ports.enable(endpoint);
      if (sentAgain === undefined) throw new StockmeshError('HTTP_NOT_FOUND', {});
      log.warn({ endpoint, sentAgain }, 'an operator enabled an endpoint');
      return { endpoint, sentAgain };
    });
  };
}
