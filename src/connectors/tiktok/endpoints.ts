/** TikTok versions each endpoint by itself, in its path; a retired one answers 36009014. */
export const endpoints = {
  shops: { name: 'shops', method: 'GET', path: '/authorization/202309/shops', isShopCall: false },
  warehouses: { name: 'warehouses', method: 'GET', path: '/logistics/202309/warehouses', isShopCall: true },
  products: {
    name: 'products-search',
    method: 'POST',
    path: '/product/202502/products/search',
    isShopCall: true,
  },
  inventory: {
    name: 'inventory-search',
    method: 'POST',
    path: '/product/202309/inventory/search',
    isShopCall: true,
  },
  orders: { name: 'orders-search', method: 'POST', path: '/order/202309/orders/search', isShopCall: true },
  orderDetail: { name: 'order-detail', method: 'GET', path: '/order/202309/orders', isShopCall: true },
  webhookList: { name: 'webhook-list', method: 'GET', path: '/event/202309/webhooks', isShopCall: true },
  webhookSet: {
    name: 'webhook-set',
    method: 'PUT',
    path: '/event/202309/webhooks',
    isShopCall: true,
    isWrite: true,
  },
  deactivate: {
    name: 'product-deactivate',
    method: 'POST',
    path: '/product/202309/products/deactivate',
    isShopCall: true,
    isWrite: true,
  },
} as const satisfies Readonly<Record<string, Endpoint>>;

export interface Endpoint {
  /** Names the request in errors, and its budget. */
  readonly name: string;
  readonly method: 'GET' | 'POST' | 'PUT';
  readonly path: string;
  /** Carries `shop_cipher`; where it is not wanted TikTok calls it an unexpected identifier. */
  readonly isShopCall: boolean;
  readonly isWrite?: boolean;
}

/** All SKUs of one product, with all their warehouses. */
export function inventoryUpdate(productId: string): Endpoint {
  return {
    name: 'inventory-update',
    method: 'POST',
    path: `/product/202309/products/${productId}/inventory/update`,
    isShopCall: true,
    isWrite: true,
  };
}

export const writeOperations: ReadonlySet<string> = new Set([
  'inventory-update',
  ...Object.values(endpoints).flatMap((endpoint) => ('isWrite' in endpoint ? [endpoint.name] : [])),
]);
