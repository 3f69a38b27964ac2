import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FastifyInstance } from 'fastify';
import pino from 'pino';
import { Registry } from 'prom-client';
import { Catalogue, type CatalogueRules, noCatalogue } from '../../../src/domain/catalogue.ts';
import { Secret } from '../../../src/domain/secret.ts';
import { ApiKeys, type NewKey } from '../../../src/http/api/api-keys.ts';
import { keyAuthenticator } from '../../../src/http/api/key-authenticator.ts';
import { tableRoutes } from '../../../src/http/api/register-routes.ts';
import { AuditLog } from '../../../src/http/audit/audit-log.ts';
import { acpRoutes, acpTable } from '../../../src/http/checkout/acp-routes.ts';
import { CheckoutDesk } from '../../../src/http/checkout/checkout-desk.ts';
import { ucpRoutes, ucpTable } from '../../../src/http/checkout/ucp-routes.ts';
import { closeListener, defaultListenerLimits } from '../../../src/http/listener.ts';
import { mcpRoutes } from '../../../src/http/mcp/mcp-routes.ts';
import { openApiRoutes } from '../../../src/http/openapi/openapi-routes.ts';
import { createPrivateServer } from '../../../src/http/private-server.ts';
import { LedgerReservations } from '../../../src/http/reservations/ledger-reservations.ts';
import { PacedReservations } from '../../../src/http/reservations/paced-reservations.ts';
import { Receipts } from '../../../src/http/reservations/receipts.ts';
import { ReservationMetrics } from '../../../src/http/reservations/reservation-metrics.ts';
import { reservationRoutes } from '../../../src/http/reservations/routes.ts';
import type { ReservationSettings } from '../../../src/http/reservations/settings.ts';
import { StockRules } from '../../../src/http/reservations/stock-view.ts';
import { keyRoutes } from '../../../src/http/routes/key-routes.ts';
import { reservationOperatorRoutes } from '../../../src/http/routes/reservation-operator-routes.ts';
import { CheckoutCommands } from '../../../src/ledger/checkout-commands.ts';
import { FullHistory, RedisLogTail } from '../../../src/ledger/full-history.ts';
import { IdempotencyCommands } from '../../../src/ledger/idempotency-commands.ts';
import { LogReader } from '../../../src/ledger/log-reader.ts';
import { LedgerProjection } from '../../../src/ledger/projection.ts';
import { RedisProjectionSource } from '../../../src/ledger/projection-snapshot.ts';
import { RecordCommands } from '../../../src/ledger/record-commands.ts';
import { RedisLedger } from '../../../src/ledger/redis-ledger.ts';
import { type LedgerParts, ledgerParts } from '../../support/ledger-parts.ts';
import { connectTestRedis } from '../../support/redis-connections.ts';
import { location } from '../../support/stock.ts';

export const rigSettings: ReservationSettings = {
  locations: [location('main')],
  stages: {
    intent: { defaultTtlMs: 5_000, maxTtlMs: 300_000 },
    checkout: { defaultTtlMs: 30_000, maxTtlMs: 1_800_000 },
    cart: { defaultTtlMs: 900_000, maxTtlMs: 3_600_000 },
    paymentPending: { defaultTtlMs: 3_600_000, maxTtlMs: 604_800_000 },
  },
  maxExtensions: 2,
  agents: {
    maxTransactionsPerSession: 3,
    sessionMs: 60_000,
    pace: { perSecond: 100_000, burst: 100_000 },
  },
  checkouts: {
    keepPercent: 0,
    keepUnits: 0,
    oversellUnits: 0,
    pace: { perSecond: 100_000, burst: 100_000 },
  },
  queue: { skus: new Set(['HOT']), maxWaitMs: 20_000, maxWaiting: 3 },
  // The copy's age in a test process that is starved is no subject of most tests.
  availability: { maxAgeMs: 60_000, ledgerAway: { strict: 'deny', relaxed: 'cached' }, cachedPercent: 50 },
  audit: { denialsPercent: 100, readsPercent: 100 },
};

export interface Answer {
  readonly status: number;
  readonly body: Record<string, unknown> & { readonly [name: string]: never };
  readonly headers: Headers;
}

export interface RigOptions {
  readonly parts?: LedgerParts;
  readonly settings?: Partial<ReservationSettings>;
  readonly catalogue?: CatalogueRules;
  readonly askSource?: (sku: string) => Promise<number | undefined>;
  /** After which the request of a daemon that is gone may be made again. */
  readonly inFlightMs?: number;
  readonly audit?: { readonly segmentBytes: number; readonly maxSegments: number };
  /** Of the listener; its own are longer than a test process is held up. */
  readonly requestLimits?: { readonly requestTimeoutMs: number; readonly headersTimeoutMs: number };
}

/** One daemon's HTTP side over a real ledger, on a real port. */
export class ReservationRig {
  readonly parts: LedgerParts;
  readonly ledger: RedisLedger;
  readonly keys: ApiKeys;
  readonly audit: AuditLog;
  readonly registry: Registry;
  readonly reader: LogReader;
  readonly reviewed: string[];
  readonly url: string;
  readonly #app: FastifyInstance;
  readonly #ownsParts: boolean;

  private constructor(fields: {
    parts: LedgerParts;
    ledger: RedisLedger;
    keys: ApiKeys;
    audit: AuditLog;
    registry: Registry;
    reader: LogReader;
    reviewed: string[];
    url: string;
    app: FastifyInstance;
    ownsParts: boolean;
  }) {
    this.parts = fields.parts;
    this.ledger = fields.ledger;
    this.keys = fields.keys;
    this.audit = fields.audit;
    this.registry = fields.registry;
    this.reader = fields.reader;
    this.reviewed = fields.reviewed;
    this.url = fields.url;
    this.#app = fields.app;
    this.#ownsParts = fields.ownsParts;
  }

