import { isGiven } from './given.ts';
import { gid } from '../ids.ts';
import type { InventoryState } from '../inventory-state.ts';
import type { Level } from '../model.ts';
import type { Resolver, TypeResolvers } from './context.ts';
import { requireScope, userError } from './failures.ts';
import type { UserError } from './failures.ts';
import { idempotently } from './idempotent-mutation.ts';

interface LevelPayload {
  readonly inventoryLevel: Level | null;
  readonly userErrors: readonly UserError[];
}

const refused = (userErrors: readonly UserError[]): LevelPayload => ({ inventoryLevel: null, userErrors });

interface ActivateArguments {
  readonly inventoryItemId: string;
  readonly locationId: string;
  readonly available?: number | null;
  readonly onHand?: number | null;
}

const LIMIT = 1_000_000_000;

const inventoryActivate: Resolver<unknown, ActivateArguments> = (_source, args, context, info) => {
  requireScope(context, info, 'write_inventory');
  const { shop } = context;
  return idempotently(context, info, refused, (key) => {
    const item = shop.inventory.items.get(args.inventoryItemId);
    const location = shop.inventory.locations.get(args.locationId);
    if (!item || !location) {
      const [field, what] = item ? ['locationId', 'location'] : ['inventoryItemId', 'inventory item'];
      return refused([userError([field], null, `The specified ${what} could not be found.`)]);
    }
    const known = item.levels.get(location.id);
    const given = (['available', 'onHand'] as const).filter((name) => isGiven(args[name]));
    const stockError = (name: string, why: string) =>
      userError([name], null, `The product couldn't be stocked at ${location.name} because ${why}`);
    if (given.length === 2)
      return refused(
        given.map((name) =>
          stockError(name, 'not allowed to set available and on_hand quantities at the same time.'),
        ),
      );
    const [name] = given;
    const quantity = name === undefined ? null : (args[name] ?? null);
    if (name !== undefined && known?.isActive) {
      const text = name === 'available' ? 'available quantity' : 'an on_hand quantity';
      const message = `Not allowed to set ${text} when the item is already active at the location.`;
      return refused([userError([name], null, message)]);
    }
    if (name !== undefined && quantity !== null && Math.abs(quantity) > LIMIT)
      return refused([stockError(name, 'the quantity needs to be between -1 billion and 1 billion.')]);
    const level = shop.inventory.openLevel(item, location, false);
    const wasActive = level.isActive;
    // Without a quantity a reactivated level keeps the one it had (since 2026-04).
    if (quantity !== null) {
      const cause = { cause: 'api' as const, operation: info.fieldName, idempotencyKey: key };
      shop.inventory.change(level, { available: quantity - level.quantities.available }, cause);
    }
    if (!wasActive) shop.connectLevel(level);
    return { inventoryLevel: level, userErrors: [] };
  });
};

const inventoryDeactivate: Resolver<unknown, { inventoryLevelId: string }> = (
  _source,
  args,
  context,
  info,
) => {
  requireScope(context, info, 'write_inventory');
  return idempotently(context, info, refused, () => {
    const level = findLevel(context.shop.inventory, args.inventoryLevelId);
    if (!level)
      return refused([
        userError(null, null, "The product couldn't be unstocked because the product was deleted."),
      ]);
    const active = [...level.item.levels.values()].filter((candidate) => candidate.isActive);
    if (active.length === 1 && active[0] === level)
      return refused([
        userError(
          null,
          null,
          `The product couldn't be unstocked from ${level.location.name} because products need to be stocked at a minimum of 1 location.`,
        ),
      ]);
    context.shop.disconnectLevel(level);
    return { inventoryLevel: level, userErrors: [] };
  });
};

/** The level named by its gid; the item's number is in the gid's query part. */
export function findLevel(inventory: InventoryState, id: string): Level | null {
  const itemNumber = /\?inventory_item_id=(\d+)$/.exec(id)?.[1];
  const item = itemNumber === undefined ? undefined : inventory.items.get(gid('InventoryItem', itemNumber));
  for (const level of item?.levels.values() ?? []) if (level.id === id) return level;
  return null;
}

interface ItemUpdateArguments {
  readonly id: string;
  readonly input: { readonly tracked?: boolean | null; readonly sku?: string | null };
}

const inventoryItemUpdate: Resolver<unknown, ItemUpdateArguments> = (
  _source,
  { id, input },
  context,
  info,
) => {
  requireScope(context, info, 'write_inventory');
  const { shop } = context;
  const item = shop.inventory.items.get(id);
  if (!item)
    return {
      inventoryItem: null,
      userErrors: [userError(['id'], null, 'The product could not be updated because it does not exist.')],
    };
  if (isGiven(input.tracked)) item.tracked = input.tracked;
  shop.inventory.touchItem(item);
  shop.emit('inventory_items/update', () => shop.payloads.item(item));
  return { inventoryItem: item, userErrors: [] };
};

export const LEVEL_MUTATIONS: TypeResolvers = { inventoryActivate, inventoryDeactivate, inventoryItemUpdate };
