import { randomUUID } from 'node:crypto';
import type { SandboxClock } from '../shopify/clock.ts';
import { SeededRandom } from '../shopify/random.ts';
import { type EventType, eventTypeOf } from './event-types.ts';
import { FaultPlan } from './faults.ts';
import { ShopInventory } from './inventory.ts';
import { type Order, type Product, secondsOf } from './model.ts';
import { OrderBook } from './order-book.ts';
import { RateLimit } from './rate-limit.ts';
import type { Records, ViolationKind } from './records.ts';
import { DEFAULT_SETTINGS, type ShopOptions, type ShopSettings } from './shop-options.ts';
import { Tokens } from './tokens.ts';
import { type DeliveryBehaviour, WebhookDelivery } from './webhook-delivery.ts';

interface Subscription {
  readonly address: string;
  readonly createdAt: number;
  readonly updatedAt: number;
}

const LOW_STOCK = 5;
/** Above 2^53, as TikTok's are. */
const FIRST_ID = 1_729_382_000_000_000_000n;

/** One emulated TikTok shop with an app of its own. */
export class SandboxTiktokShop {
  readonly id: string;
  readonly name: string;
  readonly region: string;
  readonly cipher: string;
  readonly appKey: string;
  appSecret: string;
  readonly settings: ShopSettings;
  readonly inventory: ShopInventory;
  readonly orders: OrderBook;
  readonly tokens: Tokens;
  readonly faults: FaultPlan;
  readonly limit = new RateLimit();
  readonly delivery: WebhookDelivery;
  readonly subscriptions = new Map<EventType, Subscription>();
  /** The app-wide address of the console: gets every type that has no address of its own, 27 among them. */
  consoleAddress: string | null = null;
  readonly clock: SandboxClock;
  readonly records: Records;
  readonly #random: SeededRandom;
  readonly #isLoopbackAllowed: boolean;
  #lastId = FIRST_ID;

  constructor(options: ShopOptions, clock: SandboxClock, records: Records, seed: number) {
    this.clock = clock;
    this.records = records;
    this.#random = new SeededRandom(options.seed ?? seed);
    this.#lastId = FIRST_ID + BigInt(seed) * 1_000_000_000n;
    this.id = options.id ?? this.newId();
    this.name = options.name ?? 'Sandbox shop';
    this.region = options.region ?? 'GB';
    this.appKey = options.appKey ?? `app${seed}`;
    this.appSecret = options.appSecret ?? randomUUID().replaceAll('-', '');
    this.cipher = options.cipher ?? `GCP_${randomUUID().replaceAll('-', '')}`;
    this.#isLoopbackAllowed = options.isLoopbackWebhookAllowed ?? true;
    this.settings = { ...DEFAULT_SETTINGS, ...options.settings };
    const violate = (kind: ViolationKind, detail: string): void => this.violate(kind, detail);
    const newId = (): string => this.newId();
    const random = this.#random;
    this.inventory = new ShopInventory({
      shop: this.id,
      clock,
      random,
      records,
      settings: this.settings,
      newId,
      violate,
    });
    this.inventory.addWarehouse({
      name: options.warehouseName ?? 'Main',
      status: 'ENABLED',
      type: 'SALES_WAREHOUSE',
    });
    this.orders = new OrderBook({
      inventory: this.inventory,
      clock,
      random,
      settings: this.settings,
      newId,
      events: {
        statusChanged: (order) => this.#orderChanged(order),
        cancellation: (order, status) => this.#cancellation(order, status),
        returnRequested: (order) => this.#returnRequested(order),
      },
    });
    this.tokens = new Tokens(clock, () => this.settings.accessTokenTtlMs);
    this.faults = new FaultPlan(random);
    this.delivery = new WebhookDelivery({
      appKey: this.appKey,
      secret: () => this.appSecret,
      clock,
      random,
      violate,
    });
  }

