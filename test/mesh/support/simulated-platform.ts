import type {
  Connector,
  ConnectorCapabilities,
  ListingRef,
  OrderPage,
  PlatformLine,
  PlatformOrder,
  PollRequest,
  RowOutcome,
  StockRead,
  WriteBatch,
  WriteResult,
} from '../../../src/connectors/connector.ts';
import { StockmeshError } from '../../../src/domain/errors.ts';
import { noUnits } from '../../../src/domain/order.ts';

/** What happens to the next write request. */
export type WriteFault =
  /** The request never arrives. */
  | { readonly kind: 'lost-request' }
  /** Applied, and nobody hears of it. */
  | { readonly kind: 'lost-answer' }
  | { readonly kind: 'throttled'; readonly forMs: number }
  | { readonly kind: 'denied' }
  | { readonly kind: 'key-spent' }
  | { readonly kind: 'throws' }
  /** Waits before it does anything until `release` settles. */
  | { readonly kind: 'held'; readonly release: Promise<void> };

/**
 * A platform with deltas, compare-and-set and idempotency keys, as a connector sees it. It sells on its own, its orders
 * become visible to polls after `orderIndexLagMs`, and it keeps an audit of every change it applied.
 */
export class SimulatedPlatform implements Connector {
  readonly platform = 'simulated';
  readonly capabilities: ConnectorCapabilities;
  readonly stock = new Map<string, number>();
  /** Every write request that arrived, in order, also those that were refused. */
  readonly requests: WriteBatch[] = [];
  /** Every row that changed a number. */
  readonly applied: {
    readonly key: string;
    readonly listing: string;
    readonly delta: number;
    readonly value: number;
  }[] = [];
  readonly poisoned = new Set<string>();
  /** Rows that make the platform refuse the whole request without saying which it was. */
  readonly refusesUnnamed = new Set<string>();
  readonly inactive = new Set<string>();
  readonly faults: WriteFault[] = [];
  reads = 0;
  readonly readKeys: string[] = [];
  walks = 0;
  /** A poll that has begun is answered when this settles. */
  beforePoll: ((walk: number) => Promise<void>) | undefined;
  /** Milliseconds each write takes. */
  writeTakesMs = 0;
  appliesAfterMs = 20;
  isDown = false;
  maxInFlight = 0;
  #inFlight = 0;
  readonly #orders: PlatformOrder[] = [];
  readonly #answers = new Map<string, { readonly rows: string; readonly result: WriteResult }>();

  constructor(capabilities: Partial<ConnectorCapabilities> = {}) {
    this.capabilities = {
      writes: 'delta',
      idempotencyKey: true,
      idempotencyWindowMs: 24 * 3_600_000,
      lowerBatchSize: 250,
      raiseBatchSize: 10,
      fetchOrdersBatchSize: 50,
      readStockBatchSize: 250,
      zeroAllowed: true,
      perLocation: true,
      pushes: true,
      applyGraceMs: 0,
      longestApplyMs: 0,
      readLagMs: 0,
      orderIndexLagMs: 0,
      requestTimeoutMs: 1_000,
      ...capabilities,
    };
  }

  /** A buyer takes units at the platform: it lowers its own number at once. */
  sell(listing: string, units: number, orderId = `order-${this.#orders.length + 1}`): PlatformOrder {
    this.stock.set(listing, (this.stock.get(listing) ?? 0) - units);
    const [itemId = '', locationId = ''] = listing.split('@');
    const line: PlatformLine = {
      lineId: '1',
      sku: itemId,
      itemId,
      counters: { ...noUnits, ordered: units, takenOut: units },
      takenIsKnown: true,
      committedAt: [{ locationId, units }],
    };
    const nowMs = Date.now();
    const order: PlatformOrder = {
      orderId,
      placedAtMs: nowMs,
      changedAtMs: nowMs,
      sourceName: 'web',
      lines: [line],
      isPartial: false,
    };
    this.#orders.push(order);
    return order;
  }

  /** The order is cancelled; whether its units go back on the listing is the platform's own affair. */
  cancel(orderId: string, givesBack: boolean): PlatformOrder {
    const index = this.#orders.findIndex((order) => order.orderId === orderId);
    const before = this.#orders[index];
    if (before === undefined) throw new Error(`no order ${orderId}`);
    const lines = before.lines.map((line) => {
      const units = line.counters.ordered;
      const place = `${line.itemId}@${line.committedAt?.[0]?.locationId}`;
      if (givesBack) this.stock.set(place, (this.stock.get(place) ?? 0) + units);
      return { ...line, counters: { ...line.counters, cancelled: units, givenBack: givesBack ? units : 0 } };
    });
    const order = { ...before, lines, changedAtMs: Date.now() };
    this.#orders[index] = order;
    return order;
  }

  verifyWebhook(): never {
    throw new Error('not used');
  }
  parseWebhook(): never {
    throw new Error('not used');
  }
  subscribe(): never {
    throw new Error('not used');
  }
  checkSubscriptions(): never {
    throw new Error('not used');
  }
  checkAccess() {
    return Promise.resolve({ kind: 'ok' as const, account: 'simulated', scopes: [] });
  }

