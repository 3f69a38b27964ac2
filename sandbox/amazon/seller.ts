import type { SandboxClock } from '../shopify/clock.ts';
import { type Fault, FaultPlan } from '../shopify/faults.ts';
import { SeededRandom } from '../shopify/random.ts';
import { Buckets } from './buckets.ts';
import { Documents } from './documents.ts';
import { FbaStock } from './fba.ts';
import { Feeds } from './feeds.ts';
import { type ListingOptions, ListingShelf } from './listings.ts';
import { Notifications } from './notifications.ts';
import { orderChangePayload } from './order-json.ts';
import { OrderBook } from './orders.ts';
import type { Records, ViolationKind } from './records.ts';
import { Reports } from './reports.ts';
import { DEFAULT_SETTINGS, type SellerOptions, type SellerSettings } from './settings.ts';
import type { SqsEndpoint } from './sqs/endpoint.ts';
import { LwaTokens } from './tokens.ts';

/** One selling account and the one application it authorised. */
export class SandboxSeller {
  readonly sellerId: string;
  readonly marketplaceIds: readonly string[];
  readonly settings: SellerSettings;
  readonly clock: SandboxClock;
  readonly records: Records;
  readonly tokens: LwaTokens;
  readonly buckets: Buckets;
  readonly listings: ListingShelf;
  readonly orders: OrderBook;
  readonly fba = new FbaStock();
  readonly documents: Documents;
  readonly feeds: Feeds;
  readonly reports: Reports;
  readonly notifications: Notifications;
  readonly faults: FaultPlan;
  readonly random: SeededRandom;

  constructor(options: SellerOptions, clock: SandboxClock, records: Records, sqs: SqsEndpoint, seed: number) {
    const { sellerId } = options;
    this.sellerId = sellerId;
    this.marketplaceIds = options.marketplaceIds ?? ['ATVPDKIKX0DER'];
    const settings: SellerSettings = { ...DEFAULT_SETTINGS, ...options.settings };
    this.settings = settings;
    this.clock = clock;
    this.records = records;
    const random = new SeededRandom(seed);
    this.random = random;
    this.faults = new FaultPlan(random);
    this.tokens = new LwaTokens(
      {
        clientId: options.clientId ?? 'amzn1.application-oa2-client.sandbox',
        clientSecret: options.clientSecret ?? 'amzn1.oa2-cs.v1.sandbox',
        refreshToken: options.refreshToken ?? `Atzr|${sellerId}`,
      },
      clock,
      settings,
    );
    this.buckets = new Buckets(clock);
    this.listings = new ListingShelf({ sellerId, clock, random, settings, records });
    this.orders = new OrderBook(this.listings, clock, random, settings);
    this.documents = new Documents(clock, settings);
    this.notifications = new Notifications(sqs, clock, random, settings);
    this.reports = new Reports({ shelf: this.listings, documents: this.documents, clock, random, settings });
    this.feeds = new Feeds({
      sellerId,
      shelf: this.listings,
      documents: this.documents,
      notifications: this.notifications,
      records,
      clock,
      random,
      settings,
    });
    this.#connect();
  }

  get marketplaceId(): string {
    return this.marketplaceIds[0] ?? '';
  }

  addListing(options: ListingOptions): void {
    this.listings.add(options);
    if (
      options.channelCode !== undefined &&
      options.channelCode !== 'DEFAULT' &&
      !this.fba.items.has(options.sku)
    )
      this.setFba(options.sku, options.quantity ?? 0);
  }

  /** Stock in Amazon's warehouses changes, and says so. */
  setFba(sku: string, fulfillable: number, more: { pendingOrders?: number; inbound?: number } = {}): void {
    this.fba.set(sku, fulfillable, this.clock.now(), more);
    const item = this.fba.items.get(sku);
    if (!item) return;
    this.notifications.emit('FBA_INVENTORY_AVAILABILITY_CHANGES', {
      SellerId: this.sellerId,
      FNSKU: item.fnSku,
      ASIN: item.asin,
      SKU: sku,
      FulfillmentInventoryByMarketplace: [
        {
          MarketplaceId: this.marketplaceId,
          ItemName: sku,
          FulfillmentInventory: {
            Fulfillable: item.fulfillable,
            Unfulfillable: 0,
            Researching: 0,
            InboundQuantityBreakdown: { Working: 0, Shipped: item.inbound, Receiving: 0 },
            ReservedQuantityBreakdown: {
              WarehouseProcessing: 0,
              WarehouseTransfer: 0,
              PendingCustomerOrder: item.pendingOrders,
            },
            FutureSupplyBuyable: 0,
            PendingCustomerOrderInTransit: 0,
          },
        },
      ],
    });
  }

  setFaults(faults: readonly Fault[]): void {
    this.faults.set(faults);
  }

  violate(kind: ViolationKind, detail: string): void {
    this.records.violations.add({ at: this.clock.now(), kind, detail });
  }

  #connect(): void {
    this.listings.onQuantity = (sku, quantity) =>
      this.notifications.emit('LISTINGS_ITEM_MFN_QUANTITY_CHANGE', {
        SellerId: this.sellerId,
        FulfillmentChannelCode: 'DEFAULT',
        Sku: sku,
        Quantity: quantity,
      });
    this.orders.onChange = (order, event) => {
      if (event === 'placed' && !this.settings.notifyOnPending) return;
      const isRequest = event === 'cancel-requested';
      const payload = orderChangePayload(order, this.sellerId, this.marketplaceId, isRequest);
      this.notifications.emit('ORDER_CHANGE', payload);
    };
  }
}
