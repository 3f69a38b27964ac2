import { isEventType } from './event-types.ts';
import { type ApiResult, listOf, recordOf, updateInventory } from './inventory-update.ts';
import { type Product, secondsOf } from './model.ts';
import { offsetOf, pageToken } from './page-tokens.ts';
import { inventoryBody, orderBody, productBody } from './payloads.ts';
import type { SandboxTiktokShop } from './shop.ts';

export interface Call {
  readonly shop: SandboxTiktokShop;
  readonly query: URLSearchParams;
  readonly body: unknown;
  readonly requestId: string;
  readonly path: string;
  /** The request is accepted and nothing happens. */
  readonly isLost: boolean;
}

export interface Operation {
  readonly name: string;
  readonly method: string;
  readonly path: RegExp;
  readonly isShopCall: boolean;
  readonly query: readonly string[];
  readonly body: readonly string[];
  readonly run: (call: Call) => ApiResult;
}

const ok = (data: unknown): ApiResult => ({ code: 0, message: 'Success', data });
const fields = (list: string): readonly string[] => list.split(' ');
const bad = (message: string): ApiResult => ({ code: 36009004, message });

/** Every endpoint a stock connector needs, with the parameters its documentation lists. */
export const operations: readonly Operation[] = [
  {
    name: 'shops',
    method: 'GET',
    path: /^\/authorization\/202309\/shops$/,
    isShopCall: false,
    query: [],
    body: [],
    run: ({ shop }) =>
      ok({
        shops: [
          {
            id: shop.id,
            name: shop.name,
            region: shop.region,
            seller_type: 'LOCAL',
            cipher: shop.cipher,
            code: 'SANDBOX',
          },
        ],
      }),
  },
  {
    name: 'warehouses',
    method: 'GET',
    path: /^\/logistics\/202309\/warehouses$/,
    isShopCall: true,
    query: [],
    body: [],
    run: ({ shop }) =>
      ok({
        warehouses: [...shop.inventory.warehouses.values()].map((warehouse) => ({
          id: warehouse.id,
          entity_id: `entity-${warehouse.id}`,
          name: warehouse.name,
          effect_status: warehouse.status,
          type: warehouse.type,
          sub_type: 'DOMESTIC_WAREHOUSE',
          is_default: warehouse.isDefault,
        })),
      }),
  },
  {
    name: 'products-search',
    method: 'POST',
    path: /^\/product\/20(?:2309|2502)\/products\/search$/,
    isShopCall: true,
    query: ['page_size', 'page_token'],
    body: fields(
      'status seller_skus sku_ids create_time_ge create_time_le update_time_ge update_time_le category_version ' +
        'listing_quality_tiers listing_platforms audit_status sns_filter return_draft_version',
    ),
    run: searchProducts,
  },
  {
    name: 'inventory-search',
    method: 'POST',
    path: /^\/product\/202309\/inventory\/search$/,
    isShopCall: true,
    query: [],
    body: ['product_ids', 'sku_ids'],
    run: searchInventory,
  },
  {
    name: 'inventory-update',
    method: 'POST',
    path: /^\/product\/202309\/products\/([A-Za-z0-9_-]+)\/inventory\/update$/,
    isShopCall: true,
    query: [],
    body: ['skus'],
    run: ({ shop, body, requestId, path, isLost }) =>
      updateInventory(shop.updateParts, path.split('/')[4] ?? '', body, requestId, isLost),
  },
  {
    name: 'product-deactivate',
    method: 'POST',
    path: /^\/product\/202309\/products\/deactivate$/,
    isShopCall: true,
    query: [],
    body: ['product_ids', 'listing_platforms'],
    run: ({ shop, body }) => {
      for (const id of listOf(recordOf(body)?.['product_ids'])) {
        const product = shop.inventory.products.get(String(id));
        if (product) shop.inventory.setStatus(product, 'SELLER_DEACTIVATED');
      }
      return ok({});
    },
  },
  {
    name: 'orders-search',
    method: 'POST',
    path: /^\/order\/202309\/orders\/search$/,
    isShopCall: true,
    query: ['page_size', 'page_token', 'sort_field', 'sort_order'],
    body: fields(
      'order_status create_time_ge create_time_lt update_time_ge update_time_lt shipping_type ' +
        'buyer_user_id is_buyer_request_cancel warehouse_ids',
    ),
    run: searchOrders,
  },
  {
    name: 'order-detail',
    method: 'GET',
    path: /^\/order\/20(?:2309|2507)\/orders$/,
    isShopCall: true,
    query: ['ids'],
    body: [],
    run: orderDetail,
  },
  {
    name: 'webhook-list',
    method: 'GET',
    path: /^\/event\/202309\/webhooks$/,
    isShopCall: true,
    query: [],
    body: [],
    run: ({ shop }) => {
      const webhooks = [...shop.subscriptions].map(([event_type, { address, createdAt, updatedAt }]) => ({
        event_type,
        address,
        create_time: secondsOf(createdAt),
        update_time: secondsOf(updatedAt),
      }));
      return ok({ webhooks, total_count: webhooks.length });
    },
  },
  {
    name: 'webhook-set',
    method: 'PUT',
    path: /^\/event\/202309\/webhooks$/,
    isShopCall: true,
    query: [],
    body: ['address', 'event_type'],
    run: ({ shop, body }) => {
      const { address, event_type: type } = recordOf(body) ?? {};
      if (typeof address !== 'string' || typeof type !== 'string' || !isEventType(type))
        return bad('invalid event_type or address');
      const problem = shop.addressProblem(address);
      if (problem !== undefined) return bad(problem);
      shop.subscribe(type, address);
      return ok({});
    },
  },
];