  static async start(options: RigOptions = {}): Promise<ReservationRig> {
    const parts = options.parts ?? ledgerParts();
    const log = pino({ level: 'silent' });
    const registry = new Registry();
    await parts.caller.open();
    const ledger = new RedisLedger(parts.caller, parts.clock);
    const records = new RecordCommands(parts.caller);
    const reader = new LogReader({ redis: connectTestRedis(), keys: parts.keys, seen: parts.seen });
    const projection = new LedgerProjection(new RedisProjectionSource(parts.redis, parts.keys, []));
    await projection.start(reader);
    const settings = { ...rigSettings, ...options.settings };
    const keys = new ApiKeys(
      records,
      () => ledger.nowMs(),
      () => undefined,
    );
    await keys.start();
    const metrics = new ReservationMetrics(registry);
    reader.add({ onEntries: (entries) => metrics.follow(entries) });
    let head: { n: number; hash: string } | undefined;
    const audit = await AuditLog.open({
      directory: await mkdtemp(join(tmpdir(), 'sm-audit-')),
      segmentBytes: 1_048_576,
      maxSegments: 4,
      ...options.audit,
      registry,
      onError: () => undefined,
      keepHead: async (kept) => void (head = kept),
      keptHead: async () => head,
    });
    const reviewed: string[] = [];
    const catalogue = options.catalogue ?? {
      ...noCatalogue,
      default: { agents: { keepPercent: 10, agentCapUnits: 5 } },
    };
    const idempotency = new IdempotencyCommands(parts.caller, {
      inFlightMs: options.inFlightMs ?? 30_000,
      keepMs: 60_000,
    });
    const ledgerService = new LedgerReservations({
      ledger,
      epoch: () => parts.caller.epoch ?? 0,
      copy: projection,
      records,
      idempotency,
      rules: new StockRules(new Catalogue(catalogue), settings),
      settings,
      channels: new Set(['shop-a']),
      audit,
      receipts: new Receipts([Buffer.alloc(32, 7)]),
      metrics,
      async *history() {
        const whole = new FullHistory(new RedisLogTail(parts.redis, parts.keys));
        yield* whole.after(await whole.branch());
      },
      askSource: options.askSource ?? (async () => undefined),
      reviewOversold: (_holdId, sku, units) => reviewed.push(`${units} ${sku}`),
    });
    reader.start(projection.position);
    const service = new PacedReservations(ledgerService, settings);
    const desk = new CheckoutDesk({
      service: ledgerService,
      keepPace: (caller) => service.keepPace(caller),
      store: new CheckoutCommands(parts.caller, 60_000),
      stages: settings.stages,
      nowMs: () => ledger.nowMs(),
    });
    const acp = acpTable(desk, service, idempotency);
    const ucp = ucpTable(desk, service, idempotency);
    const app = createPrivateServer({
      limits: {
        ...defaultListenerLimits,
        maxBodyBytes: 20_000,
        ...options.requestLimits,
      },
      host: '127.0.0.1',
      ports: new Proxy({}, { get: () => () => ({}) }) as never,
      routes: [
        tableRoutes(reservationRoutes(service)),
        reservationOperatorRoutes(service, records, audit, log),
        keyRoutes(keys, () => ledger.nowMs(), log),
        acpRoutes(acp, log),
        ucpRoutes(ucp, log),
        mcpRoutes(service, '0', log),
        openApiRoutes([...reservationRoutes(service), ...acp, ...ucp], '0'),
      ],
      registry,
      log,
      version: '0',
      authenticate: keyAuthenticator({
        keys,
        operatorToken: new Secret(`smo_${'o'.repeat(43)}`),
        isLoopbackOnly: true,
      }),
    });
    const url = await app.listen({ host: '127.0.0.1', port: 0 });
    const ownsParts = options.parts === undefined;
    return new ReservationRig({
      parts,
      ledger,
      keys,
      audit,
      registry,
      reader,
      reviewed,
      url,
      app,
      ownsParts,
    });
  }

  /** A request as the caller with the token (absent: this machine without credentials) sends it. */
  async call(
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<Answer> {
    const response = await fetch(`${this.url}${path}`, {
      method,
      headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    return {
      status: response.status,
      body: text.startsWith('{') ? (JSON.parse(text) as never) : ({ text } as never),
      headers: response.headers,
    };
  }

  reserve(body: unknown, headers?: Record<string, string>): Promise<Answer> {
    return this.call('POST', '/inventory/v1/reservations', body, headers);
  }

  on(holdId: unknown, action: string, body: unknown = {}, headers?: Record<string, string>): Promise<Answer> {
    return this.call('POST', `/inventory/v1/reservations/${String(holdId)}/${action}`, body, headers);
  }

  /** The Authorization header of a new key. */
  async key(key: Partial<NewKey> & Pick<NewKey, 'class'>): Promise<Record<string, string>> {
    const { token } = await this.keys.create({
      name: 'test',
      scopes: ['availability', 'reserve'],
      ...key,
    });
    return { authorization: `Bearer ${token}` };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async close(): Promise<void> {
    // A connection whose answer was read this moment may not count as idle yet.
    await closeListener(this.#app, 2_000);
    await this.reader.stop();
    this.keys.close();
    await this.audit.close();
    await rm(this.audit.directory, { recursive: true, force: true });
    if (this.#ownsParts) await this.parts.close();
  }
}
