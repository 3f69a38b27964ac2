import type { Logger } from 'pino';
import type {
  Connector,
  ParkedRow,
  ParsedDelivery,
  PlatformOrder,
  ToldLevel,
  WebhookHeaders,
} from '../connectors/connector.ts';
import { StockmeshError } from '../domain/errors.ts';
import type { ChannelId } from '../domain/ids.ts';
import type { LineSnapshot } from '../domain/order.ts';
import type { Ledger, MeshState, OrderRouting } from '../ledger/contract.ts';
import { failpoint } from '../telemetry/failpoint.ts';
import type { BundleBook } from './bundle-history.ts';
import { routingOf } from './channel.ts';
import type { Delivery } from './inbox-job.ts';
import { type LevelNotice, levelNotice } from './level-notice.ts';
import { readOrder } from './line-snapshots.ts';
import type { AppliedOrders, OrderSink } from './order-sink.ts';
import { ParkedLog } from './parked-log.ts';
import { allParked, parkedEntry, parkedOrderOf, parkedRowId } from './parked-rows.ts';
import type { SkuMap } from './sku-map.ts';

export interface IngestChannel {
  readonly connector: Connector;
  readonly map: SkuMap;
}

/** What a delivery may set off besides orders. None of these waits for its work. */
export interface IngestSignals {
  /** Levels of these items changed: read, do not believe. */
  levelsChanged(channel: ChannelId, itemIds: readonly string[], told?: readonly ToldLevel[]): void;
  /** The listing map is out of date; empty: it is not known where. */
  listingsChanged(channel: ChannelId, itemIds: readonly string[]): void;
  accessLost(channel: ChannelId, reason: string): void;
  parked(channel: ChannelId, row: ParkedRow): void;
}

export interface IngestOptions {
  readonly ledger: Pick<Ledger, 'applyOrder' | 'nowMs'>;
  readonly mesh: Pick<MeshState, 'park' | 'unpark' | 'parked'>;
  readonly channels: ReadonlyMap<ChannelId, IngestChannel>;
  readonly signals: IngestSignals;
  /** Absent: no SKU is a bundle. */
  readonly bundles?: BundleBook | undefined;
  /** Figures of an on-hand authority that came by themselves. Throws when the ledger cannot be asked. */
  readonly counted?: (
    channel: ChannelId,
    figures: Pick<ParsedDelivery, 'counts' | 'movements'>,
  ) => Promise<void>;
  readonly log: Logger;
}

const ordersAtOnce = 16;

const maxPlacedOrders = 2_000;

/**
 * From what a platform says to what the ledger does. Every order line ends applied, parked with a reason, or known to be
 * somebody else's stock; all of it may be repeated, because the applied state of the line is its idempotency.
 */
export class Ingest implements OrderSink {
  readonly #options: IngestOptions;
  readonly #parkedLog: ParkedLog;
  /** Orders whose places a fetch has told, newest last, with their lines: their next webhooks need no fetch for it. */
  readonly #placedLines = new Map<string, ReadonlySet<string>>();

  constructor(options: IngestOptions) {
    this.#options = options;
    this.#parkedLog = new ParkedLog(options.log);
  }

  /** Throws when the platform or the ledger cannot be asked: the inbox tries again, and the poll stands behind it. */
  async handleDelivery(delivery: Delivery, signal: AbortSignal): Promise<void> {
    const { channel } = delivery;
    const { connector } = this.#channel(channel);
    const parsed = connector.parseWebhook(Buffer.from(delivery.body), delivery.headers);
    await this.parkRows(channel, parsed.parked);
    await this.#options.counted?.(channel, parsed);
    // An absent line changes nothing, so what a cut list does show may be applied before the whole is fetched.
    const { placed, unplaced } = this.#byPlace(channel, parsed.orders);
    await this.applyPlatformOrders(channel, placed, 'push', delivery.receivedAtMs);
    if (placed.length > 0) await failpoint('ledger-applied');
    const cut = [...placed.filter((order) => order.isPartial), ...unplaced].map((order) => order.orderId);
    const fetched = new Set<string>();
    try {
      await this.fetchOrders(channel, [...new Set([...parsed.orderHints, ...cut])], signal, fetched);
    } finally {
      // Sold at a guessed place is still sold: the other channels must not wait for a platform that does not answer.
      const left = unplaced.filter((order) => !fetched.has(order.orderId));
      await this.applyPlatformOrders(channel, left, 'push', delivery.receivedAtMs);
    }
    const { signals } = this.#options;
    if (parsed.levelHints.length > 0) signals.levelsChanged(channel, parsed.levelHints);
    if (parsed.listingHints.length > 0) signals.listingsChanged(channel, parsed.listingHints);
    if (parsed.accessLost !== undefined) signals.accessLost(channel, parsed.accessLost);
  }

