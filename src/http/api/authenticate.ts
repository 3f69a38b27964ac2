import type { FastifyInstance, FastifyRequest, onRequestHookHandler } from 'fastify';
import { StockmeshError } from '../../domain/errors.ts';
import { type Caller, isAllowed, type Scope } from './caller.ts';

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
 * body is read: a stranger's bytes are not parsed. Hooks of every request are not async: each promise of one costs as
 * much as what it does. Routes come after it.
 */
export function checkCallers(
  app: FastifyInstance,
  authenticate: Authenticate,
  problemOf: (request: FastifyRequest) => string | undefined,
): void {
  app.decorateRequest('caller', null);
  app.addHook('onRequest', (request, _reply, done) => {
    const reason = problemOf(request);
    if (reason === undefined) done();
    else done(new StockmeshError('HTTP_REQUEST_INVALID', { reason }));
  });
  // Without a route there is no scope: the answer is 404, and a stranger learns nothing from it.
  app.addHook('onRoute', (route) => {
    const scope = route.config?.scope;
    if (scope === undefined) throw new TypeError(`${String(route.method)} ${route.url} says no scope`);
    // Of the route, not looked up for each request: what a request tells of its route is made anew whenever it is asked.
    if (scope !== 'open')
      route.onRequest = [callerCheck(scope, authenticate), ...[route.onRequest ?? []].flat()];
  });
}

function callerCheck(scope: Scope, authenticate: Authenticate): onRequestHookHandler {
  return (request, _reply, done) => {
    let caller: Caller;
    try {
      caller = authenticate(request);
    } catch (error) {
      return done(error as Error);
    }
    if (!isAllowed(caller, scope)) return done(new StockmeshError('HTTP_FORBIDDEN', { scope }));
    request.caller = caller;
    done();
  };
}
