import { onHandOf } from '../model.ts';
import { applySteps, refused, storedLevel } from './adjustment-group.ts';
import type { Header, Step } from './adjustment-group.ts';
import type { RequestContext, Resolver } from './context.ts';
import { requireScope, userError } from './failures.ts';
import type { UserError } from './failures.ts';
import { isGiven } from './given.ts';
import { idempotently } from './idempotent-mutation.ts';
import { headerErrors, requireChangeFrom, staleError, targetOf } from './quantity-rules.ts';

interface SetRow {
  readonly inventoryItemId: string;
  readonly locationId: string;
  readonly quantity: number;
  readonly changeFromQuantity?: number | null;
}

const SET_LIMIT = 1_000_000_000;

function setSteps(
  context: RequestContext,
  name: 'available' | 'on_hand',
  rows: readonly SetRow[],
  listField: string,
  errors: UserError[],
): Step[] {
  const steps: Step[] = [];
  const pairs = new Map<string, number>();
  for (const row of rows) {
    const pair = `${row.inventoryItemId} ${row.locationId}`;
    pairs.set(pair, (pairs.get(pair) ?? 0) + 1);
  }
  for (const [index, row] of rows.entries()) {
    const at = (field: string) => ['input', listField, String(index), field];
    const target = targetOf(context.shop, row, at('inventoryItemId'), at('locationId'));
    if (!('item' in target)) {
      errors.push(target);
      continue;
    }
    if ((pairs.get(`${row.inventoryItemId} ${row.locationId}`) ?? 0) > 1)
      errors.push(
        userError(
          at('locationId'),
          'NO_DUPLICATE_INVENTORY_ITEM_ID_GROUP_ID_PAIR',
          'The combination of inventoryItemId and locationId must be unique.',
        ),
      );
    if (row.quantity > SET_LIMIT)
      errors.push(
        userError(
          at('quantity'),
          'INVALID_QUANTITY_TOO_HIGH',
          "The quantity can't be higher than 1,000,000,000.",
        ),
      );
    else if (name === 'on_hand' && row.quantity < 0)
      errors.push(userError(at('quantity'), 'INVALID_QUANTITY_NEGATIVE', "The quantity can't be negative."));
    else if (row.quantity < -SET_LIMIT)
      errors.push(
        userError(
          at('quantity'),
          'INVALID_QUANTITY_TOO_LOW',
          "The quantity can't be lower than -1,000,000,000.",
        ),
      );
    const level = storedLevel(target);
    const current =
      level === undefined ? 0 : name === 'on_hand' ? onHandOf(level) : level.quantities.available;
    if (isGiven(row.changeFromQuantity) && row.changeFromQuantity !== current)
      errors.push(staleError(at('changeFromQuantity')));
    // on_hand is a sum: setting it moves its only free part, available.
    steps.push({ target, name: 'available', delta: row.quantity - current, ledgerDocumentUri: null });
  }
  return steps;
}

interface SetInput extends Header {
  readonly name: string;
  readonly quantities: readonly SetRow[];
}

export const inventorySetQuantities: Resolver<unknown, { input: SetInput }> = (
  _source,
  { input },
  context,
  info,
) => {
  requireScope(context, info, 'write_inventory');
  requireChangeFrom(context, info, 'InventoryQuantityInput', input.quantities);
  return idempotently(context, info, refused, (key) => {
    const errors = headerErrors(input);
    const name = input.name;
    if (name !== 'available' && name !== 'on_hand') {
      const message = "The quantity name must be either 'available' or 'on_hand'.";
      return refused([...errors, userError(['input', 'name'], 'INVALID_NAME', message)]);
    }
    if (name === 'on_hand') context.shop.violate('on-hand-mutation', context.operation);
    const steps = setSteps(context, name, input.quantities, 'quantities', errors);
    return errors.length > 0 ? refused(errors) : applySteps(context, info, input, steps, key);
  });
};

interface SetOnHandInput extends Header {
  readonly setQuantities: readonly SetRow[];
}

export const inventorySetOnHandQuantities: Resolver<unknown, { input: SetOnHandInput }> = (
  _source,
  { input },
  context,
  info,
) => {
  requireScope(context, info, 'write_inventory');
  requireChangeFrom(context, info, 'InventorySetQuantityInput', input.setQuantities);
  return idempotently(context, info, refused, (key) => {
    context.shop.violate('on-hand-mutation', context.operation);
    const errors = headerErrors(input);
    const steps = setSteps(context, 'on_hand', input.setQuantities, 'setQuantities', errors);
    return errors.length > 0 ? refused(errors) : applySteps(context, info, input, steps, key);
  });
};
