import type { Registry } from 'prom-client';
import { type PrivateRoutes, scoped } from '../private-route.ts';
import type { Readiness } from '../readiness.ts';

export interface HealthPorts {
  readiness(): Promise<Readiness>;
}

/** What a supervisor and Prometheus ask. */
export function healthRoutes(ports: HealthPorts, registry: Registry, version: string): PrivateRoutes {
  const startedAtMs = performance.now();
  return (app) => {
    app.get('/healthz', scoped('open'), async () => ({
      status: 'ok',
      version,
      uptimeS: Math.floor((performance.now() - startedAtMs) / 1_000),
    }));

    app.get('/readyz', scoped('open'), async (_request, reply) => {
      const readiness = await ports.readiness();
      reply.code(readiness.isReady ? 200 : 503);
      return { status: readiness.isReady ? 'ready' : 'not-ready', checks: readiness.checks };
    });

    app.get('/metrics', scoped('read'), async (_request, reply) => {
      reply.type(registry.contentType);
      return registry.metrics();
    });
  };
}
