import { isGiven } from './given.ts';
import type { GraphQLResolveInfo } from 'graphql';
import type { Item, Level, Location, QuantityName } from '../model.ts';
import type { SandboxShop } from '../shop.ts';
import type { RequestContext } from './context.ts';
import { topLevelError, userError } from './failures.ts';
import type { UserError } from './failures.ts';

export const ADJUSTABLE: readonly QuantityName[] = [
  'available',
  'damaged',
  'incoming',
  'quality_control',
  'reserved',
  'safety_stock',
];

const REASONS = [
  'correction',
  'cycle_count_available',
  'damaged',
  'movement_canceled',
  'movement_created',
  'movement_received',
  'movement_updated',
  'other',
  'promotion',
  'quality_control',
  'received',
  'reservation_created',
  'reservation_deleted',
  'reservation_updated',
  'restock',
  'safety_stock',
  'shrinkage',
];

export const isAdjustable = (name: string): name is QuantityName =>
  (ADJUSTABLE as readonly string[]).includes(name);

export const invalidQuantityName = (field: readonly string[]): UserError =>
  userError(
    field,
    'INVALID_QUANTITY_NAME',
    `The specified quantity name is invalid. Valid values are: ${ADJUSTABLE.join(', ')}.`,
  );

/** Reason and reference document, common to every quantity mutation. */
export function headerErrors(input: { reason: string; referenceDocumentUri?: string | null }): UserError[] {
  const errors: UserError[] = [];
  if (!REASONS.includes(input.reason))
    errors.push(
      userError(
        ['input', 'reason'],
        'INVALID_REASON',
        `The specified reason is invalid. Valid values are: ${REASONS.join(', ')}.`,
      ),
    );
  const uri = input.referenceDocumentUri;
  if (isGiven(uri) && !isDocumentUri(uri))
    errors.push(
      userError(
        ['input', 'referenceDocumentUri'],
        'INVALID_REFERENCE_DOCUMENT',
        'The specified reference document is invalid.',
      ),
    );
  return errors;
}

const isDocumentUri = (uri: string): boolean => /^[a-z][a-z0-9+.-]*:\/\/\S+$/i.test(uri);

export function ledgerDocumentErrors(
  name: string,
  uri: string | null | undefined,
  field: readonly string[],
): UserError[] {
  if (name === 'available')
    return !isGiven(uri)
      ? []
      : [
          userError(
            field,
            'INVALID_AVAILABLE_DOCUMENT',
            'A ledger document URI is not allowed when adjusting available.',
          ),
        ];
  if (!isGiven(uri))
    return [
      userError(
        field,
        'INVALID_QUANTITY_DOCUMENT',
        'A ledger document URI is required except when adjusting available.',
      ),
    ];
  if (uri.startsWith('gid://shopify/'))
    return [
      userError(
        field,
        'INTERNAL_LEDGER_DOCUMENT',
        'Internal (gid://shopify/) ledger documents are not allowed to be adjusted via API.',
      ),
    ];
  return isDocumentUri(uri)
    ? []
    : [userError(field, 'INVALID_LEDGER_DOCUMENT', 'The specified ledger document is invalid.')];
}

export interface Target {
  readonly item: Item;
  readonly location: Location;
}

/** The item and location a row names, or why it cannot be changed. */
export function targetOf(
  shop: SandboxShop,
  row: { inventoryItemId: string; locationId: string },
  itemField: readonly string[],
  locationField: readonly string[],
): Target | UserError {
  const item = shop.inventory.items.get(row.inventoryItemId);
  if (!item)
    return userError(itemField, 'INVALID_INVENTORY_ITEM', 'The specified inventory item could not be found.');
  const location = shop.inventory.locations.get(row.locationId);
  if (!location)
    return userError(locationField, 'INVALID_LOCATION', 'The specified location could not be found.');
  if (item.bundle.length > 0)
    return userError(
      itemField,
      'NON_MUTABLE_INVENTORY_ITEM',
      'The specified inventory item is not allowed to be adjusted via API. Example: if the inventory item is a parent bundle.',
    );
  return { item, location };
}

export const staleError = (field: readonly string[]): UserError =>
  userError(
    field,
    'CHANGE_FROM_QUANTITY_STALE',
    'The changeFromQuantity argument no longer matches the persisted quantity.',
  );

/**
 * The level to write. Since 2026-10 a location where the item was never stocked is not refused: the quantity lands on
 * an inactive level and sells nowhere.
 */
export function writableLevel(context: RequestContext, target: Target): Level {
  const level = context.shop.inventory.openLevel(target.item, target.location, false);
  const what = `${target.item.sku ?? target.item.id} at ${target.location.name}`;
  if (!level.isActive) context.shop.violate('inactive-level-write', what);
  if (!target.item.tracked) context.shop.violate('untracked-item-write', what);
  return level;
}

/**
 * `changeFromQuantity` is nullable and still has to be present: an integer compares, null opts out, absent is refused
 * before the mutation runs.
 */
export function requireChangeFrom(
  context: RequestContext,
  info: GraphQLResolveInfo,
  inputType: string,
  rows: readonly object[],
): void {
  if (rows.every((row) => 'changeFromQuantity' in row)) return;
  context.shop.violate('missing-change-from-quantity', `${context.operation}: ${info.fieldName}`);
  const nodes = [...info.fieldNodes, ...(info.operation.variableDefinitions ?? []).slice(0, 1)];
  throw topLevelError(
    'INVALID_FIELD_ARGUMENTS',
    `${inputType} must include the following argument: changeFromQuantity.`,
    nodes,
  );
}
