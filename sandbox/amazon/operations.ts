/** Paths and limits as Amazon publishes them, read from its models and not from any client. */
export interface Operation {
  readonly name: string;
  readonly method: string;
  readonly template: string;
  readonly ratePerS: number;
  readonly burst: number;
  readonly isGrantless: boolean;
  /** Query parameters of the model. */
  readonly query: readonly string[];
}

type Row = readonly [
  name: string,
  method: string,
  template: string,
  ratePerS: number,
  burst: number,
  query?: readonly string[],
  isGrantless?: boolean,
];

const LISTINGS = '/listings/2021-08-01/items/{sellerId}';
const ORDERS = '/orders/2026-01-01/orders';
const NOTIFICATIONS = '/notifications/v1';

const ROWS: readonly Row[] = [
  ['getListingsItem', 'GET', `${LISTINGS}/{sku}`, 5, 10, ['marketplaceIds', 'issueLocale', 'includedData']],
  [
    'patchListingsItem',
    'PATCH',
    `${LISTINGS}/{sku}`,
    5,
    5,
    ['marketplaceIds', 'includedData', 'mode', 'issueLocale'],
  ],
  [
    'searchListingsItems',
    'GET',
    LISTINGS,
    5,
    5,
    [
      'marketplaceIds',
      'issueLocale',
      'includedData',
      'identifiers',
      'identifiersType',
      'createdAfter',
      'createdBefore',
      'lastUpdatedAfter',
      'lastUpdatedBefore',
      'withIssueSeverity',
      'withStatus',
      'withoutStatus',
      'variationParentSku',
      'packageHierarchySku',
      'sortBy',
      'sortOrder',
      'pageSize',
      'pageToken',
    ],
  ],
  [
    'searchOrders',
    'GET',
    ORDERS,
    0.0056,
    20,
    [
      'createdAfter',
      'createdBefore',
      'lastUpdatedAfter',
      'lastUpdatedBefore',
      'fulfillmentStatuses',
      'marketplaceIds',
      'fulfilledBy',
      'maxResultsPerPage',
      'paginationToken',
      'includedData',
    ],
  ],
  ['getOrder', 'GET', `${ORDERS}/{orderId}`, 0.5, 30, ['includedData']],
  [
    'getInventorySummaries',
    'GET',
    '/fba/inventory/v1/summaries',
    2,
    2,
    [
      'details',
      'granularityType',
      'granularityId',
      'startDateTime',
      'sellerSkus',
      'sellerSku',
      'nextToken',
      'marketplaceIds',
    ],
  ],
  ['createFeedDocument', 'POST', '/feeds/2021-06-30/documents', 0.5, 15],
  // The listings feed has a plan of its own: five in five minutes.
  ['createFeed', 'POST', '/feeds/2021-06-30/feeds', 5 / 300, 5],
  ['getFeed', 'GET', '/feeds/2021-06-30/feeds/{feedId}', 2, 15],
  [
    'getFeedDocument',
    'GET',
    '/feeds/2021-06-30/documents/{feedDocumentId}',
    0.0222,
    10,
    ['enableContentEncodingUrlHeader'],
  ],
  ['createReport', 'POST', '/reports/2021-06-30/reports', 0.0167, 15],
  ['getReport', 'GET', '/reports/2021-06-30/reports/{reportId}', 2, 15],
  [
    'getReportDocument',
    'GET',
    '/reports/2021-06-30/documents/{reportDocumentId}',
    0.0167,
    15,
    ['enableContentEncodingUrlHeader'],
  ],
  ['getDestinations', 'GET', `${NOTIFICATIONS}/destinations`, 1, 5, [], true],
  ['createDestination', 'POST', `${NOTIFICATIONS}/destinations`, 1, 5, [], true],
  ['getSubscription', 'GET', `${NOTIFICATIONS}/subscriptions/{notificationType}`, 1, 5, ['payloadVersion']],
  ['createSubscription', 'POST', `${NOTIFICATIONS}/subscriptions/{notificationType}`, 1, 5],
  [
    'deleteSubscriptionById',
    'DELETE',
    `${NOTIFICATIONS}/subscriptions/{notificationType}/{subscriptionId}`,
    1,
    5,
    [],
    true,
  ],
];

export const OPERATIONS: readonly Operation[] = ROWS.map(
  ([name, method, template, ratePerS, burst, query = [], isGrantless = false]) => ({
    name,
    method,
    template,
    ratePerS,
    burst,
    query,
    isGrantless,
  }),
);

const TEMPLATES = OPERATIONS.map((operation) => ({ operation, parts: operation.template.split('/') }));

/** The operation of a request and its decoded path parameters. */
export function matchOperation(
  method: string,
  pathname: string,
): { operation: Operation; path: Record<string, string> } | undefined {
  const given = pathname.split('/');
  for (const { operation, parts } of TEMPLATES) {
    if (operation.method !== method || parts.length !== given.length) continue;
    const path: Record<string, string> = {};
    const fits = parts.every((part, index) => {
      const text = given[index] ?? '';
      if (!part.startsWith('{')) return part === text;
      path[part.slice(1, -1)] = decodeURIComponent(text);
      return text !== '';
    });
    if (fits) return { operation, path };
  }
  return undefined;
}