  /** True when the delivery says nothing but which levels to read. */
  ring(channel: ChannelId, raw: Uint8Array, headers: WebhookHeaders): boolean {
    const parsed = this.#channel(channel).connector.parseWebhook(raw, headers);
    const notice = levelNotice(parsed);
    if (notice === undefined) return false;
    this.rung(channel, notice);
    return true;
  }

  /** A doorbell that was read where it came in. */
  rung(channel: ChannelId, { itemIds, told }: LevelNotice): void {
    this.#options.signals.levelsChanged(channel, itemIds, told);
  }

  /** Asks the platform for whole orders and applies them. */
  async fetchOrders(
    channel: ChannelId,
    orderIds: readonly string[],
    signal: AbortSignal,
    fetchedIds?: Set<string>,
  ): Promise<AppliedOrders> {
    const { connector } = this.#channel(channel);
    const batchSize = Math.max(1, connector.capabilities.fetchOrdersBatchSize);
    const total = { orders: 0, movements: 0, parked: 0 };
    for (let start = 0; start < orderIds.length; start += batchSize) {
      const beganAtMs = this.#options.ledger.nowMs();
      const fetched = await connector.fetchOrders(orderIds.slice(start, start + batchSize), signal);
      await this.parkRows(channel, fetched.parked);
      const applied = await this.applyPlatformOrders(channel, fetched.orders, 'fetch', beganAtMs);
      total.orders += applied.orders;
      total.movements += applied.movements;
      total.parked += applied.parked + fetched.parked.length;
      for (const order of fetched.orders) {
        fetchedIds?.add(order.orderId);
        this.#rememberPlaces(channel, order);
      }
    }
    return total;
  }

