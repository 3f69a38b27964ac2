import { buildSchema } from 'graphql';

/**
 * The emulated part of ShipHero's schema, by its published field names. `warehouse_products`, `inventory_changes` and
 * `webhooks` are connections behind `data`.
 */
export const shipHeroSchema = buildSchema(`
  scalar ISODateTime
  type Query {
    warehouse_products(sku: String, warehouse_id: String, updated_from: ISODateTime, active: Boolean, analyze: Boolean): WarehouseProductsQueryResult
    inventory_changes(sku: String, warehouse_id: String, date_from: ISODateTime, date_to: ISODateTime, analyze: Boolean): InventoryChangesQueryResult
    webhooks(analyze: Boolean): WebhooksQueryResult
  }
  type Mutation { webhook_create(data: CreateWebhookInput!): WebhookOutput }
  type PageInfo { hasNextPage: Boolean! hasPreviousPage: Boolean! startCursor: String endCursor: String }
  type WarehouseProductsQueryResult { request_id: String complexity: Int data(first: Int, after: String): WarehouseProductConnection }
  type WarehouseProductConnection { pageInfo: PageInfo! edges: [WarehouseProductEdge]! }
  type WarehouseProductEdge { node: WarehouseProduct cursor: String! }
  type WarehouseProduct {
    id: ID legacy_id: Int account_id: ID sku: String warehouse_id: ID warehouse_identifier: String
    on_hand: Int allocated: Int available: Int backorder: Int non_sellable_quantity: Int reserve_inventory: Int
    active: Boolean created_at: ISODateTime updated_at: ISODateTime
  }
  type InventoryChangesQueryResult { request_id: String complexity: Int data(first: Int, after: String): InventoryChangeConnection }
  type InventoryChangeConnection { pageInfo: PageInfo! edges: [InventoryChangeEdge]! }
  type InventoryChangeEdge { node: InventoryChange cursor: String! }
  type InventoryChange {
    id: ID legacy_id: Int account_id: ID warehouse_id: ID sku: String previous_on_hand: Int change_in_on_hand: Int
    reason: String cycle_counted: Boolean location_id: ID created_at: ISODateTime
  }
  type WebhooksQueryResult { request_id: String complexity: Int data(first: Int, after: String): WebhookConnection }
  type WebhookConnection { pageInfo: PageInfo! edges: [WebhookEdge]! }
  type WebhookEdge { node: Webhook cursor: String! }
  type Webhook {
    id: ID legacy_id: Int account_id: ID shop_name: String name: String url: String source: String
    enabled: Boolean health: String shared_signature_secret: String
  }
  type WebhookOutput { request_id: String complexity: Int webhook: Webhook }
  input CreateWebhookInput { name: String! url: String! shop_name: String! }
`);