  get updateParts() {
    const { inventory, clock, settings } = this;
    const violate = (kind: ViolationKind, detail: string): void => this.violate(kind, detail);
    return { inventory, clock, settings, random: this.#random, violate };
  }

  newId(): string {
    this.#lastId += 1n;
    return String(this.#lastId);
  }

  violate(kind: ViolationKind, detail: string): void {
    this.records.violations.add({ at: this.clock.now(), shop: this.id, kind, detail });
  }

  setWebhookBehaviour(behaviour: Partial<DeliveryBehaviour>): void {
    this.delivery.behaviour = { ...this.delivery.behaviour, ...behaviour };
  }

  /** A person in Seller Center changes the figure. */
  editStock(sku: string, available: number, warehouseId?: string): void {
    this.inventory.set(this.inventory.level(sku, warehouseId), { available }, 'stock-edit', null);
  }

  available(sku: string, warehouseId?: string): number {
    return this.inventory.level(sku, warehouseId).available;
  }

  committed(sku: string, warehouseId?: string): number {
    return this.inventory.level(sku, warehouseId).committed;
  }

  /** TikTok refuses updates of the SKU with this code; 12052393 only forbids lowering it. */
  refuseUpdates(sku: string, code: number | null, warehouseId?: string): void {
    const { id } = this.inventory.sku(sku);
    if (code === null) this.inventory.refusals.delete(id);
    else this.inventory.refusals.set(id, { code, ...(warehouseId === undefined ? {} : { warehouseId }) });
  }

  setProductStatus(product: Product, status: Product['status']): void {
    this.inventory.setStatus(product, status);
    this.#emit(5, { product_id: product.id, status, suspended_reason: '', update_time: this.#nowS() });
  }

  /** The seller ends the authorisation. */
  deauthorise(): void {
    this.tokens.deauthorise();
    this.#emit(6, { message: `Shop_id ${this.id} is deauthorized from your APP by merchant.` });
  }

  warnOfExpiry(): void {
    this.#emit(7, {
      message: 'Authorization is expiring.',
      expiration_time: String(this.#nowS() + 30 * 86_400),
    });
  }

  subscribe(type: EventType, address: string): void {
    const now = this.clock.now();
    const createdAt = this.subscriptions.get(type)?.createdAt ?? now;
    this.subscriptions.set(type, { address, createdAt, updatedAt: now });
  }

  /** TikTok's conditions for an address. */
  addressProblem(address: string): string | undefined {
    if (!URL.canParse(address) || address.length > 255)
      return 'the address is no URL of at most 255 characters';
    const { protocol, port, hostname } = new URL(address);
    const isLoopback = hostname === 'localhost' || hostname.startsWith('127.');
    if (isLoopback && this.#isLoopbackAllowed) return undefined;
    if (protocol !== 'https:' || port !== '' || /^[\d.]+$|^\[/.test(hostname))
      return 'the address must be https with a domain name and no port';
    return undefined;
  }

  stop(): void {
    this.delivery.stop();
  }

  #orderChanged(order: Order): void {
    const status = order.status === 'CANCELLED' ? this.settings.cancelWord : order.status;
    this.#emit(1, {
      order_id: order.id,
      order_status: status,
      is_on_hold_order: order.status === 'ON_HOLD',
      update_time: secondsOf(order.updatedAt),
    });
    for (const line of order.lines)
      for (const { level } of line.taken) this.#alertOfStock(level.sku.sellerSku);
  }

  #cancellation(order: Order, status: string): void {
    this.#emit(11, {
      order_id: order.id,
      cancellations_role: 'BUYER',
      cancel_status: status,
      cancel_id: this.newId(),
      create_time: this.#nowS(),
    });
  }

  #returnRequested(order: Order): void {
    this.#emit(12, {
      order_id: order.id,
      return_role: 'BUYER',
      return_type: 'RETURN_AND_REFUND',
      return_status: 'RETURN_OR_REFUND_REQUEST_PENDING',
      return_id: this.newId(),
      create_time: this.#nowS(),
      update_time: this.#nowS(),
    });
  }

  /** There is no "inventory changed" event: only alerts of low or no stock. */
  #alertOfStock(name: string): void {
    const sku = this.inventory.sku(name);
    const total = [...sku.levels.values()].reduce((sum, { available }) => sum + available, 0);
    if (total > LOW_STOCK) return;
    this.#emit(27, {
      product_id: sku.product.id,
      sku_id: sku.id,
      trigger_reason: { alert_type: 'THRESHOLD' },
      current_inventory_status: total === 0 ? 'OUT_OF_STOCK' : 'LOW_STOCK',
      inventory_distribution: { total_quantity: total, available_quantity: total },
    });
  }

  #emit(type: number, data: Readonly<Record<string, unknown>>): void {
    const name = eventTypeOf(type);
    const address =
      (name === undefined ? undefined : this.subscriptions.get(name)?.address) ?? this.consoleAddress;
    if (address === null) return;
    const notificationId = this.newId();
    const body = JSON.stringify({
      type,
      tts_notification_id: notificationId,
      shop_id: this.id,
      timestamp: this.#nowS(),
      data,
    });
    // As JSON numbers the digits are still all there; a parser that makes doubles of them loses some.
    const sent = this.settings.numericIds ? body.replaceAll(/"(\d{15,})"/g, '$1') : body;
    this.delivery.emit(address, type, notificationId, sent);
  }

  #nowS(): number {
    return secondsOf(this.clock.now());
  }
}