  /**
   * A webhook of a shop with several places does not say which of them sold. Booked at the wrong one, the listing there
   * would be believed to show less than it does, and the right one would be lowered a second time.
   */
  #byPlace(
    channel: ChannelId,
    orders: readonly PlatformOrder[],
  ): { readonly placed: readonly PlatformOrder[]; readonly unplaced: readonly PlatformOrder[] } {
    const { map } = this.#channel(channel);
    const placed: PlatformOrder[] = [];
    const unplaced: PlatformOrder[] = [];
    for (const order of orders) {
      const known = this.#placedLines.get(`${channel}/${order.orderId}`);
      const isOpen = order.lines.some((line) => map.lacksPlace(line) && known?.has(line.lineId) !== true);
      (isOpen ? unplaced : placed).push(order);
    }
    return { placed, unplaced };
  }

  #rememberPlaces(channel: ChannelId, order: PlatformOrder): void {
    const key = `${channel}/${order.orderId}`;
    // Also where the fetch could not tell (a missing scope): the next one could not either, and the poll asks again.
    const lines = order.lines.map((line) => line.lineId);
    this.#placedLines.delete(key);
    this.#placedLines.set(key, new Set(lines));
    for (const oldest of this.#placedLines.keys()) {
      if (this.#placedLines.size <= maxPlacedOrders) break;
      this.#placedLines.delete(oldest);
    }
  }

  async applyPlatformOrders(
    channel: ChannelId,
    orders: readonly PlatformOrder[],
    source: 'fetch' | 'push',
    beganAtMs: number,
  ): Promise<AppliedOrders> {
    const total = { orders: 0, movements: 0, parked: 0 };
    let oldestMovedMs: number | undefined;
    const unknownItems = new Set<string>();
    for (let start = 0; start < orders.length; start += ordersAtOnce) {
      const some = orders.slice(start, start + ordersAtOnce);
      const results = await Promise.all(
        some.map((order) => this.#applyOne(channel, order, source, beganAtMs, unknownItems)),
      );
      for (const [index, result] of results.entries()) {
        total.orders++;
        total.movements += result.movements;
        total.parked += result.parked;
        if (result.movements > 0)
          oldestMovedMs = Math.min(oldestMovedMs ?? Infinity, some[index]?.changedAtMs ?? Infinity);
      }
    }
    if (unknownItems.size > 0) this.#options.signals.listingsChanged(channel, [...unknownItems]);
    return { ...total, oldestMovedMs };
  }

  async parkRows(channel: ChannelId, rows: readonly ParkedRow[]): Promise<void> {
    for (const row of rows) {
      this.#parkedLog.parked(channel, row);
      this.#options.signals.parked(channel, row);
      await this.#options.mesh.park(parkedEntry(channel, row));
    }
  }

  /**
   * Tries parked orders again, whole and freshly fetched. `concerns` says which: those that wait for a SKU or an item
   * that has become known, or all of them after the configuration changed.
   */
  async replayParked(
    channel: ChannelId,
    concerns: (waiting: { readonly id: string; readonly sku: string; readonly item: string }) => boolean,
    signal: AbortSignal,
  ): Promise<{ readonly tried: number; readonly released: number }> {
    const waiting = new Map<string, string[]>();
    for await (const entry of allParked(this.#options.mesh)) {
      if (entry.channel !== channel) continue;
      const order = parkedOrderOf(entry);
      if (order === undefined) continue;
      if (!concerns({ id: entry.id, sku: order.sku ?? '', item: order.item ?? '' })) continue;
      waiting.set(order.order, [...(waiting.get(order.order) ?? []), entry.id]);
    }
    let released = 0;
    const { connector } = this.#channel(channel);
    const batchSize = Math.max(1, connector.capabilities.fetchOrdersBatchSize);
    const orderIds = [...waiting.keys()];
    for (let start = 0; start < orderIds.length; start += batchSize) {
      const batch = orderIds.slice(start, start + batchSize);
      const beganAtMs = this.#options.ledger.nowMs();
      const fetched = await connector.fetchOrders(batch, signal);
      const stillParked = new Set(fetched.parked.map((row) => parkedRowId(channel, row)));
      await this.parkRows(channel, fetched.parked);
      for (const order of fetched.orders) {
        const result = await this.#applyOne(channel, order, 'fetch', beganAtMs, new Set());
        for (const id of result.parkedIds) stillParked.add(id);
        for (const id of waiting.get(order.orderId) ?? []) {
          if (stillParked.has(id)) continue;
          await this.#options.mesh.unpark(id);
          released++;
        }
      }
    }
    if (released > 0) this.#options.log.info({ channel, released }, 'parked rows were applied');
    return { tried: orderIds.length, released };
  }

  async #applyOne(
    channel: ChannelId,
    order: PlatformOrder,
    source: 'fetch' | 'push',
    beganAtMs: number,
    unknownItems: Set<string>,
  ): Promise<{ movements: number; parked: number; parkedIds: readonly string[] }> {
    const { connector, map } = this.#channel(channel);
    const read = readOrder(order, map, this.#options.bundles);
    for (const itemId of read.unknownItems) unknownItems.add(itemId);
    if (read.foreignLines > 0) {
      this.#options.log.debug(
        { channel, order: order.orderId, lines: read.foreignLines },
        'lines of foreign stock',
      );
    }
    const parked = [...read.parked];
    const routing = routingOf(
      map.settings,
      connector.capabilities.writes === 'delta' ? 'delta' : 'absolute',
      channel,
    );
    let movements = 0;
    const evidence = order.mayLower === false ? 'push' : source;
    const apply = async (lines: readonly LineSnapshot[], adopt: OrderRouting['adopt']): Promise<void> => {
      if (lines.length === 0) return;
      const { orderId, placedAtMs, changedAtMs } = order;
      try {
        const applied = await this.#options.ledger.applyOrder(
          { channel, orderId, placedAtMs, changedAtMs, source: evidence, beganAtMs, lines },
          { ...routing, adopt },
        );
        movements += applied.movements;
      } catch (error) {
        // Of all the ledger refuses only this one is the order's own fault; the rest is tried again.
        if (!(error instanceof StockmeshError) || error.code !== 'LEDGER_QUANTITY_OVERFLOW') throw error;
        const content = JSON.stringify({ order: orderId, lines: lines.length });
        parked.push({ what: 'order', reference: orderId, reason: error.message, content });
      }
    };
    await apply(read.lines, undefined);
    await apply(read.adopted, map.settings.openingFigure);
    await apply(read.adoptedComponents, 'on-hand');
    await this.parkRows(channel, parked);
    return { movements, parked: parked.length, parkedIds: parked.map((row) => parkedRowId(channel, row)) };
  }

  #channel(channel: ChannelId): IngestChannel {
    const found = this.#options.channels.get(channel);
    if (found === undefined) throw new Error(`the channel ${channel} is not configured`);
    return found;
  }
}
