import type { IncomingHttpHeaders } from 'node:http';
import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import { type Authenticate, checkCallers } from './api/authenticate.ts';
import { createListener, type ListenerLimits } from './listener.ts';
import type { PrivateRoutes } from './private-route.ts';
import { type HealthPorts, healthRoutes } from './routes/health-routes.ts';
import { type LedgerPorts, ledgerRoutes } from './routes/ledger-routes.ts';
import { type ParkedPorts, parkedRoutes } from './routes/parked-routes.ts';
import { type StockPorts, stockRoutes } from './routes/stock-routes.ts';

/** What the private listener shows and does; the composition connects it to the parts. */
export type PrivatePorts = HealthPorts & StockPorts & ParkedPorts & LedgerPorts;

export interface PrivateServerOptions {
  readonly limits: ListenerLimits;
  readonly host: string;
  readonly ports: PrivatePorts;
  /** Routes of further subjects, each from its file in `routes/`. */
  readonly routes?: readonly PrivateRoutes[] | undefined;
  readonly registry: Registry;
  readonly log: Logger;
  readonly version: string;
  readonly authenticate: Authenticate;
  readonly tls?: { readonly cert: string; readonly key: string } | undefined;
}

/**
 * The private listener: reservations, health, metrics and what an operator asks. Who may call what is decided by
 * `authenticate` and the scope of each route; a browser on this machine is kept out by the checks of `fromBrowser`.
 */
export function createPrivateServer(options: PrivateServerOptions): FastifyInstance {
  const { ports, registry, log, version } = options;
  const app = createListener(options.limits, log, options.tls);

  // Everything here is JSON; what a form of another site can send without asking first is not taken at all.
  app.removeContentTypeParser('text/plain');
  const problemOf = fromBrowser(options.host);
  checkCallers(app, options.authenticate, ({ raw }) => problemOf(raw.headers));

  for (const register of [
    ...(options.routes ?? []),
    healthRoutes(ports, registry, version),
    stockRoutes(ports),
    parkedRoutes(ports, log),
    ledgerRoutes(ports, log),
  ]) {
    register(app);
  }
  return app;
}

/**
 * A page of another site in a browser of this machine could send requests here (and, by a name that resolves to
 * 127.0.0.1, read the answers). Both show in the headers. Answers why a request is refused.
 */
function fromBrowser(host: string): (headers: IncomingHttpHeaders) => string | undefined {
  const isOurs = isLoopback(host);
  // Nearly all name the same one.
  let lastGood: string | undefined;
  return (headers) => {
    const site = headers['sec-fetch-site'];
    if (typeof site === 'string' && site !== 'same-origin' && site !== 'none')
      return 'requests of other sites are refused';
    if (!isOurs) return undefined;
    const asked = headers.host;
    if (asked === undefined || asked === lastGood) return undefined;
    if (!isLoopback(asked.replace(/:\d+$/, '').replace(/^\[|\]$/g, '')))
      return 'the host name is not of this machine';
    lastGood = asked;
    return undefined;
  };
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(?:\.\d{1,3}){3}$/.test(host);
}
