import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import type { Config } from '../config/configuration.ts';
import type { ChannelId } from '../domain/ids.ts';
import type { Authenticate } from '../http/api/authenticate.ts';
import { defaultListenerLimits } from '../http/listener.ts';
import type { PrivateRoutes } from '../http/private-route.ts';
import { createPrivateServer } from '../http/private-server.ts';
import { createPublicServer } from '../http/public-server.ts';
import type { Ingest, IngestChannel } from '../mesh/ingest.ts';
import type { Redactor } from '../telemetry/redactor.ts';
import { type DaemonParts, privatePorts } from './private-ports.ts';
import { publicPorts } from './public-ports.ts';

export interface ListenersOptions {
  readonly config: Config;
  readonly log: Logger;
  readonly registry: Registry;
  readonly redactor: Redactor;
  readonly version: string;
  readonly parts: DaemonParts;
  readonly channels: ReadonlyMap<ChannelId, IngestChannel>;
  readonly ingest: Ingest;
  /** Of the private listener, besides those of `PrivatePorts`. */
  readonly routes: readonly PrivateRoutes[];
  readonly authenticate: Authenticate;
}

/** The two listeners over the running parts; neither listens yet. */
export function createListeners(options: ListenersOptions): {
  readonly privateApp: FastifyInstance;
  readonly publicApp: FastifyInstance;
} {
  const { config, log, registry, version, parts, routes } = options;
  const { maxApiBodyBytes, maxBodyBytes } = config.limits;
  const { tls } = config.http.private;
  return {
    privateApp: createPrivateServer({
      limits: {
        ...defaultListenerLimits,
        maxBodyBytes: maxApiBodyBytes,
        maxConnections: config.limits.maxApiConnections,
      },
      host: config.http.private.host,
      ports: privatePorts(parts),
      routes,
      registry,
      log,
      version,
      authenticate: options.authenticate,
      tls: tls && { cert: tls.certFile.reveal(), key: tls.keyFile.reveal() },
    }),
    publicApp: createPublicServer(publicPorts({ ...options, maxBodyBytes })),
  };
}