  async *pollOrders(request: PollRequest): AsyncIterable<OrderPage> {
    this.#assertUp();
    this.walks++;
    const beganAtMs = Date.now();
    const sinceMs = request.cursor === null ? request.sinceMs : Number(request.cursor) - request.overlapMs;
    const visibleUntilMs = beganAtMs - this.capabilities.orderIndexLagMs;
    await this.beforePoll?.(this.walks);
    const orders = this.#orders.filter(
      (order) => order.changedAtMs >= sinceMs && order.changedAtMs <= visibleUntilMs,
    );
    const cursor = String(beganAtMs);
    yield { orders, parked: [], cursor, walk: { upperBoundMs: beganAtMs, cursor } };
  }

  fetchOrders(orderIds: readonly string[]) {
    const orders = this.#orders.filter((order) => orderIds.includes(order.orderId));
    return Promise.resolve({ orders, parked: [] });
  }

  async *readListings() {
    await Promise.resolve();
    const listings = [...this.stock].map(([key, value]) => {
      const [itemId = '', locationId = ''] = key.split('@');
      const ref = { key, itemId, locationId };
      return { ref, sku: itemId, barcode: null, title: null, value, readAtMs: Date.now(), problems: [] };
    });
    yield { listings, parked: [], cursor: null };
  }

  readStock(listings: readonly ListingRef[]): Promise<StockRead> {
    this.#assertUp();
    this.reads++;
    this.readKeys.push(...listings.map(({ key }) => key));
    const readAtMs = Date.now();
    const known = listings.filter((ref) => this.stock.has(ref.key));
    const rows = known.map((ref) => ({
      key: ref.key,
      value: this.stock.get(ref.key) ?? 0,
      readAtMs,
      isActive: !this.inactive.has(ref.key),
    }));
    const missing = listings.filter((ref) => !this.stock.has(ref.key)).map((ref) => ref.key);
    return Promise.resolve({ rows, missing, parked: [] });
  }

  async write(batch: WriteBatch): Promise<WriteResult> {
    this.requests.push(batch);
    this.#inFlight++;
    this.maxInFlight = Math.max(this.maxInFlight, this.#inFlight);
    try {
      this.#assertUp();
      const fault = this.faults.shift();
      if (this.writeTakesMs > 0) await new Promise((resolve) => setTimeout(resolve, this.writeTakesMs));
      const everyRow = (outcome: RowOutcome): WriteResult => ({ rows: batch.rows.map(() => outcome) });
      switch (fault?.kind) {
        case 'held':
          await fault.release;
          return this.#apply(batch);
        case 'throws':
          throw new StockmeshError('CONNECTOR_UNREACHABLE', {
            platform: this.platform,
            operation: 'write',
            reason: 'socket hang up',
          });
        case 'lost-request':
          return everyRow({ kind: 'unknown', reason: 'timeout' });
        case 'lost-answer':
          this.#apply(batch);
          return everyRow({ kind: 'unknown', reason: 'timeout' });
        case 'throttled':
          return { ...everyRow({ kind: 'not-applied' }), throttledForMs: fault.forMs };
        case 'denied':
          throw new StockmeshError('CONNECTOR_ACCESS_DENIED', {
            platform: this.platform,
            operation: 'write',
            reason: 'the token was revoked',
            remedy: 'Install the app again.',
          });
        case 'key-spent':
          return everyRow({ kind: 'key-spent', reason: 'previous attempt failed' });
        case undefined:
          return this.#apply(batch);
      }
    } finally {
      this.#inFlight--;
    }
  }

  #apply(batch: WriteBatch): WriteResult {
    if (this.capabilities.writes === 'absolute') return this.#accept(batch);
    const rows = JSON.stringify([batch.kind, batch.rows]);
    const answered = this.#answers.get(batch.key);
    if (answered !== undefined) {
      if (answered.rows !== rows) throw new Error(`key ${batch.key} was sent with other variables`);
      return answered.result;
    }
    const result = this.#run(batch);
    this.#answers.set(batch.key, { rows, result });
    return result;
  }

  /** Plain numbers: taken now, shown after `appliesAfterMs`, whatever was sold in between. */
  #accept(batch: WriteBatch): WriteResult {
    setTimeout(() => {
      for (const row of batch.rows) {
        const before = this.stock.get(row.ref.key) ?? 0;
        this.stock.set(row.ref.key, row.to);
        this.applied.push({ key: batch.key, listing: row.ref.key, delta: row.to - before, value: row.to });
      }
    }, this.appliesAfterMs);
    return { rows: batch.rows.map(() => ({ kind: 'accepted' })) };
  }

  /** All or nothing, as Shopify does it. */
  #run(batch: WriteBatch): WriteResult {
    if (batch.rows.some((row) => this.refusesUnnamed.has(row.ref.key))) {
      const refusal: RowOutcome = { kind: 'rejected', reason: 'the request was refused', isPermanent: true };
      return { rows: batch.rows.map(() => refusal) };
    }
    const refusals = batch.rows.map((row): RowOutcome | undefined => {
      if (this.poisoned.has(row.ref.key))
        return { kind: 'rejected', reason: 'the item cannot be changed', isPermanent: true };
      if (batch.kind === 'lower' || batch.kind === 'put') return undefined;
      return this.stock.get(row.ref.key) === row.from ? undefined : { kind: 'stale' };
    });
    if (refusals.some((refusal) => refusal !== undefined)) {
      return { rows: refusals.map((refusal) => refusal ?? { kind: 'not-applied' }) };
    }
    for (const row of batch.rows) {
      const before = this.stock.get(row.ref.key) ?? 0;
      const value = batch.kind === 'put' || batch.kind === 'repair' ? row.to : before + row.to - row.from;
      this.stock.set(row.ref.key, value);
      this.applied.push({ key: batch.key, listing: row.ref.key, delta: value - before, value });
    }
    return { rows: batch.rows.map(() => ({ kind: 'confirmed' })) };
  }

  #assertUp(): void {
    if (!this.isDown) return;
    throw new StockmeshError('CONNECTOR_UNREACHABLE', {
      platform: this.platform,
      operation: 'anything',
      reason: 'connection refused',
    });
  }
}
