import { BulkOperations } from './bulk/operations.ts';
import type { SliceReader } from './bulk/operations.ts';
import type { SandboxClock } from './clock.ts';
import { CostBucket } from './cost-bucket.ts';
import type { PlanName } from './cost-bucket.ts';
import { FaultPlan } from './faults.ts';
import type { Fault } from './faults.ts';
import { IdempotencyTable } from './graphql/idempotency.ts';
import { EventScope } from './event-scope.ts';
import { gid, IdSequence } from './ids.ts';
import { InventoryState } from './inventory-state.ts';
import type { ItemOptions, LocationOptions } from './inventory-state.ts';
import { onHandOf } from './model.ts';
import type { Item, Level, Location, Order } from './model.ts';
import { OrderBook } from './order-book.ts';
import type { OrderEditRequest, OrderRequest, PlaceResult, RefundRequest } from './order-requests.ts';
import { SeededRandom } from './random.ts';
import { ALL_SCOPES } from './shop-options.ts';
import type { ShopOptions, ShopSettings } from './shop-options.ts';
import type { Records, Violation, ViolationKind } from './records.ts';
import { TokenStore } from './tokens.ts';
import { WebhookDelivery } from './webhooks/delivery.ts';
import type { DeliveryBehaviour } from './webhooks/delivery.ts';
import { Payloads } from './webhooks/payloads.ts';
import type { Body } from './webhooks/payloads.ts';
import { Subscriptions } from './webhooks/subscriptions.ts';

/** Given from outside: the GraphQL layer knows shops, so a shop must not know the GraphQL layer. */
export type ShopSliceReader = (
  shop: SandboxShop,
  ...slice: Parameters<SliceReader>
) => ReturnType<SliceReader>;

const HUGE_ID_BASE = 271_878_346_000_000_000n;
const DAY_MS = 86_400_000;

/** One shop with one installed app. Methods are what a merchant, a buyer or an operator would do. */
export class SandboxShop {
  readonly domain: string;
  readonly name: string;
  readonly plan: PlanName;
  readonly clock: SandboxClock;
  readonly id: string;
  readonly random: SeededRandom;
  readonly records: Records;
  readonly tokens: TokenStore;
  readonly bucket: CostBucket;
  readonly faults: FaultPlan;
  readonly inventory: InventoryState;
  readonly orderBook: OrderBook;
  readonly subscriptions: Subscriptions;
  readonly delivery: WebhookDelivery;
  readonly idempotency: IdempotencyTable;
  readonly bulk: BulkOperations;
  readonly payloads: Payloads;
  readonly groupIds: IdSequence;
  readonly isLoopbackWebhookAllowed: boolean;
  readonly webhookApiVersion: string;
  /** Where this shop's Admin API answers; set by the server. */
  baseUrl = '';
  readonly settings: ShopSettings = {
    searchLagMs: { min: 0, max: 0 },
    idempotencyWindowMs: DAY_MS,
    afterUserErrors: 'replay',
  };

  readonly #event = new EventScope();

