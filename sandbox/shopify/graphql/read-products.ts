import { isoSeconds } from '../ids.ts';
import type { Item, Product, Variant } from '../model.ts';
import { paginate } from './connection.ts';
import type { PageArguments } from './connection.ts';
import type { RequestContext, Resolver, TypeResolvers } from './context.ts';
import { requireScope, topLevelError } from './failures.ts';
import { isGiven } from './given.ts';
import { byNumber } from './read-inventory.ts';
import type { SearchArguments } from './read-inventory.ts';
import { search } from './search.ts';
import type { SearchSpec } from './search.ts';

function variantSpec(context: RequestContext): SearchSpec<Variant> {
  const now = context.shop.clock.now();
  const unevaluated = Object.fromEntries(
    [
      'collection',
      'delivery_profile_id',
      'exclude_composite',
      'exclude_variants_with_components',
      'inventory_quantity',
      'location_id',
      'managed',
      'managed_by',
      'option1',
      'option2',
      'option3',
      'product_ids',
      'product_publication_status',
      'product_type',
      'publishable_status',
      'published_status',
      'tag',
      'tag_not',
      'taxable',
      'vendor',
    ].map((name) => [name, { kind: 'not-emulated' as const }]),
  );
  return {
    fields: {
      ...unevaluated,
      id: { kind: 'id', of: (variant) => [variant.number] },
      product_id: { kind: 'id', of: (variant) => [variant.product.number] },
      sku: { kind: 'text', of: (variant) => (variant.item.sku === null ? [] : [variant.item.sku]) },
      barcode: { kind: 'text', of: (variant) => (variant.barcode === null ? [] : [variant.barcode]) },
      title: { kind: 'text', of: (variant) => [variant.title] },
      gift_card: { kind: 'boolean', of: () => false },
      requires_components: { kind: 'boolean', of: (variant) => variant.item.bundle.length > 0 },
      updated_at: { kind: 'time', of: (variant) => variant.item.index.at(now) },
      product_status: {
        kind: 'choice',
        choices: ['active', 'archived', 'draft'],
        of: (variant) => [variant.product.status.toLowerCase()],
      },
    },
    text: (variant) => [variant.item.sku ?? '', variant.product.title],
    isIndexed: (variant) => variant.item.index.at(now) !== null,
  };
}

export const PRODUCT_QUERIES: TypeResolvers = {
  productVariants: ((_source, args, context, info) => {
    requireScope(context, info, 'read_products');
    const variants = [...context.shop.inventory.items.values()].map((item) => item.variant);
    return paginate(
      search(variants, args.query, variantSpec(context), context, info),
      args,
      byNumber,
      context,
      info,
    );
  }) satisfies Resolver<unknown, SearchArguments>,
  productVariant: ((_source, { id }, context, info) => {
    requireScope(context, info, 'read_products');
    return context.shop.inventory.variant(id);
  }) satisfies Resolver<unknown, { id: string }>,
  productVariantsCount: ((_source, args, context, info) => {
    requireScope(context, info, 'read_products');
    const variants = [...context.shop.inventory.items.values()].map((item) => item.variant);
    const count = search(variants, args.query, variantSpec(context), context, info).length;
    const limit = Math.min(args.limit ?? 10_000, 25_001);
    return { count: Math.min(count, limit), precision: count > limit ? 'AT_LEAST' : 'EXACT' };
  }) satisfies Resolver<unknown, { query?: string | null; limit?: number | null }>,
  products: ((_source, args, context, info) => {
    requireScope(context, info, 'read_products');
    if (isGiven(args.query) && args.query.trim() !== '')
      throw topLevelError('NOT_EMULATED', 'The sandbox does not search products');
    const products = [...context.shop.inventory.items.values()].map((item) => ({
      ...item.variant.product,
      item,
    }));
    return paginate(products, args, byNumber, context, info);
  }) satisfies Resolver<unknown, SearchArguments>,
};

export const PRODUCT_TYPES: Readonly<Record<string, TypeResolvers>> = {
  ProductVariant: {
    legacyResourceId: ((variant) => variant.number) satisfies Resolver<Variant>,
    sku: ((variant) => variant.item.sku) satisfies Resolver<Variant>,
    displayName: ((variant) => `${variant.product.title} - ${variant.title}`) satisfies Resolver<Variant>,
    inventoryItem: ((variant) => variant.item) satisfies Resolver<Variant>,
    inventoryPolicy: ((variant) => variant.item.policy) satisfies Resolver<Variant>,
    requiresComponents: ((variant) => variant.item.bundle.length > 0) satisfies Resolver<Variant>,
    createdAt: ((variant) => isoSeconds(variant.item.createdAt)) satisfies Resolver<Variant>,
    updatedAt: ((variant) => isoSeconds(variant.item.updatedAt)) satisfies Resolver<Variant>,
    // The sum over active levels only.
    inventoryQuantity: ((variant) =>
      [...variant.item.levels.values()].reduce(
        (sum, level) => sum + (level.isActive ? level.quantities.available : 0),
        0,
      )) satisfies Resolver<Variant>,
  },
  Product: {
    legacyResourceId: ((product) => product.number) satisfies Resolver<Product>,
    // Recorded as lazily stale: nobody may reconcile on it.
    totalInventory: (() => 0) satisfies Resolver,
    tracksInventory: ((product) => product.item?.tracked ?? true) satisfies Resolver<
      Product & { item?: Item }
    >,
    variants: ((product, args, context, info) =>
      paginate(product.item ? [product.item.variant] : [], args, byNumber, context, info)) satisfies Resolver<
      Product & { item?: Item },
      PageArguments
    >,
  },
};
