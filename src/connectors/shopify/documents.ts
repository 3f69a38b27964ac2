// Long on purpose: every document in one place, so that one test checks them all against the official schema.

/**
 * Every GraphQL document of the connector, for API 2026-10. A test validates each against the official schema.
 * `cost` is the estimate before the first answer; afterwards Shopify's own figure is used. Its formula is not published:
 * recorded costs fit 2 + 2 ln(page) x node for a connection, while mutations are 10 plus what they return.
 */
export interface GraphqlOperation {
  readonly name: string;
  readonly document: string;
  readonly cost: number;
}

const orderLineFields = `
fragment LineFields on LineItem {
  id sku quantity currentQuantity unfulfilledQuantity isGiftCard
  variant { id inventoryItem { id tracked } }
}`;
const refundRowFields = `
fragment RefundRowFields on RefundLineItem { quantity restockType location { id } lineItem { id } }`;
const fulfillmentRowFields = `
fragment FulfillmentRowFields on FulfillmentLineItem { quantity lineItem { id } }`;

const refundFields = `
fragment RefundFields on Refund {
  id createdAt
  refundLineItems(first: 20) { nodes { ...RefundRowFields } pageInfo { hasNextPage endCursor } }
}${refundRowFields}`;
const fulfillmentFields = `
fragment FulfillmentFields on Fulfillment {
  id status location { id }
  fulfillmentLineItems(first: 50) { nodes { ...FulfillmentRowFields } pageInfo { hasNextPage endCursor } }
}${fulfillmentRowFields}`;

/** Refunds and fulfilments are plain lists: a full list may be a cut one. */
export const orderListPage = 10;
export const wholeListPage = 250;

const orderFields = `
fragment OrderFields on Order {
  id createdAt updatedAt cancelledAt confirmed edited sourceName
  lineItems(first: 50) { nodes { ...LineFields } pageInfo { hasNextPage endCursor } }
  refunds(first: ${orderListPage}) { ...RefundFields }
  fulfillments(first: ${orderListPage}) @include(if: $withFulfillments) { ...FulfillmentFields }
}${orderLineFields}${refundFields}${fulfillmentFields}`;

const fulfillmentOrderFields = `
fragment FulfillmentOrderFields on FulfillmentOrder {
  id status updatedAt assignedLocation { location { id } }
  lineItems(first: 100) { nodes { ...PlacedFields } pageInfo { hasNextPage endCursor } }
}
fragment PlacedFields on FulfillmentOrderLineItem { totalQuantity remainingQuantity lineItem { id } }`;

const levelFields = `
fragment LevelFields on InventoryLevel { id isActive quantities(names: ["available"]) { name quantity } }`;

const groupFields = `
    inventoryAdjustmentGroup { id createdAt changes { name delta item { id } location { id } } }
    userErrors { code field message }`;

