import type { Logger } from 'pino';
import { z } from 'zod';
import { StockmeshError } from '../../domain/errors.ts';
import type { ApiKeys } from '../api/api-keys.ts';
import { agentScopes, callerClasses, type Scope, scopes } from '../api/caller.ts';
import { parseInput, type PrivateRoutes, scoped } from '../private-route.ts';
import { agentId } from '../reservations/fields.ts';

const dayMs = 86_400_000;
const defaults: Readonly<Record<(typeof callerClasses)[number], readonly Scope[]>> = {
  agent: [...agentScopes],
  checkout: ['availability', 'reserve'],
  operator: ['availability', 'reserve', 'read'],
};
const creation = z.strictObject({
  name: z.string().min(1).max(100),
  class: z.enum(callerClasses),
  scopes: z.array(z.enum(scopes)).min(1).optional(),
  agentId: agentId.optional(),
  days: z.int().min(1).max(3_650).optional(),
});
const rotation = z.strictObject({
  id: z.string().max(40),
  graceS: z.int().min(0).max(604_800).default(86_400),
});
const revocation = z.strictObject({ id: z.string().max(40) });

/** API keys: made, listed, rotated and revoked by whoever administers the daemon. */
export function keyRoutes(keys: ApiKeys, nowMs: () => number, log: Logger): PrivateRoutes {
  return (app) => {
    app.get('/keys', scoped('admin'), async () => ({ keys: keys.list() }));

    app.post('/keys', scoped('admin'), async (request) => {
      const { days, ...asked } = parseInput(creation, request.body);
      const chosen = asked.scopes ?? defaults[asked.class];
      const refused = chosen.find((scope) => asked.class === 'agent' && !agentScopes.has(scope));
      if (refused !== undefined)
        throw new StockmeshError('HTTP_REQUEST_INVALID', { reason: `scopes: no agent may have ${refused}` });
      const made = await keys.create({
        ...asked,
        scopes: chosen,
        expiresAtMs: days === undefined ? undefined : nowMs() + days * dayMs,
      });
      log.warn({ key: made.view.id, class: asked.class, scopes: chosen }, 'an API key was made');
      return { ...made.view, token: made.token };
    });

    app.post('/keys/rotate', scoped('admin'), async (request) => {
      const { id, graceS } = parseInput(rotation, request.body);
      const made = await keys.rotate(id, graceS * 1_000);
      if (made === undefined) throw new StockmeshError('HTTP_NOT_FOUND', {});
      log.warn({ key: id, graceS }, 'an API key was rotated');
      return { ...made.view, token: made.token };
    });

    app.post('/keys/revoke', scoped('admin'), async (request) => {
      const { id } = parseInput(revocation, request.body);
      const view = await keys.revoke(id);
      if (view === undefined) throw new StockmeshError('HTTP_NOT_FOUND', {});
      log.warn({ key: id }, 'an API key was revoked');
      return view;
    });
  };
}
