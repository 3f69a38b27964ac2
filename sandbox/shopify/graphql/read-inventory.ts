import { isGiven } from './given.ts';
import type { GraphQLResolveInfo } from 'graphql';
import { isoSeconds } from '../ids.ts';
import { onHandOf, STORED_QUANTITIES } from '../model.ts';
import type { AdjustmentChange, AdjustmentGroup, Item, Level, Location, QuantityName } from '../model.ts';
import { paginate } from './connection.ts';
import type { PageArguments } from './connection.ts';
import type { RequestContext, Resolver, TypeResolvers } from './context.ts';
import { requireScope, topLevelError } from './failures.ts';
import { search } from './search.ts';
import type { SearchSpec } from './search.ts';
import { findLevel } from './write-levels.ts';

export type SearchArguments = PageArguments & { readonly query?: string | null };
type LevelArguments = SearchArguments & { readonly includeInactive?: boolean | null };

const READ_INVENTORY = ['read_inventory', 'read_products'];
export const byNumber = {
  key: (row: { number: string }) => row.number,
  id: (row: { number: string }) => row.number,
};

function itemSpec(context: RequestContext): SearchSpec<Item> {
  const now = context.shop.clock.now();
  return {
    fields: {
      id: { kind: 'id', of: (item) => [item.number] },
      sku: { kind: 'text', of: (item) => (item.sku === null ? [] : [item.sku]) },
      created_at: { kind: 'time', of: (item) => item.createdAt },
      updated_at: { kind: 'time', of: (item) => item.index.at(now) },
    },
    isIndexed: (item) => item.index.at(now) !== null,
  };
}

function levelSpec(context: RequestContext): SearchSpec<Level> {
  const now = context.shop.clock.now();
  return {
    fields: {
      id: { kind: 'id', of: (level) => [level.location.levelNumber] },
      inventory_item_id: { kind: 'id', of: (level) => [level.item.number] },
      inventory_group_id: { kind: 'not-emulated' },
      created_at: { kind: 'time', of: (level) => level.createdAt },
      updated_at: { kind: 'time', of: (level) => level.index.at(now) },
    },
    isIndexed: (level) => level.index.at(now) !== null,
  };
}

function levelsPage(
  levels: Iterable<Level>,
  args: LevelArguments,
  context: RequestContext,
  info: GraphQLResolveInfo,
) {
  const rows = [...levels].filter((level) => args.includeInactive === true || level.isActive);
  const order = { key: (level: Level) => level.item.number, id: (level: Level) => level.location.number };
  return paginate(search(rows, args.query, levelSpec(context), context, info), args, order, context, info);
}

function visible(
  level: Level | undefined | null,
  args: { readonly includeInactive?: boolean | null },
): Level | null {
  return level && (level.isActive || args.includeInactive === true) ? level : null;
}

export const INVENTORY_QUERIES: TypeResolvers = {
  inventoryItem: ((_source, { id }, context, info) => {
    requireScope(context, info, ...READ_INVENTORY);
    return context.shop.inventory.items.get(id) ?? null;
  }) satisfies Resolver<unknown, { id: string }>,
  inventoryItems: ((_source, args, context, info) => {
    requireScope(context, info, ...READ_INVENTORY);
    const rows = search(
      [...context.shop.inventory.items.values()],
      args.query,
      itemSpec(context),
      context,
      info,
    );
    return paginate(rows, args, byNumber, context, info);
  }) satisfies Resolver<unknown, SearchArguments>,
  inventoryLevel: ((_source, { id }, context, info) => {
    requireScope(context, info, ...READ_INVENTORY);
    return findLevel(context.shop.inventory, id);
  }) satisfies Resolver<unknown, { id: string }>,
  location: ((_source, { id }, { shop }) => {
    if (!isGiven(id)) return [...shop.inventory.locations.values()][0] ?? null;
    return shop.inventory.locations.get(id) ?? null;
  }) satisfies Resolver<unknown, { id?: string | null }>,
  locations: ((_source, args, context, info) => {
    requireScope(context, info, 'read_locations', 'read_inventory');
    const rows = [...context.shop.inventory.locations.values()].filter(
      (location) =>
        (location.isActive || args.includeInactive === true) &&
        (!location.isFulfillmentService || args.includeLegacy === true),
    );
    if (isGiven(args.query) && args.query.trim() !== '')
      throw topLevelError('NOT_EMULATED', 'The sandbox does not search locations');
    return paginate(rows, args, byNumber, context, info);
  }) satisfies Resolver<unknown, SearchArguments & { includeInactive?: boolean; includeLegacy?: boolean }>,
};

