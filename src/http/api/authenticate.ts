import type { FastifyInstance, FastifyRequest } from 'fastify';
import { StockmeshError } from '../../domain/errors.ts';
import { type Caller, isAllowed } from './caller.ts';

/** Who calls; throws HTTP_UNAUTHENTICATED or HTTP_RATE_LIMITED. */
export type Authenticate = (request: FastifyRequest) => Caller;

declare module 'fastify' {
  interface FastifyRequest {
    /** Of the private listener, once the request was admitted; read with `callerOf`. */
    caller: Caller | null;
  }
}

const nobody: Caller = { keyId: 'nobody', class: 'agent', scopes: new Set() };

/** Who sent the request: whoever calls an open address is nobody. */
export function callerOf(request: FastifyRequest): Caller {
  return request.caller ?? nobody;
}

/**
 * Holds every request against `problemOf` (a reason to refuse it whoever sent it) and the scope of its route before its
 * body is read: a stranger's bytes are not parsed. One hook, because each costs every request a turn through the framework.
 */
export function checkCallers(
  app: FastifyInstance,
  authenticate: Authenticate,
  problemOf: (request: FastifyRequest) => string | undefined,
): void {
  app.decorateRequest('caller', null);
  app.addHook('onRequest', (request, _reply, done) => {
    const reason = problemOf(request);
    if (reason !== undefined) return done(new StockmeshError('HTTP_REQUEST_INVALID', { reason }));
    const { scope } = request.routeOptions.config;
    // Without a scope there is no route: the answer is 404, and a stranger learns nothing from it.
    if (request.is404 || scope === undefined || scope === 'open') return done();
    let caller: Caller;
    try {
      caller = authenticate(request);
    } catch (error) {
      return done(error as Error);
    }
    if (!isAllowed(caller, scope)) return done(new StockmeshError('HTTP_FORBIDDEN', { scope }));
    request.caller = caller;
    done();
  });
}
