import { randomBytes } from 'node:crypto';
import { type FastifyInstance, fastify } from 'fastify';
import type { Logger } from 'pino';
import { StockmeshError } from '../domain/errors.ts';
import { sendProblem, sendThrown } from './problem.ts';

export interface ListenerLimits {
  readonly maxBodyBytes: number;
  readonly maxConnections: number;
  readonly headersTimeoutMs: number;
  readonly requestTimeoutMs: number;
}

export const defaultListenerLimits: Omit<ListenerLimits, 'maxBodyBytes'> = {
  maxConnections: 2_000,
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 15_000,
};

/** A Fastify instance with the limits, error answers and request ids both listeners share. */
export function createListener(
  limits: ListenerLimits,
  log: Logger,
  tls?: { readonly cert: string; readonly key: string },
): FastifyInstance {
  const server = {
    headersTimeout: limits.headersTimeoutMs,
    // Node looks for slow senders only this often; its own 30 s would make the limits above meaningless.
    connectionsCheckingInterval: 1_000,
    maxHeaderSize: 16_384,
  };
  const app = fastify({
    logger: false,
    bodyLimit: limits.maxBodyBytes,
    requestTimeout: limits.requestTimeoutMs,
    keepAliveTimeout: 65_000,
    forceCloseConnections: 'idle',
    genReqId: requestIds(),
    requestIdHeader: false,
    // An address the router itself refuses (a parameter too long, a broken escape) belongs to no route.
    frameworkErrors: (error, request, reply) => void sendThrown(request, reply, error),
    routerOptions: { maxParamLength: 200 },
    ...(tls === undefined ? { http: server } : { https: { ...server, ...tls, minVersion: 'TLSv1.2' } }),
  }) as FastifyInstance;
  app.server.maxConnections = limits.maxConnections;
  app.setNotFoundHandler((request, reply) => sendProblem(request, reply, 'HTTP_NOT_FOUND', {}));
  app.setErrorHandler(async (error, request, reply) => {
    const whose = await sendThrown(request, reply, error);
    if (whose === 'defect')
      log.error({ err: error, requestId: request.id, route: request.routeOptions.url }, 'request failed');
  });
  let isClosing = false;
  app.addHook('preClose', async () => {
    isClosing = true;
  });
  // Hooks of every request are not async: each promise of one costs as much as what it does.
  app.addHook('onSend', (request, reply, payload, done) => {
    // A connection that was busy when the closing began would be kept alive after its answer.
    if (isClosing) reply.header('connection', 'close');
    reply.header('x-request-id', request.id);
    reply.header('x-content-type-options', 'nosniff');
    reply.header('cache-control', 'no-store');
    done(null, payload);
  });
  return app;
}

/** Ids that no other process makes, and that cost nothing: they name requests, they open nothing. */
function requestIds(): () => string {
  const prefix = randomBytes(9).toString('base64url');
  let count = 0;
  return () => `${prefix}.${(++count).toString(36)}`;
}

/** Starts listening; answers the address in force (the port may have been 0). */
export async function listenOn(
  app: FastifyInstance,
  { host, port }: { readonly host: string; readonly port: number },
): Promise<{ readonly host: string; readonly port: number }> {
  try {
    await app.listen({ host, port });
  } catch (error) {
    const reason = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
    throw new StockmeshError('LISTEN_FAILED', { address: `${host}:${port}`, reason }, { cause: error });
  }
  const address = app.server.address();
  return { host, port: typeof address === 'object' && address !== null ? address.port : port };
}

/** Takes nothing new, waits at most `graceMs` for what is under way, then cuts it off. */
export async function closeListener(app: FastifyInstance, graceMs: number): Promise<void> {
  const cutOff = setTimeout(() => app.server.closeAllConnections(), graceMs);
  try {
    await app.close();
  } finally {
    clearTimeout(cutOff);
  }
}
