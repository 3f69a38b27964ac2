import type { FastifyReply, FastifyRequest } from 'fastify';
import type { PrivateRoutes } from '../private-route.ts';
import { callerOf } from './authenticate.ts';
import { jsonOf } from './json-text.ts';
import type { Route } from './route.ts';
import { compileValidator } from './validators.ts';

/** The validator has put what the schemas made of them in their place; `route` has checked that their types agree. */
type Validated = Pick<Parameters<Route['handler']>[0], 'params' | 'query' | 'headers' | 'body'>;

/** How the routes of one table tell errors; absent: as every other (RFC 9457). */
export type ErrorHandler = (error: unknown, request: FastifyRequest, reply: FastifyReply) => unknown;

/** A table of routes as routes of the private listener. */
export function tableRoutes(routes: readonly Route[], errorHandler?: ErrorHandler): PrivateRoutes {
  return (app) => {
    app.setValidatorCompiler(compileValidator);
    // Answers are made by us and typed; parsing each again would cost more than making it.
    app.setSerializerCompiler(() => jsonOf);
    for (const route of routes) {
      const { schemas } = route;
      app.route({
        method: route.method,
        url: route.url,
        config: { scope: route.scope },
        ...(errorHandler === undefined ? {} : { errorHandler }),
        schema: {
          ...(schemas.params === undefined ? {} : { params: schemas.params }),
          ...(schemas.query === undefined ? {} : { querystring: schemas.query }),
          ...(schemas.headers === undefined ? {} : { headers: schemas.headers }),
          ...(schemas.body === undefined ? {} : { body: schemas.body }),
          ...(schemas.answers === undefined ? {} : { response: schemas.answers }),
          summary: route.summary,
          tags: [route.tag],
          hide: route.isHidden ?? false,
          security: route.scope === 'open' ? [] : [{ apiKey: [route.scope] }],
        },
        // Not async: a promise more for every answer, and none at all for one that is ready.
        handler: (request, reply) => {
          const { params, query, body } = request as Validated;
          return route.handler({
            caller: callerOf(request),
            params,
            query,
            headers: schemas.headers === undefined ? undefined : request.headers,
            body,
            request,
            reply,
          });
        },
      });
    }
  };
}
