import { join } from 'node:path';
import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import { catalogueRules } from '../config/catalogue.ts';
import type { Config } from '../config/configuration.ts';
import { Catalogue } from '../domain/catalogue.ts';
import type { LocationId } from '../domain/ids.ts';
import { ApiKeys } from '../http/api/api-keys.ts';
import type { Authenticate } from '../http/api/authenticate.ts';
import { keyAuthenticator } from '../http/api/key-authenticator.ts';
import { AuditLog } from '../http/audit/audit-log.ts';
import type { AuditHead } from '../http/audit/audit-verify.ts';
import { CheckoutDesk } from '../http/checkout/checkout-desk.ts';
import { LedgerReservations } from '../http/reservations/ledger-reservations.ts';
import { PacedReservations } from '../http/reservations/paced-reservations.ts';
import { Receipts } from '../http/reservations/receipts.ts';
import { ReservationMetrics } from '../http/reservations/reservation-metrics.ts';
import { ReservationWatch } from '../http/reservations/reservation-watch.ts';
import type { ReservationSettings } from '../http/reservations/settings.ts';
import { StockRules } from '../http/reservations/stock-view.ts';
import { CheckoutCommands } from '../ledger/checkout-commands.ts';
import { IdempotencyCommands } from '../ledger/idempotency-commands.ts';
import { RecordCommands } from '../ledger/record-commands.ts';
import type { AlertSink } from '../mesh/alerts/alert.ts';
import type { Redactor } from '../telemetry/redactor.ts';
import type { BuiltChannels } from './build-channels.ts';
import type { LedgerPart } from './ledger-part.ts';
import { operatorToken } from './operator-token.ts';
import type { PrivateRoutePorts } from './private-routes.ts';
import { sourceFigures } from './source-figures.ts';
import type { VaultPart } from './vault-part.ts';

export interface ReservationsPart {
  readonly authenticate: Authenticate;
  readonly ports: Pick<
    PrivateRoutePorts,
    'service' | 'desk' | 'answers' | 'payments' | 'audit' | 'keys' | 'nowMs'
  >;
  close(): Promise<void>;
}

export interface ReservationsPartOptions {
  readonly config: Config;
  readonly ledger: LedgerPart;
  readonly vault: VaultPart;
  readonly channels: BuiltChannels['channels'];
  /** Names this daemon: its audit log is its own. */
  readonly holder: string;
  readonly registry: Registry;
  readonly redactor: Redactor;
  readonly alerts: AlertSink;
  readonly log: Logger;
}

/** A request is answered or given up within the listener's own time-out: after that its key is free. */
const inFlightMs = 30_000;
/** What a platform may ask of a cart or a checkout that is over. */
const keepCheckoutsMs = 48 * 3_600_000;

/** Holds, availability, API keys and the audit log of one daemon. */
export async function openReservations(options: ReservationsPartOptions): Promise<ReservationsPart> {
  const { config, ledger, vault, channels, holder, registry, redactor, log } = options;
  const { reservations } = config;
  const nowMs = (): number => ledger.ledger.nowMs();
  const records = new RecordCommands(ledger.scripts);
  const keys = new ApiKeys(records, nowMs, (error) => log.warn({ err: error }, 'API keys were not read'));
  await keys.start();
  const headName = `audit:${holder}`;
  const audit = await AuditLog.open({
    directory: join(config.dataDir, 'audit'),
    segmentBytes: reservations.audit.segmentBytes,
    maxSegments: reservations.audit.maxSegments,
    registry,
    onError: (error) => log.error({ err: error }, 'decisions could not be written to the audit log'),
    keepHead: async ({ n, hash }) => {
      await ledger.mesh.moveCursor(headName, `${n}:${hash}`, 'opaque');
    },
    keptHead: async () => headOf(await ledger.mesh.cursor(headName)),
  });
  const token = await operatorToken(config.dataDir);
  redactor.keep(token);
  const settings = settingsOf(config);
  const metrics = new ReservationMetrics(registry);
  ledger.reader.add({ onEntries: (entries) => metrics.follow(entries) });
  const watch = new ReservationWatch(metrics, options.alerts);
  watch.start();
  const rules = catalogueRules(config.catalogue);
  const { keepPercent, keepUnits, maxUnitsPerSku } = reservations.agents;
  const agents = { keepPercent, keepUnits, agentCapUnits: maxUnitsPerSku, ...given(rules.default.agents) };
  const idempotency = new IdempotencyCommands(ledger.scripts, {
    inFlightMs,
    keepMs: reservations.idempotencyKeepMs,
  });
  const ledgerService = new LedgerReservations({
    ledger: ledger.ledger,
    epoch: () => ledger.scripts.epoch ?? ledger.projection.position.epoch,
    copy: ledger.projection,
    records,
    idempotency,
    rules: new StockRules(new Catalogue({ ...rules, default: { ...rules.default, agents } }), settings),
    settings,
    channels: new Set(config.channels.map(({ id }) => id)),
    audit,
    receipts: new Receipts(vault.derivedKeys('receipts')),
    metrics,
    history: () => ledger.wholeHistory(),
    askSource: sourceFigures(channels, reservations.availability.sourceTimeoutMs),
    reviewOversold: (holdId, sku, units) => {
      log.warn({ hold: holdId, sku, units }, 'held beyond what is there, by the allowance');
      const entry = {
        id: `oversold-hold:${holdId}:${sku}`,
        channel: '' as const,
        what: 'oversold-hold',
        reference: holdId,
        reason: `${units} of ${sku} were held beyond what is there: decide within 24 h`,
        content: JSON.stringify({ hold: holdId, sku, units }),
        parkedAtMs: nowMs(),
        times: 1,
      };
      ledger.mesh.park(entry).catch((error: unknown) => log.error({ err: error, entry }, 'not parked'));
    },
  });
  const service = new PacedReservations(ledgerService, settings);
  const desk = new CheckoutDesk({
    service: ledgerService,
    keepPace: (caller) => service.keepPace(caller),
    store: new CheckoutCommands(ledger.scripts, keepCheckoutsMs),
    stages: settings.stages,
    nowMs,
  });
  return {
    ports: { service, desk, answers: idempotency, payments: records, audit, keys, nowMs },
    authenticate: keyAuthenticator({
      keys,
      operatorToken: token,
      isLoopbackOnly: /^(?:localhost|::1|127(?:\.\d{1,3}){3})$/.test(config.http.private.host),
    }),
    async close() {
      watch.close();
      keys.close();
      await audit.close();
    },
  };
}

function settingsOf({ reservations, locations }: Config): ReservationSettings {
  const { agents, checkouts, queue } = reservations;
  return {
    locations: reservations.locations ?? locations.map(({ id }): LocationId => id),
    stages: reservations.stages,
    maxExtensions: reservations.maxExtensions,
    agents: { ...agents, pace: { perSecond: agents.requestsPerSecond, burst: agents.burst } },
    checkouts: { ...checkouts, pace: { perSecond: checkouts.requestsPerSecond, burst: checkouts.burst } },
    queue: { ...queue, skus: new Set(queue.skus) },
    availability: reservations.availability,
    audit: reservations.audit,
  };
}

function headOf(text: string | null): AuditHead | undefined {
  const match = /^(\d+):([0-9a-f]{64})$/.exec(text ?? '');
  return match === null ? undefined : { n: Number(match[1]), hash: match[2] ?? '' };
}

function given<Row extends object>(row: Row | undefined): Partial<Row> {
  return Object.fromEntries(
    Object.entries(row ?? {}).filter(([, value]) => value !== undefined),
  ) as Partial<Row>;
}
