import type { GraphQLFieldResolver, GraphQLTypeResolver } from 'graphql';
import { inventoryAdjustQuantities } from './adjust-quantities.ts';
import { inventoryMoveQuantities } from './move-quantities.ts';
import { inventorySetOnHandQuantities, inventorySetQuantities } from './set-quantities.ts';
import { BULK_MUTATIONS, BULK_QUERIES, BULK_TYPES } from './bulk-roots.ts';
import type { RequestContext, TypeResolvers } from './context.ts';
import { topLevelError } from './failures.ts';
import { INVENTORY_QUERIES, INVENTORY_TYPES } from './read-inventory.ts';
import { ORDER_QUERIES, ORDER_TYPES } from './read-orders.ts';
import { PRODUCT_QUERIES, PRODUCT_TYPES } from './read-products.ts';
import { SHOP_FIELDS, SHOP_QUERIES } from './read-shop.ts';
import { WEBHOOK_MUTATIONS, WEBHOOK_QUERIES, WEBHOOK_TYPES } from './webhook-roots.ts';
import { LEVEL_MUTATIONS } from './write-levels.ts';

const QUANTITY_MUTATIONS: TypeResolvers = {
  inventoryAdjustQuantities,
  inventorySetQuantities,
  inventorySetOnHandQuantities,
  inventoryMoveQuantities,
};

const REGISTRY: Readonly<Record<string, TypeResolvers>> = {
  QueryRoot: {
    ...SHOP_QUERIES,
    ...INVENTORY_QUERIES,
    ...PRODUCT_QUERIES,
    ...ORDER_QUERIES,
    ...WEBHOOK_QUERIES,
    ...BULK_QUERIES,
  },
  Mutation: { ...QUANTITY_MUTATIONS, ...LEVEL_MUTATIONS, ...WEBHOOK_MUTATIONS, ...BULK_MUTATIONS },
  Shop: SHOP_FIELDS,
  ...INVENTORY_TYPES,
  ...PRODUCT_TYPES,
  ...ORDER_TYPES,
  ...WEBHOOK_TYPES,
  ...BULK_TYPES,
};

/** A field of Shopify's schema that the sandbox does not know fails loudly: null would be a wrong answer. */
export const resolveField: GraphQLFieldResolver<unknown, RequestContext> = (source, args, context, info) => {
  const resolver = REGISTRY[info.parentType.name]?.[info.fieldName];
  if (resolver) return resolver(source as never, args as never, context, info);
  if (typeof source === 'object' && source !== null && info.fieldName in source)
    return (source as Record<string, unknown>)[info.fieldName];
  throw topLevelError(
    'NOT_EMULATED',
    `The sandbox does not emulate ${info.parentType.name}.${info.fieldName}`,
  );
};

export const resolveType: GraphQLTypeResolver<unknown, RequestContext> = (value) =>
  (value as { readonly typename?: string }).typename;
