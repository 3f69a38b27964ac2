import { randomBytes } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { type FastifyInstance, fastify } from 'fastify';
import type { Logger } from 'pino';
import { StockmeshError } from '../domain/errors.ts';
import { answerClass, identify } from './answer-headers.ts';
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
  log: Pick<Logger, 'error'>,
  tls?: { readonly cert: string; readonly key: string },
): FastifyInstance {
  let isClosing = false;
  const server = {
    ServerResponse: answerClass(() => isClosing),
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
    routerOptions: { maxParamLength: 200, compile: true },
    ...(tls === undefined ? { http: server } : { https: { ...server, ...tls, minVersion: 'TLSv1.2' } }),
  }) as FastifyInstance;
  app.server.maxConnections = limits.maxConnections;
  app.setNotFoundHandler((request, reply) => sendProblem(request, reply, 'HTTP_NOT_FOUND', {}));
  app.setErrorHandler(async (error, request, reply) => {
    const whose = await sendThrown(request, reply, error);
    if (whose === 'defect')
      log.error({ err: error, requestId: request.id, route: request.routeOptions.url }, 'request failed');
  });
  app.addHook('preClose', async () => {
    isClosing = true;
  });
  return app;
}

/** Ids that no other process makes, and that cost nothing: they name requests, they open nothing. */
function requestIds(): (request: IncomingMessage) => string {
  const prefix = randomBytes(9).toString('base64url');
  let count = 0;
  return (request) => identify(request, `${prefix}.${(++count).toString(36)}`);
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
