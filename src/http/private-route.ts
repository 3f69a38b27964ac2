import type { FastifyInstance } from 'fastify';
import type { z } from 'zod';
import { StockmeshError } from '../domain/errors.ts';
import type { Scope } from './api/caller.ts';

/** `open`: everybody who reaches the listener. */
export type RouteScope = 'open' | Scope;

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Declared by every route of the private listener; one without it is refused when it is registered. */
    scope?: RouteScope;
  }
}

/** Routes of one subject: made by the composition with what they need, registered on the private listener. */
export type PrivateRoutes = (app: FastifyInstance) => void;

/** As the second argument of `app.get` and `app.post`: `scoped('operator')`. */
export function scoped(scope: RouteScope): { readonly config: { readonly scope: RouteScope } } {
  return { config: { scope } };
}

/** What was sent, as the schema has it; otherwise HTTP_REQUEST_INVALID with the names of the parameters. */
export function parseInput<T>(schema: z.ZodType<T>, input: unknown): T {
  const parsed = schema.safeParse(input);
  if (parsed.success) return parsed.data;
  const reason = parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; ');
  throw new StockmeshError('HTTP_REQUEST_INVALID', { reason });
}