export const INVENTORY_TYPES: Readonly<Record<string, TypeResolvers>> = {
  Location: {
    legacyResourceId: ((location) => location.number) satisfies Resolver<Location>,
    createdAt: ((location) => isoSeconds(location.createdAt)) satisfies Resolver<Location>,
    updatedAt: ((location) => isoSeconds(location.createdAt)) satisfies Resolver<Location>,
    isPrimary: ((location, _args, { shop }) =>
      [...shop.inventory.locations.values()][0] === location) satisfies Resolver<Location>,
    hasActiveInventory: ((location, _args, { shop }) => {
      for (const item of shop.inventory.items.values())
        if (item.levels.get(location.id)?.isActive) return true;
      return false;
    }) satisfies Resolver<Location>,
    inventoryLevels: ((location, args, context, info) => {
      requireScope(context, info, ...READ_INVENTORY);
      const levels: Level[] = [];
      for (const item of context.shop.inventory.items.values()) {
        const level = item.levels.get(location.id);
        if (level) levels.push(level);
      }
      return levelsPage(levels, args, context, info);
    }) satisfies Resolver<Location, LevelArguments>,
    inventoryLevel: ((location, args, { shop }) =>
      visible(
        shop.inventory.items.get(args.inventoryItemId)?.levels.get(location.id),
        args,
      )) satisfies Resolver<Location, { inventoryItemId: string; includeInactive?: boolean }>,
  },
  InventoryItem: {
    legacyResourceId: ((item) => item.number) satisfies Resolver<Item>,
    createdAt: ((item) => isoSeconds(item.createdAt)) satisfies Resolver<Item>,
    updatedAt: ((item) => isoSeconds(item.updatedAt)) satisfies Resolver<Item>,
    duplicateSkuCount: ((item, _args, { shop }) =>
      item.sku === null ? 0 : shop.inventory.itemsBySku(item.sku).length - 1) satisfies Resolver<Item>,
    variants: ((item, args, context, info) =>
      paginate([item.variant], args, byNumber, context, info)) satisfies Resolver<Item, PageArguments>,
    inventoryLevel: ((item, args) => visible(item.levels.get(args.locationId), args)) satisfies Resolver<
      Item,
      { locationId: string; includeInactive?: boolean }
    >,
    inventoryLevels: ((item, args, context, info) => {
      const order = {
        key: (level: Level) => level.location.number,
        id: (level: Level) => level.location.number,
      };
      const rows = [...item.levels.values()].filter(
        (level) => args.includeInactive === true || level.isActive,
      );
      return paginate(
        search(rows, args.query, levelSpec(context), context, info),
        args,
        order,
        context,
        info,
      );
    }) satisfies Resolver<Item, LevelArguments>,
  },
  InventoryLevel: {
    createdAt: ((level) => isoSeconds(level.createdAt)) satisfies Resolver<Level>,
    updatedAt: ((level) => isoSeconds(level.updatedAt)) satisfies Resolver<Level>,
    canDeactivate: (() => true) satisfies Resolver,
    quantities: ((level, { names }) => names.map((name) => quantityOf(level, name))) satisfies Resolver<
      Level,
      { names: readonly string[] }
    >,
  },
  InventoryAdjustmentGroup: {
    createdAt: ((group) => isoSeconds(group.createdAt)) satisfies Resolver<AdjustmentGroup>,
    changes: ((group, args) =>
      group.changes.filter(
        (change) =>
          (args.quantityNames?.includes(change.name) ?? true) &&
          (args.inventoryItemIds?.includes(change.item.id) ?? true) &&
          (args.locationIds?.includes(change.location.id) ?? true),
      )) satisfies Resolver<
      AdjustmentGroup,
      { quantityNames?: string[]; inventoryItemIds?: string[]; locationIds?: string[] }
    >,
  },
  InventoryChange: {
    quantityAfterChange: (() => null) satisfies Resolver<AdjustmentChange>,
  },
};

/** Only `available` carries a time in the records; every other name answers null. */
function quantityOf(level: Level, name: string) {
  const isStored = (STORED_QUANTITIES as readonly string[]).includes(name);
  if (!isStored && name !== 'on_hand')
    throw topLevelError('BAD_REQUEST', `The quantity name ${name} is not valid`);
  return {
    typename: 'InventoryQuantity',
    id: `gid://shopify/InventoryQuantity/${level.location.levelNumber}?inventory_item_id=${level.item.number}&name=${name}`,
    name,
    quantity: name === 'on_hand' ? onHandOf(level) : level.quantities[name as QuantityName],
    updatedAt: name === 'available' ? isoSeconds(level.updatedAt) : null,
  };
}
