import type { Logger } from 'pino';
import { z } from 'zod';
import { StockmeshError } from '../../domain/errors.ts';
import type { OversellReviews } from '../../mesh/oversell-reviews.ts';
import { parseInput, type PrivateRoutes, scoped } from '../private-route.ts';

const listQuery = z.strictObject({
  show: z.enum(['open', 'all']).default('open'),
  limit: z.coerce.number().int().min(1).max(10_000).default(1_000),
});
const resolution = z.strictObject({
  id: z.string().min(1).max(600),
  actor: z.string().min(1).max(200),
  reason: z.string().trim().min(1).max(1_000),
});

/** Orders sold beyond stock by an allowance, and what a person said of each. */
export function reviewRoutes(reviews: Pick<OversellReviews, 'list' | 'resolve'>, log: Logger): PrivateRoutes {
  return (app) => {
    app.get('/reviews', scoped('read'), async (request) => {
      const { show, limit } = parseInput(listQuery, request.query);
      return { reviews: await reviews.list(show, limit) };
    });

    app.post('/reviews/resolve', scoped('operator'), async (request) => {
      const { id, actor, reason } = parseInput(resolution, request.body);
      const outcome = await reviews.resolve(id, actor, reason);
      if (outcome === 'unknown') throw new StockmeshError('HTTP_NOT_FOUND', {});
      if (outcome === 'resolved')
        throw new StockmeshError('HTTP_REQUEST_INVALID', { reason: 'somebody has resolved it before' });
      log.warn({ id, actor, reason }, 'an order sold beyond stock was looked at');
      return outcome;
    });
  };
}