  constructor(
    options: ShopOptions,
    clock: SandboxClock,
    records: Records,
    seed: number,
    readSlice: ShopSliceReader,
  ) {
    this.domain = options.domain;
    this.name = options.name ?? options.domain.split('.')[0] ?? options.domain;
    this.plan = options.plan ?? 'standard';
    this.clock = clock;
    this.records = records;
    this.id = gid('Shop', String(92_891_250_994 + seed));
    this.random = new SeededRandom(options.seed ?? seed);
    this.tokens = new TokenStore(
      {
        clientId: options.clientId ?? `sandbox-client-${this.name}`,
        clientSecret: options.clientSecret ?? `sandbox-secret-${this.name}`,
        scopes: options.scopes ?? ALL_SCOPES,
      },
      clock,
    );
    this.bucket = new CostBucket(this.plan, clock);
    this.bucket.isUnlimited = options.rateLimit === false;
    this.faults = new FaultPlan(new SeededRandom((options.seed ?? seed) + 7_919));
    this.isLoopbackWebhookAllowed = options.isLoopbackWebhookAllowed ?? true;
    this.webhookApiVersion = options.webhookApiVersion ?? '2026-10';
    this.payloads = new Payloads(options.utcOffsetMinutes ?? 0, 'USD');
    this.subscriptions = new Subscriptions(clock);
    const identity = {
      domain: this.domain,
      apiVersion: this.webhookApiVersion,
      secret: () => this.tokens.app.clientSecret,
    };
    // Own generators: the draws of deliveries must not depend on how many faults were drawn in between.
    const deliveryRandom = new SeededRandom((options.seed ?? seed) + 104_729);
    this.delivery = new WebhookDelivery(identity, this.subscriptions, clock, deliveryRandom, records);
    // Each shop has its own id range, so an id of one shop never means anything in another.
    const idBase = (options.hugeIds === true ? HUGE_ID_BASE : 0n) + BigInt(seed) * 1_000_003n;
    const lagMs = () => this.random.between(this.settings.searchLagMs);
    this.groupIds = new IdSequence(54_640_716_251_442n + idBase);
    this.idempotency = new IdempotencyTable(clock);
    this.inventory = new InventoryState(
      this.domain,
      clock,
      records,
      { availableChanged: (level) => this.#levelChanged(level), lagMs },
      idBase,
    );
    this.orderBook = new OrderBook(
      clock,
      this.inventory,
      {
        emit: (topics, order) => this.#emitOrder(topics, order),
        refunded: (refund) => this.#emitSnapshot('refunds/create', this.payloads.refund(refund)),
        fulfilled: (fulfillment) =>
          this.#emitSnapshot('fulfillments/create', this.payloads.fulfillment(fulfillment)),
        moved: (order) => this.#emitSnapshot('fulfillment_orders/moved', { order_id: order.number }),
        lagMs,
      },
      idBase,
    );
    this.bulk = new BulkOperations(this, (document, operation, window) =>
      readSlice(this, document, operation, window),
    );
    this.addLocation({ name: options.locationName ?? 'Shop location' });
  }

  addLocation(options: LocationOptions): Location {
    return this.inventory.addLocation(options);
  }

  addItem(options: ItemOptions): Item {
    return this.inventory.addItem(options);
  }

  item(ref: string): Item {
    return this.inventory.item(ref);
  }

  /** The level of a SKU at a location (the first one unless named); null when it was never stocked there. */
  level(sku: string, location?: string): Level | null {
    const place =
      location === undefined ? [...this.inventory.locations.keys()][0] : this.inventory.location(location).id;
    return this.item(sku).levels.get(place ?? '') ?? null;
  }

  available(sku: string, location?: string): number {
    return this.level(sku, location)?.quantities.available ?? 0;
  }

  onHand(sku: string, location?: string): number {
    const level = this.level(sku, location);
    return level ? onHandOf(level) : 0;
  }

  orders(): readonly Order[] {
    return [...this.orderBook.orders.values()];
  }

  placeOrder(request: OrderRequest): PlaceResult {
    return this.#event.run(() => this.orderBook.place(request));
  }

  cancelOrder(order: string, options?: Parameters<OrderBook['cancel']>[1]): Order {
    return this.#event.run(() => this.orderBook.cancel(order, options));
  }

  refund(order: string, request: RefundRequest): ReturnType<OrderBook['refund']> {
    return this.#event.run(() => this.orderBook.refund(order, request));
  }

  fulfil(order: string, options?: Parameters<OrderBook['fulfil']>[1]): ReturnType<OrderBook['fulfil']> {
    return this.#event.run(() => this.orderBook.fulfil(order, options));
  }

  moveFulfilmentOrder(
    fulfilmentOrder: string,
    location: string,
  ): ReturnType<OrderBook['moveFulfilmentOrder']> {
    return this.#event.run(() => this.orderBook.moveFulfilmentOrder(fulfilmentOrder, location));
  }

  editOrder(order: string, request: OrderEditRequest): Order {
    return this.#event.run(() => this.orderBook.edit(order, request));
  }

  /** A person changes stock in the admin: `available` by default; setting `on_hand` moves available by the difference. */
  editStock(
    sku: string,
    quantity: number,
    options: { location?: string; name?: 'available' | 'on_hand' } = {},
  ): Level {
    const item = this.item(sku);
    const first = [...this.inventory.locations.values()][0];
    const location = options.location === undefined ? first : this.inventory.location(options.location);
    if (!location) throw new Error('the shop has no location');
    const level = this.inventory.openLevel(item, location, true);
    const current = options.name === 'on_hand' ? onHandOf(level) : level.quantities.available;
    this.#event.run(() =>
      this.inventory.change(level, { available: quantity - current }, { cause: 'stock-edit' }),
    );
    return level;
  }

  setTracked(sku: string, tracked: boolean): void {
    const item = this.item(sku);
    item.tracked = tracked;
    this.inventory.touchItem(item);
    this.emit('inventory_items/update', () => this.payloads.item(item));
  }

  connectLevel(level: Level): void {
    level.isActive = true;
    this.inventory.touchLevel(level);
    this.emit('inventory_levels/connect', () => this.payloads.level(level));
  }

  disconnectLevel(level: Level): void {
    level.isActive = false;
    this.inventory.touchLevel(level);
    this.emit('inventory_levels/disconnect', () => this.payloads.disconnectedLevel(level));
  }

  setLocationActive(ref: string, isActive: boolean): void {
    const location = this.inventory.location(ref);
    location.isActive = isActive;
    this.emit(isActive ? 'locations/activate' : 'locations/deactivate', () =>
      this.payloads.location(location),
    );
  }

  setFaults(faults: readonly Fault[]): void {
    this.faults.set(faults);
  }

  setWebhookBehaviour(behaviour: Partial<DeliveryBehaviour>): void {
    this.delivery.behaviour = { ...this.delivery.behaviour, ...behaviour };
  }

  uninstallApp(): void {
    this.emit('app/uninstalled', () => ({
      id: 1,
      name: this.name,
      domain: this.domain,
      myshopify_domain: this.domain,
    }));
    this.tokens.uninstall();
  }

  violate(kind: ViolationKind, detail: string): void {
    this.records.violations.add({ at: this.clock.now(), shop: this.domain, kind, detail });
  }

  violations(): readonly Violation[] {
    return this.records.violations.all().filter((violation) => violation.shop === this.domain);
  }

  /** The body is built when the delivery is first sent: it shows the state of that moment, not of the event. */
  emit(topic: string, build: () => Body): void {
    this.delivery.emit(topic, build, this.#event.id());
  }

  stop(): void {
    this.bulk.stop();
    this.delivery.stop();
  }

  #levelChanged(level: Level): void {
    this.emit('inventory_levels/update', () => this.payloads.level(level));
  }

  #emitOrder(topics: readonly string[], order: Order): void {
    // Order bodies are snapshots of the moment of the change: two deliveries may show different quantities.
    const body = this.payloads.order(order);
    for (const topic of topics)
      this.#emitSnapshot(topic, topic === 'orders/edited' ? this.payloads.orderEdit(order) : body);
  }

  #emitSnapshot(topic: string, body: Body): void {
    this.emit(topic, () => body);
  }
}