function searchProducts({ shop, query, body }: Call): ApiResult {
  const wanted = recordOf(body) ?? {};
  const size = Number(query.get('page_size'));
  if (!Number.isSafeInteger(size) || size < 1 || size > 100) {
    shop.violate('over-limit', `page_size ${query.get('page_size')}`);
    return { code: 12019109, message: 'page size is invalid' };
  }
  const names = listOf(wanted['seller_skus']);
  const ids = listOf(wanted['sku_ids']);
  if (names.length > 10 || ids.length > 10) {
    shop.violate('over-limit', 'more than 10 SKUs in a product search');
    return { code: 12019087, message: 'The number of SKU IDs exceeds the limit of 10' };
  }
  const status = wanted['status'] ?? 'ALL';
  const found = [...shop.inventory.products.values()].filter((product) => {
    if (status === 'ALL' ? product.status === 'DELETED' : product.status !== status) return false;
    if (names.length > 0 && !product.skus.some((sku) => names.includes(sku.sellerSku))) return false;
    if (ids.length > 0 && !product.skus.some((sku) => ids.includes(sku.id))) return false;
    return isIn(secondsOf(product.updatedAt), wanted['update_time_ge'], wanted['update_time_le'], true);
  });
  if (found.length > shop.settings.maxSearchResults)
    return { code: 12052180, message: 'The total number of search results can not exceed 10000.' };
  return page(shop, query, body, found, size, (rows, rest) =>
    ok({
      total_count: found.length,
      products: rows.map((product: Product) => productBody(product)),
      ...rest,
    }),
  );
}

function searchInventory({ shop, body }: Call): ApiResult {
  const wanted = recordOf(body) ?? {};
  const skuIds = listOf(wanted['sku_ids']).map(String);
  const productIds = listOf(wanted['product_ids']).map(String);
  if (skuIds.length > 600) {
    shop.violate('over-limit', `${skuIds.length} sku_ids`);
    return { code: 12019015, message: 'The number of SKU exceed the limit' };
  }
  if (productIds.length > 100) {
    shop.violate('over-limit', `${productIds.length} product_ids`);
    return { code: 12019120, message: 'The number of provided product IDs exceeds the limit.' };
  }
  const bySku = new Set(skuIds);
  const { inventory } = shop;
  const products =
    skuIds.length > 0
      ? new Set(skuIds.flatMap((id) => inventory.skus.get(id)?.product ?? []))
      : new Set(productIds.flatMap((id) => inventory.products.get(id) ?? []));
  return ok({
    inventory: [...products].map((product) =>
      inventoryBody(product, skuIds.length > 0 ? bySku : undefined, inventory),
    ),
  });
}

function searchOrders({ shop, query, body }: Call): ApiResult {
  const wanted = recordOf(body) ?? {};
  const size = Number(query.get('page_size'));
  if (!Number.isSafeInteger(size) || size < 1 || size > 100) {
    shop.violate('over-limit', `page_size ${query.get('page_size')}`);
    return bad('invalid page_size');
  }
  const now = shop.clock.now();
  const byCreation = query.get('sort_field') !== 'update_time';
  const rows = [...shop.orders.orders.values()].flatMap((order) => {
    const indexed = order.index.findLast(({ visibleAt }) => visibleAt <= now);
    return indexed === undefined ? [] : [{ order, updatedS: secondsOf(indexed.updatedAt) }];
  });
  const found = rows
    .filter(({ order, updatedS }) => {
      const status = wanted['order_status'];
      if (status !== undefined && order.status !== status) return false;
      return (
        isIn(updatedS, wanted['update_time_ge'], wanted['update_time_lt'], false) &&
        isIn(secondsOf(order.createdAt), wanted['create_time_ge'], wanted['create_time_lt'], false)
      );
    })
    .toSorted((a, b) => (byCreation ? a.order.createdAt - b.order.createdAt : a.updatedS - b.updatedS));
  if ((query.get('sort_order') ?? 'DESC') === 'DESC') found.reverse();
  return page(shop, query, body, found, size, (some, rest) =>
    ok({ total_count: found.length, orders: some.map(({ order }) => orderBody(order)), ...rest }),
  );
}

function orderDetail({ shop, query }: Call): ApiResult {
  const ids = (query.get('ids') ?? '').split(',').filter((id) => id !== '');
  if (ids.length === 0) return bad('ids is missing');
  if (ids.length > 50) {
    shop.violate('over-limit', `${ids.length} order ids`);
    return bad('ids exceeds the limit of 50');
  }
  const orders = ids.flatMap((id) => shop.orders.orders.get(id) ?? []);
  return ok({ orders: orders.map((order) => orderBody(order)) });
}

function page<Row>(
  shop: SandboxTiktokShop,
  query: URLSearchParams,
  body: unknown,
  found: readonly Row[],
  size: number,
  build: (rows: readonly Row[], rest: { next_page_token: string }) => ApiResult,
): ApiResult {
  const search = [body ?? {}, query.get('sort_field'), query.get('sort_order'), size];
  const token = query.get('page_token');
  const offset = token === null || token === '' ? 0 : offsetOf(search, token);
  if (offset === undefined) {
    shop.violate('page-token', 'the page token belongs to another search, or was changed on its way');
    return bad('invalid page_token');
  }
  const rows = found.slice(offset, offset + size);
  const end = offset + rows.length;
  return build(rows, { next_page_token: end < found.length ? pageToken(search, end) : '' });
}

function isIn(valueS: number, from: unknown, to: unknown, isInclusive: boolean): boolean {
  if (typeof from === 'number' && valueS < from) return false;
  if (typeof to !== 'number') return true;
  return isInclusive ? valueS <= to : valueS < to;
}
