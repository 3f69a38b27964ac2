import { gid, isoSeconds } from '../ids.ts';
import { STORED_QUANTITIES } from '../model.ts';
import type { SandboxShop } from '../shop.ts';
import type { Resolver, TypeResolvers } from './context.ts';
import { findLevel } from './write-levels.ts';

const PLAN_NAMES = {
  standard: 'Basic',
  advanced: 'Advanced',
  plus: 'Plus',
  enterprise: 'Enterprise',
} as const;

const DISPLAY_NAMES: Readonly<Record<string, string>> = {
  available: 'Available',
  committed: 'Committed',
  damaged: 'Damaged',
  incoming: 'Incoming',
  on_hand: 'On hand',
  quality_control: 'Quality control',
  reserved: 'Reserved',
  safety_stock: 'Safety stock',
};

const ALWAYS_IN_USE = new Set(['available', 'committed', 'on_hand', 'reserved']);

const inventoryProperties: Resolver = () => {
  const parts = STORED_QUANTITIES.filter((name) => name !== 'incoming');
  return {
    quantityNames: [...STORED_QUANTITIES, 'on_hand' as const].toSorted().map((name) => ({
      name,
      displayName: DISPLAY_NAMES[name] ?? null,
      isInUse: ALWAYS_IN_USE.has(name),
      belongsTo: (parts as readonly string[]).includes(name) ? ['on_hand'] : [],
      comprises: name === 'on_hand' ? parts : [],
    })),
  };
};

const currentAppInstallation: Resolver = (_source, _args, { shop }) => ({
  typename: 'AppInstallation',
  id: gid('AppInstallation', '601152995634'),
  app: { typename: 'App', id: gid('App', '580111'), handle: 'sandbox-app', title: 'Sandbox app' },
  accessScopes: shop.tokens.app.scopes.map((handle) => ({ handle })),
});

const FINDERS: Readonly<Record<string, (shop: SandboxShop, id: string) => unknown>> = {
  InventoryItem: ({ inventory }, id) => inventory.items.get(id),
  InventoryLevel: ({ inventory }, id) => findLevel(inventory, id),
  Location: ({ inventory }, id) => inventory.locations.get(id),
  ProductVariant: ({ inventory }, id) => inventory.variant(id),
  Order: ({ orderBook }, id) => orderBook.orders.get(id),
  WebhookSubscription: ({ subscriptions }, id) => subscriptions.get(id),
  BulkOperation: ({ bulk }, id) => bulk.get(id),
};

/** Any record of the shop by gid; null for what does not exist, as `node` and `nodes` answer. */
const recordById = (shop: SandboxShop, id: string): unknown =>
  FINDERS[/^gid:\/\/shopify\/(\w+)\//.exec(id)?.[1] ?? '']?.(shop, id) ?? null;

export const SHOP_QUERIES: TypeResolvers = {
  shop: ((_source, _args, { shop }) => shop) satisfies Resolver,
  inventoryProperties,
  currentAppInstallation,
  publicApiVersions: (() => [
    { handle: '2026-10', displayName: '2026-10', supported: true },
  ]) satisfies Resolver,
  node: ((_source, { id }, { shop }) => recordById(shop, id)) satisfies Resolver<unknown, { id: string }>,
  nodes: ((_source, { ids }, { shop }) => ids.map((id) => recordById(shop, id))) satisfies Resolver<
    unknown,
    { ids: readonly string[] }
  >,
};

export const SHOP_FIELDS: TypeResolvers = {
  myshopifyDomain: ((shop) => shop.domain) satisfies Resolver<SandboxShop>,
  ianaTimezone: (() => 'Etc/UTC') satisfies Resolver,
  currencyCode: (() => 'USD') satisfies Resolver,
  email: (() => 'owner@example.com') satisfies Resolver,
  createdAt: ((shop) => isoSeconds(shop.clock.now())) satisfies Resolver<SandboxShop>,
  plan: ((shop) => ({
    displayName: PLAN_NAMES[shop.plan],
    publicDisplayName: PLAN_NAMES[shop.plan],
    partnerDevelopment: false,
    shopifyPlus: shop.plan === 'plus' || shop.plan === 'enterprise',
  })) satisfies Resolver<SandboxShop>,
};
