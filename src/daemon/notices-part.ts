import type { Redis } from 'ioredis';
import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import type { Config } from '../config/configuration.ts';
import type { NoticePorts } from '../http/routes/notice-routes.ts';
import { NoticeCommands } from '../ledger/notice-commands.ts';
import { RecordCommands } from '../ledger/record-commands.ts';
import type { AlertSink } from '../mesh/alerts/alert.ts';
import type { MeshKeys } from '../mesh/mesh-keys.ts';
import { NoticeMetrics } from '../mesh/notices/notice-metrics.ts';
import { Notices } from '../mesh/notices/notices.ts';
import type { CataloguePart } from './catalogue-part.ts';
import type { LedgerPart } from './ledger-part.ts';

export interface NoticesPartOptions {
  readonly config: Config;
  readonly ledger: LedgerPart;
  readonly catalogue: CataloguePart;
  readonly queues: Redis;
  readonly keys: MeshKeys;
  readonly holder: string;
  readonly alerts: AlertSink;
  readonly registry: Registry;
  readonly log: Logger;
  readonly version: string;
}

export interface NoticesPart {
  readonly ports: NoticePorts;
  start(): Promise<void>;
  close(): Promise<void>;
}

/** Outgoing webhooks; without an endpoint nothing follows the log for them. */
export function openNotices(options: NoticesPartOptions): NoticesPart {
  const { config, ledger, catalogue, keys, log } = options;
  const { endpoints, ...settings } = config.webhooks;
  const metrics = new NoticeMetrics(options.registry);
  if (endpoints.length === 0) {
    const none = { view: async () => [], dead: async () => undefined, enable: async () => undefined };
    return { ports: none, start: async () => undefined, close: async () => undefined };
  }
  const { projection } = ledger;
  const { crossings, catalogue: terms } = catalogue;
  const notices = new Notices({
    endpoints,
    commands: new NoticeCommands(ledger.scripts),
    lease: ledger.publisher,
    holder: options.holder,
    history: ledger.history,
    view: {
      get position() {
        return projection.position;
      },
      skus: function* () {
        yield* projection.skus();
        yield* terms.bundles();
      },
      statusOf: (sku) => crossings.statusOf(sku),
      availableOf: (sku) => crossings.availableOf(sku),
      bundlesWith: (sku) => terms.bundlesWith(sku),
    },
    redis: options.queues,
    queuePrefix: keys.queuePrefix,
    records: new RecordCommands(ledger.scripts),
    metrics,
    nowMs: () => ledger.ledger.nowMs(),
    log,
    version: options.version,
    onDisabled: (endpoint, reason) =>
      options.alerts.raise({
        rule: 'endpoint-disabled',
        key: endpoint,
        severity: 'critical',
        text: `Webhooks to the endpoint ${endpoint} failed for too long (${reason}); it is not called until you run: stockmesh endpoints enable ${endpoint}`,
        facts: { endpoint, reason },
      }),
    onEnabled: (endpoint) => options.alerts.resolve('endpoint-disabled', endpoint),
    settings,
  });
  ledger.reader.add({ onEntries: notices.onEntries });
  return {
    ports: notices,
    start: () => notices.start(),
    close: () => notices.close(),
  };
}
