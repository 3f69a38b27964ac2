import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import type { Config } from '../config/configuration.ts';
import type { StockmeshError } from '../domain/errors.ts';
import type { ChannelId } from '../domain/ids.ts';
import type { Authenticate } from '../http/api/authenticate.ts';
import { defaultListenerLimits } from '../http/listener.ts';
import type { PrivateRoutes } from '../http/private-route.ts';
import { createPrivateServer } from '../http/private-server.ts';
import { Reception } from '../http/reception.ts';
import type { Ingest, IngestChannel } from '../mesh/ingest.ts';
import type { Redactor } from '../telemetry/redactor.ts';
import { doorbellSource } from './connectors.ts';
import { type DaemonParts, privatePorts } from './private-ports.ts';
import { openAddresses, publicPorts } from './public-ports.ts';
import type { ListeningAddress, WebhookThread } from './webhook-thread/webhook-thread.ts';

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
  /** Calls when a channel was switched on or off. */
  readonly onModeChanged: (listener: () => void) => void;
  readonly onFatal: (error: StockmeshError) => void;
}

/** The private listener over the running parts; it does not listen yet. */
export function createPrivateListener(options: ListenersOptions): FastifyInstance {
  const { config, log, registry, version, parts, routes } = options;
  const { tls } = config.http.private;
  return createPrivateServer({
    limits: {
      ...defaultListenerLimits,
      maxBodyBytes: config.limits.maxApiBodyBytes,
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
  });
}

/** The public listener over the running parts. It listens. */
export async function openPublicListener(
  thread: WebhookThread,
  options: ListenersOptions,
): Promise<ListeningAddress> {
  const { config, channels, log } = options;
  const { host, port } = config.http.public;
  const address = await thread.listen({
    wish: {
      host,
      port,
      limits: { ...defaultListenerLimits, maxBodyBytes: config.limits.maxBodyBytes },
      open: openAddresses(channels),
      doorbells: config.channels.flatMap((channel) => doorbellSource(channel) ?? []),
    },
    reception: new Reception(publicPorts(options)),
    log,
    onLost: options.onFatal,
  });
  options.onModeChanged(() => thread.setOpen(openAddresses(channels)));
  return address;
}
