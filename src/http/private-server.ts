import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import { z } from 'zod';
import { StockmeshError } from '../domain/errors.ts';
import type { ParkedEntry } from '../ledger/contract.ts';
import { createListener, type ListenerLimits } from './listener.ts';
import type { Readiness } from './readiness.ts';

/** One SKU as the daemon's copy of the ledger has it. */
export interface StockAnswer {
  readonly sku: string;
  readonly available: number;
  readonly locations: readonly {
    readonly location: string;
    readonly onHand: number;
    readonly committed: number;
    readonly reserved: number;
    readonly available: number;
  }[];
}

export interface PositionAnswer {
  readonly epoch: number;
  readonly seq: number;
  /** How long ago the copy was last known to be the ledger's newest. */
  readonly ageMs: number;
}

export interface LostAnswer {
  readonly id: string;
  readonly kind: string;
  readonly sku: string;
  readonly location: string;
  readonly units: number;
  readonly channel: string;
  readonly reference: string;
}

export interface LedgerAnswer extends PositionAnswer {
  /** Why it takes no commands; null while it does. */
  readonly halted: string | null;
  /** What was seen and is gone. */
  readonly lost: readonly LostAnswer[];
}

export type ReappliedAnswer = LostAnswer & { readonly outcome: string; readonly detail: string };

/** What the private listener shows and does; the composition connects it to the parts. */
export interface PrivatePorts {
  readiness(): Promise<Readiness>;
  position(): PositionAnswer;
  stock(skus: readonly string[]): readonly StockAnswer[];
  /** SKUs in a stable order, after the given one. */
  stockPage(after: string | undefined, limit: number): readonly StockAnswer[];
  channels(): readonly object[];
  parked(limit: number, after: string | undefined): Promise<readonly ParkedEntry[]>;
  parkedCount(): Promise<number>;
  retryParked(id: string): Promise<'retried' | 'gone'>;
  discardParked(id: string): Promise<void>;
  ledgerState(): Promise<LedgerAnswer>;
  confirmLoss(actor: string): Promise<readonly ReappliedAnswer[]>;
  verifyLedger(): Promise<object>;
  vaultState(): Promise<object>;
  rotateVault(): Promise<object>;
}

export interface PrivateServerOptions {
  readonly limits: ListenerLimits;
  readonly host: string;
  readonly ports: PrivatePorts;
  readonly registry: Registry;
  readonly log: Logger;
  readonly version: string;
}

const page = z.object({
  limit: z.coerce.number().int().min(1).max(1_000).default(100),
  after: z.string().max(600).optional(),
});
const stockQuery = page.extend({
  sku: z.union([z.string().max(255), z.array(z.string().max(255)).max(500)]).optional(),
});
const lossConfirmation = z.strictObject({ actor: z.string().min(1).max(200) });
const parkedAction = z.strictObject({ id: z.string().min(1).max(600) });

/**
 * The private listener: health, metrics and what an operator asks. It has no credentials of its own, so it listens on
 * this machine unless configured; a browser on this machine is kept out by the checks of `fromBrowser`.
 */
export function createPrivateServer(options: PrivateServerOptions): FastifyInstance {
  const { ports, registry, log } = options;
  const app = createListener(options.limits, log);
  const startedAtMs = performance.now();

  app.addHook('onRequest', async (request) => {
    const reason = fromBrowser(options.host, request.headers);
    if (reason !== undefined) throw new StockmeshError('HTTP_REQUEST_INVALID', { reason });
  });

  app.get('/healthz', async () => ({
    status: 'ok',
    version: options.version,
    uptimeS: Math.floor((performance.now() - startedAtMs) / 1_000),
  }));

  app.get('/readyz', async (_request, reply) => {
    const readiness = await ports.readiness();
    reply.code(readiness.isReady ? 200 : 503);
    return { status: readiness.isReady ? 'ready' : 'not-ready', checks: readiness.checks };
  });

  app.get('/metrics', async (_request, reply) => {
    reply.type(registry.contentType);
    return registry.metrics();
  });

  app.get('/position', async () => ports.position());

  app.get('/stock', async (request) => {
    const { sku, limit, after } = parse(stockQuery, request.query);
    const skus = typeof sku === 'string' ? [sku] : sku;
    const rows = skus === undefined ? ports.stockPage(after, limit) : ports.stock(skus);
    const known = new Set(rows.map((row) => row.sku));
    return {
      ...ports.position(),
      skus: rows,
      unknown: skus?.filter((asked) => !known.has(asked)) ?? [],
      next: skus === undefined && rows.length === limit ? rows.at(-1)?.sku : undefined,
    };
  });

  app.get('/channels', async () => ({ channels: ports.channels() }));

  app.get('/parked', async (request) => {
    const { limit, after } = parse(page, request.query);
    const rows = await ports.parked(limit, after);
    return {
      total: await ports.parkedCount(),
      rows: rows.map((row) => ({ ...row, content: jsonOrText(row.content) })),
      next: rows.length === limit ? rows.at(-1)?.id : undefined,
    };
  });

  app.get('/ledger', async () => ports.ledgerState());

  let verifying: Promise<object> | undefined;
  app.post('/ledger/verify', async () => {
    // It reads everything there is: one at a time, and whoever asks meanwhile gets the same report.
    verifying ??= ports.verifyLedger().finally(() => (verifying = undefined));
    return verifying;
  });

  app.post('/ledger/confirm-loss', async (request) => {
    const { actor } = parse(lossConfirmation, request.body);
    log.warn({ actor }, 'an operator confirms the loss of ledger entries');
    return { entries: await ports.confirmLoss(actor) };
  });

  app.get('/vault', async () => ports.vaultState());

  app.post('/vault/rotate', async () => ports.rotateVault());

  app.post('/parked/retry', async (request) => {
    const { id } = parse(parkedAction, request.body);
    const outcome = await ports.retryParked(id);
    if (outcome === 'gone') throw new StockmeshError('HTTP_NOT_FOUND', {});
    return { id, outcome };
  });

  app.post('/parked/discard', async (request) => {
    const { id } = parse(parkedAction, request.body);
    await ports.discardParked(id);
    log.warn({ id }, 'an operator discarded a parked row');
    return { id, outcome: 'discarded' };
  });
  return app;
}

function parse<T>(schema: z.ZodType<T>, input: unknown): T {
  const parsed = schema.safeParse(input);
  if (parsed.success) return parsed.data;
  const reason = parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; ');
  throw new StockmeshError('HTTP_REQUEST_INVALID', { reason });
}

/**
 * A page of another site in a browser of this machine could send requests here (and, by a name that resolves to
 * 127.0.0.1, read the answers). Both show in the headers.
 */
function fromBrowser(
  host: string,
  headers: Readonly<Record<string, string | string[] | undefined>>,
): string | undefined {
  const site = headers['sec-fetch-site'];
  if (typeof site === 'string' && site !== 'same-origin' && site !== 'none')
    return 'requests of other sites are refused';
  if (!isLoopback(host)) return undefined;
  const asked = (headers['host'] as string | undefined)?.replace(/:\d+$/, '').replace(/^\[|\]$/g, '') ?? host;
  return isLoopback(asked) ? undefined : 'the host name is not of this machine';
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(?:\.\d{1,3}){3}$/.test(host);
}

function jsonOrText(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
