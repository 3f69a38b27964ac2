/** Requests of the connector. Paths, rates and bursts are those of Amazon's models (docs/connectors/amazon.md). */
export interface SpApiOperation {
  readonly name: string;
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  /** `{name}` is replaced by the encoded path parameter of that name. */
  readonly path: string;
  /** Requests per second and how many may come at once, per seller and application. */
  readonly ratePerS: number;
  readonly burst: number;
  /** Whose token: the seller's, or the application's own for notifications ("grantless"). */
  readonly grant: 'seller' | 'notifications';
}

const listingsPath = '/listings/2021-08-01/items/{sellerId}';

export const operations = {
  patchListingsItem: {
    name: 'patchListingsItem',
    method: 'PATCH',
    path: `${listingsPath}/{sku}`,
    ratePerS: 5,
    burst: 5,
    grant: 'seller',
  },
  getListingsItem: {
    name: 'getListingsItem',
    method: 'GET',
    path: `${listingsPath}/{sku}`,
    ratePerS: 5,
    burst: 10,
    grant: 'seller',
  },
  searchListingsItems: {
    name: 'searchListingsItems',
    method: 'GET',
    path: listingsPath,
    ratePerS: 5,
    burst: 5,
    grant: 'seller',
  },
  searchOrders: {
    name: 'searchOrders',
    method: 'GET',
    path: '/orders/2026-01-01/orders',
    ratePerS: 0.0056,
    burst: 20,
    grant: 'seller',
  },
  getOrder: {
    name: 'getOrder',
    method: 'GET',
    path: '/orders/2026-01-01/orders/{orderId}',
    ratePerS: 0.5,
    burst: 30,
    grant: 'seller',
  },
  getInventorySummaries: {
    name: 'getInventorySummaries',
    method: 'GET',
    path: '/fba/inventory/v1/summaries',
    ratePerS: 2,
    burst: 2,
    grant: 'seller',
  },
  createFeedDocument: {
    name: 'createFeedDocument',
    method: 'POST',
    path: '/feeds/2021-06-30/documents',
    ratePerS: 0.5,
    burst: 15,
    grant: 'seller',
  },
  createFeed: {
    name: 'createFeed',
    method: 'POST',
    path: '/feeds/2021-06-30/feeds',
    // JSON_LISTINGS_FEED has a plan of its own: five feeds in five minutes.
    ratePerS: 5 / 300,
    burst: 5,
    grant: 'seller',
  },
  getFeed: {
    name: 'getFeed',
    method: 'GET',
    path: '/feeds/2021-06-30/feeds/{feedId}',
    ratePerS: 2,
    burst: 15,
    grant: 'seller',
  },
  getFeedDocument: {
    name: 'getFeedDocument',
    method: 'GET',
    path: '/feeds/2021-06-30/documents/{feedDocumentId}',
    ratePerS: 0.0222,
    burst: 10,
    grant: 'seller',
  },
  createReport: {
    name: 'createReport',
    method: 'POST',
    path: '/reports/2021-06-30/reports',
    ratePerS: 0.0167,
    burst: 15,
    grant: 'seller',
  },
  getReport: {
    name: 'getReport',
    method: 'GET',
    path: '/reports/2021-06-30/reports/{reportId}',
    ratePerS: 2,
    burst: 15,
    grant: 'seller',
  },
  getReportDocument: {
    name: 'getReportDocument',
    method: 'GET',
    path: '/reports/2021-06-30/documents/{reportDocumentId}',
    ratePerS: 0.0167,
    burst: 15,
    grant: 'seller',
  },
  getDestinations: {
    name: 'getDestinations',
    method: 'GET',
    path: '/notifications/v1/destinations',
    ratePerS: 1,
    burst: 5,
    grant: 'notifications',
  },
  createDestination: {
    name: 'createDestination',
    method: 'POST',
    path: '/notifications/v1/destinations',
    ratePerS: 1,
    burst: 5,
    grant: 'notifications',
  },
  getSubscription: {
    name: 'getSubscription',
    method: 'GET',
    path: '/notifications/v1/subscriptions/{notificationType}',
    ratePerS: 1,
    burst: 5,
    grant: 'seller',
  },
  createSubscription: {
    name: 'createSubscription',
    method: 'POST',
    path: '/notifications/v1/subscriptions/{notificationType}',
    ratePerS: 1,
    burst: 5,
    grant: 'seller',
  },
  deleteSubscriptionById: {
    name: 'deleteSubscriptionById',
    method: 'DELETE',
    path: '/notifications/v1/subscriptions/{notificationType}/{subscriptionId}',
    ratePerS: 1,
    burst: 5,
    grant: 'notifications',
  },
} as const satisfies Readonly<Record<string, SpApiOperation>>;