export const documents = {
  ordersUpdatedSince: {
    name: 'OrdersUpdatedSince',
    cost: 400,
    document: `query OrdersUpdatedSince($query: String!, $first: Int!, $after: String, $withFulfillments: Boolean!) {
  orders(first: $first, after: $after, query: $query, sortKey: UPDATED_AT) {
    nodes { ...OrderFields }
    pageInfo { hasNextPage endCursor }
  }
}${orderFields}`,
  },
  ordersById: {
    name: 'OrdersById',
    cost: 60,
    document: `query OrdersById($ids: [ID!]!, $withFulfillments: Boolean!) {
  nodes(ids: $ids) { ...OrderFields }
}${orderFields}`,
  },
  orderLines: {
    name: 'OrderLines',
    cost: 40,
    document: `query OrderLines($id: ID!, $after: String) {
  order(id: $id) {
    id updatedAt
    lineItems(first: 250, after: $after) { nodes { ...LineFields } pageInfo { hasNextPage endCursor } }
  }
}${orderLineFields}`,
  },
  orderRefunds: {
    name: 'OrderRefunds',
    cost: 40,
    document: `query OrderRefunds($id: ID!) {
  order(id: $id) { id updatedAt refunds(first: ${wholeListPage}) { ...RefundFields } }
}${refundFields}`,
  },
  orderFulfillments: {
    name: 'OrderFulfillments',
    cost: 40,
    document: `query OrderFulfillments($id: ID!) {
  order(id: $id) { id updatedAt fulfillments(first: ${wholeListPage}) { ...FulfillmentFields } }
}${fulfillmentFields}`,
  },
  // One refund's rows are paged by asking all of the order's refunds for what comes after that cursor: the order is the
  // only parent whose change can be noticed in between.
  refundRows: {
    name: 'RefundRows',
    cost: 50,
    document: `query RefundRows($id: ID!, $count: Int!, $after: String) {
  order(id: $id) {
    id updatedAt
    refunds(first: $count) {
      id
      refundLineItems(first: 250, after: $after) { nodes { ...RefundRowFields } pageInfo { hasNextPage endCursor } }
    }
  }
}${refundRowFields}`,
  },
  fulfillmentRows: {
    name: 'FulfillmentRows',
    cost: 50,
    document: `query FulfillmentRows($id: ID!, $count: Int!, $after: String) {
  order(id: $id) {
    id updatedAt
    fulfillments(first: $count) {
      id
      fulfillmentLineItems(first: 250, after: $after) {
        nodes { ...FulfillmentRowFields }
        pageInfo { hasNextPage endCursor }
      }
    }
  }
}${fulfillmentRowFields}`,
  },
  commitLocations: {
    name: 'CommitLocations',
    cost: 60,
    document: `query CommitLocations($ids: [ID!]!) {
  nodes(ids: $ids) {
    ... on Order {
      id
      fulfillmentOrders(first: 20) { nodes { ...FulfillmentOrderFields } pageInfo { hasNextPage endCursor } }
    }
  }
}${fulfillmentOrderFields}`,
  },
  fulfillmentOrders: {
    name: 'FulfillmentOrders',
    cost: 60,
    document: `query FulfillmentOrders($id: ID!, $after: String) {
  order(id: $id) {
    id
    fulfillmentOrders(first: 20, after: $after) {
      nodes { ...FulfillmentOrderFields }
      pageInfo { hasNextPage endCursor }
    }
  }
}${fulfillmentOrderFields}`,
  },
  fulfillmentOrderLines: {
    name: 'FulfillmentOrderLines',
    cost: 40,
    document: `query FulfillmentOrderLines($id: ID!, $after: String) {
  fulfillmentOrder(id: $id) {
    id updatedAt
    lineItems(first: 250, after: $after) {
      nodes { totalQuantity remainingQuantity lineItem { id } }
      pageInfo { hasNextPage endCursor }
    }
  }
}`,
  },
  itemLevels: {
    name: 'ItemLevelsBatch',
    cost: 10,
    document: `query ItemLevelsBatch($ids: [ID!]!, $locationId: ID!) {
  nodes(ids: $ids) {
    __typename
    ... on InventoryItem { id tracked inventoryLevel(locationId: $locationId, includeInactive: true) { ...LevelFields } }
  }
}${levelFields}`,
  },
  locations: {
    name: 'Locations',
    cost: 15,
    document: `query Locations($after: String) {
  locations(first: 100, after: $after, includeInactive: true, includeLegacy: true, sortKey: ID) {
    nodes { id name isActive isFulfillmentService }
    pageInfo { hasNextPage endCursor }
  }
}`,
  },
  variantsCount: {
    name: 'VariantsCount',
    cost: 10,
    document: 'query VariantsCount { productVariantsCount(limit: 10000) { count precision } }',
  },
  variants: {
    name: 'Variants',
    cost: 250,
    document: `query Variants($first: Int!, $after: String) {
  productVariants(first: $first, after: $after, sortKey: ID) {
    nodes {
      id sku barcode displayName inventoryPolicy requiresComponents
      inventoryItem {
        id sku tracked duplicateSkuCount
        inventoryLevels(first: 20, includeInactive: true) {
          nodes { location { id } ...LevelFields }
          pageInfo { hasNextPage endCursor }
        }
      }
    }
    pageInfo { hasNextPage endCursor }
  }
}${levelFields}`,
  },
  itemLevelPage: {
    name: 'ItemLevelPage',
    cost: 40,
    document: `query ItemLevelPage($id: ID!, $after: String) {
  inventoryItem(id: $id) {
    id
    inventoryLevels(first: 250, after: $after, includeInactive: true) {
      nodes { location { id } ...LevelFields }
      pageInfo { hasNextPage endCursor }
    }
  }
}${levelFields}`,
  },
  bulkRun: {
    name: 'BulkRun',
    cost: 10,
    document: `mutation BulkRun($query: String!) {
  bulkOperationRunQuery(query: $query, groupObjects: true) {
    bulkOperation { id status }
    userErrors { code field message }
  }
}`,
  },
  bulkStatus: {
    name: 'BulkStatus',
    cost: 1,
    document: `query BulkStatus($id: ID!) {
  bulkOperation(id: $id) { id status errorCode createdAt completedAt objectCount url partialDataUrl }
}`,
  },
  adjustAvailable: {
    name: 'AdjustAvailable',
    cost: 13,
    document: `mutation AdjustAvailable($input: InventoryAdjustQuantitiesInput!, $idempotencyKey: String!) {
  inventoryAdjustQuantities(input: $input) @idempotent(key: $idempotencyKey) {${groupFields}
  }
}`,
  },
  setAvailable: {
    name: 'SetAvailable',
    cost: 13,
    document: `mutation SetAvailable($input: InventorySetQuantitiesInput!, $idempotencyKey: String!) {
  inventorySetQuantities(input: $input) @idempotent(key: $idempotencyKey) {${groupFields}
  }
}`,
  },
  webhookList: {
    name: 'WebhookList',
    cost: 15,
    document: `query WebhookList($after: String) {
  webhookSubscriptions(first: 100, after: $after, sortKey: ID) {
    nodes { id topic uri format filter includeFields }
    pageInfo { hasNextPage endCursor }
  }
}`,
  },
  webhookCreate: {
    name: 'WebhookCreate',
    cost: 10,
    document: `mutation WebhookCreate($topic: WebhookSubscriptionTopic!, $sub: WebhookSubscriptionInput!) {
  webhookSubscriptionCreate(topic: $topic, webhookSubscription: $sub) {
    webhookSubscription { id topic uri }
    userErrors { field message }
  }
}`,
  },
  webhookUpdate: {
    name: 'WebhookUpdate',
    cost: 10,
    document: `mutation WebhookUpdate($id: ID!, $sub: WebhookSubscriptionInput!) {
  webhookSubscriptionUpdate(id: $id, webhookSubscription: $sub) {
    webhookSubscription { id topic uri }
    userErrors { field message }
  }
}`,
  },
  webhookDelete: {
    name: 'WebhookDelete',
    cost: 10,
    document: `mutation WebhookDelete($id: ID!) {
  webhookSubscriptionDelete(id: $id) { deletedWebhookSubscriptionId userErrors { field message } }
}`,
  },
  shopProbe: {
    name: 'ShopProbe',
    cost: 5,
    document: `query ShopProbe {
  shop { id name myshopifyDomain }
  currentAppInstallation { id accessScopes { handle } }
}`,
  },
} as const satisfies Readonly<Record<string, GraphqlOperation>>;

/**
 * Passed to `bulkRun` as a variable: no fragments, edges only, at most two levels of connections. Rooted in items, so that
 * the parent named by a level's or variant's row is the item.
 */
export const bulkCatalogue = `{
  inventoryItems {
    edges { node {
      __typename id sku tracked duplicateSkuCount
      variants { edges { node { __typename id sku barcode displayName inventoryPolicy requiresComponents } } }
      inventoryLevels(includeInactive: true) {
        edges { node { __typename id isActive location { id } quantities(names: ["available"]) { name quantity } } }
      }
    } }
  }
}`;
