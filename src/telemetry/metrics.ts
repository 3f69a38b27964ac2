import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';

/**
 * The registry every part declares its metrics in, with the process's own. Metrics are named
 * `stockmesh_<what>_<unit>`; a test keeps docs/operations.md in step with the names in the code.
 */
export function createMetricsRegistry(): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  return registry;
}

/** What the daemon knows about its Redis, embedded or not. */
export class RedisMetrics {
  readonly up: Gauge;
  readonly restarts: Counter;
  readonly refusals: Counter<'setting'>;
  readonly checkSeconds: Histogram;

  constructor(registry: Registry) {
    const registers = [registry];
    this.up = new Gauge({
      name: 'stockmesh_redis_up',
      help: '1 while Redis answers and its settings are right',
      registers,
    });
    this.restarts = new Counter({
      name: 'stockmesh_redis_restarts_total',
      help: 'Times the embedded redis-server had to be started again',
      registers,
    });
    this.refusals = new Counter({
      name: 'stockmesh_redis_refusals_total',
      help: 'Checks that found a setting of Redis wrong',
      labelNames: ['setting'],
      registers,
    });
    this.checkSeconds = new Histogram({
      name: 'stockmesh_redis_check_seconds',
      help: 'Time of one round of checks',
      buckets: [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 2],
      registers,
    });
  }
}
