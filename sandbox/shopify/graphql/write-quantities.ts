import { isGiven } from './given.ts';
import type { GraphQLResolveInfo } from 'graphql';
import { gid } from '../ids.ts';
import { onHandOf } from '../model.ts';
import type { AdjustmentChange, AdjustmentGroup, Level, QuantityName } from '../model.ts';
import type { RequestContext, Resolver, TypeResolvers } from './context.ts';
import { requireScope, userError } from './failures.ts';
import type { UserError } from './failures.ts';
import { idempotently } from './idempotent-mutation.ts';
import {
  headerErrors,
  invalidQuantityName,
  isAdjustable,
  ledgerDocumentErrors,
  requireChangeFrom,
  staleError,
  targetOf,
  writableLevel,
} from './quantity-rules.ts';
import type { Target } from './quantity-rules.ts';

interface GroupPayload {
  readonly inventoryAdjustmentGroup: AdjustmentGroup | null;
  readonly userErrors: readonly UserError[];
}

const refused = (userErrors: readonly UserError[]): GroupPayload => ({
  inventoryAdjustmentGroup: null,
  userErrors,
});

/** One stored change of one level, with what the adjustment group reports about it. */
interface Step {
  readonly target: Target;
  readonly name: QuantityName;
  readonly delta: number;
  readonly ledgerDocumentUri: string | null;
}

interface Header {
  readonly reason: string;
  readonly referenceDocumentUri?: string | null;
}

/** Applies all steps at once; any error before this point has changed nothing. */
function applySteps(
  context: RequestContext,
  info: GraphQLResolveInfo,
  header: Header,
  steps: readonly Step[],
  idempotencyKey: string,
): GroupPayload {
  const { shop } = context;
  const effective = steps.filter((step) => step.delta !== 0);
  if (effective.length === 0) return { inventoryAdjustmentGroup: null, userErrors: [] };
  const reference = header.referenceDocumentUri ?? null;
  const changes: AdjustmentChange[] = [];
  for (const step of effective) {
    const level = writableLevel(context, step.target);
    const origin = { cause: 'api' as const, operation: info.fieldName, idempotencyKey, reference };
    shop.inventory.change(level, { [step.name]: step.delta }, origin);
    const row = { delta: step.delta, item: level.item, location: level.location };
    changes.push({ ...row, name: step.name, ledgerDocumentUri: step.ledgerDocumentUri });
    // Everything except `incoming` is part of on_hand, and the group says so in a second row. A move between two
    // parts leaves on_hand alone.
    if (step.name !== 'incoming' && info.fieldName !== 'inventoryMoveQuantities')
      changes.push({ ...row, name: 'on_hand', ledgerDocumentUri: null });
  }
  const group: AdjustmentGroup = {
    typename: 'InventoryAdjustmentGroup',
    id: gid('InventoryAdjustmentGroup', shop.groupIds.take()),
    createdAt: shop.clock.now(),
    reason: header.reason,
    referenceDocumentUri: reference,
    changes,
  };
  return { inventoryAdjustmentGroup: group, userErrors: [] };
}

const storedLevel = (target: Target): Level | undefined => target.item.levels.get(target.location.id);

interface AdjustInput extends Header {
  readonly name: string;
  readonly changes: readonly {
    readonly delta: number;
    readonly inventoryItemId: string;
    readonly locationId: string;
    readonly changeFromQuantity?: number | null;
    readonly ledgerDocumentUri?: string | null;
  }[];
}

const ADJUST_LIMIT = 2_000_000_000;

const inventoryAdjustQuantities: Resolver<unknown, { input: AdjustInput }> = (
  _source,
  { input },
  context,
  info,
) => {
  requireScope(context, info, 'write_inventory');
  requireChangeFrom(context, info, 'InventoryChangeInput', input.changes);
  return idempotently(context, info, refused, (key) => {
    const errors = headerErrors(input);
    const name = input.name;
    if (!isAdjustable(name)) return refused([...errors, invalidQuantityName(['input', 'name'])]);
    if (new Set(input.changes.map((row) => row.ledgerDocumentUri ?? null)).size > 1)
      errors.push(
        userError(
          ['input', 'changes'],
          'MAX_ONE_LEDGER_DOCUMENT',
          'All changes must have the same ledger document URI or, in the case of adjusting available, no ledger document URI.',
        ),
      );
    const steps: Step[] = [];
    for (const [index, row] of input.changes.entries()) {
      const at = (field: string) => ['input', 'changes', String(index), field];
      errors.push(...ledgerDocumentErrors(name, row.ledgerDocumentUri, at('ledgerDocumentUri')));
      const target = targetOf(context.shop, row, at('inventoryItemId'), at('locationId'));
      if (!('item' in target)) {
        errors.push(target);
        continue;
      }
      const current = storedLevel(target)?.quantities[name] ?? 0;
      const after = current + row.delta;
      if (after > ADJUST_LIMIT)
        errors.push(
          userError(
            at('delta'),
            'INVALID_QUANTITY_TOO_HIGH',
            "The quantity can't be higher than 2,000,000,000.",
          ),
        );
      else if (after < -ADJUST_LIMIT)
        errors.push(
          userError(
            at('delta'),
            'INVALID_QUANTITY_TOO_LOW',
            "The quantity can't be lower than -2,000,000,000.",
          ),
        );
      if (isGiven(row.changeFromQuantity) && row.changeFromQuantity !== current)
        errors.push(staleError(at('changeFromQuantity')));
      steps.push({ target, name, delta: row.delta, ledgerDocumentUri: row.ledgerDocumentUri ?? null });
    }
    return errors.length > 0 ? refused(errors) : applySteps(context, info, input, steps, key);
  });
};

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

const inventorySetQuantities: Resolver<unknown, { input: SetInput }> = (
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

const inventorySetOnHandQuantities: Resolver<unknown, { input: SetOnHandInput }> = (
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

interface Terminal {
  readonly name: string;
  readonly locationId: string;
  readonly changeFromQuantity?: number | null;
  readonly ledgerDocumentUri?: string | null;
}

interface MoveInput extends Header {
  readonly changes: readonly {
    readonly inventoryItemId: string;
    readonly quantity: number;
    readonly from: Terminal;
    readonly to: Terminal;
  }[];
}

const inventoryMoveQuantities: Resolver<unknown, { input: MoveInput }> = (
  _source,
  { input },
  context,
  info,
) => {
  requireScope(context, info, 'write_inventory');
  const terminals = input.changes.flatMap((row) => [row.from, row.to]);
  requireChangeFrom(context, info, 'InventoryMoveQuantityTerminalInput', terminals);
  return idempotently(context, info, refused, (key) => {
    const errors = headerErrors(input);
    const steps: Step[] = [];
    for (const [index, row] of input.changes.entries()) {
      const base = ['input', 'changes', String(index)];
      if (row.quantity < 0)
        errors.push(
          userError([...base, 'quantity'], 'INVALID_QUANTITY_NEGATIVE', "The quantity can't be negative."),
        );
      if (row.from.locationId !== row.to.locationId)
        errors.push(
          userError(
            base,
            'DIFFERENT_LOCATIONS',
            "The quantities can't be moved between different locations.",
          ),
        );
      if (row.from.name === row.to.name)
        errors.push(
          userError(base, 'SAME_QUANTITY_NAME', "The quantity names for each change can't be the same."),
        );
      for (const side of ['from', 'to'] as const) {
        const terminal = row[side];
        const at = (field: string) => [...base, side, field];
        if (!isAdjustable(terminal.name)) {
          errors.push(invalidQuantityName(at('name')));
          continue;
        }
        errors.push(
          ...ledgerDocumentErrors(terminal.name, terminal.ledgerDocumentUri, at('ledgerDocumentUri')),
        );
        const place = { inventoryItemId: row.inventoryItemId, locationId: terminal.locationId };
        const target = targetOf(context.shop, place, [...base, 'inventoryItemId'], at('locationId'));
        if (!('item' in target)) {
          errors.push(target);
          continue;
        }
        const current = storedLevel(target)?.quantities[terminal.name] ?? 0;
        if (isGiven(terminal.changeFromQuantity) && terminal.changeFromQuantity !== current)
          errors.push(staleError(at('changeFromQuantity')));
        const delta = side === 'from' ? -row.quantity : row.quantity;
        steps.push({
          target,
          name: terminal.name,
          delta,
          ledgerDocumentUri: terminal.ledgerDocumentUri ?? null,
        });
      }
    }
    return errors.length > 0 ? refused(errors) : applySteps(context, info, input, steps, key);
  });
};

export const QUANTITY_MUTATIONS: TypeResolvers = {
  inventoryAdjustQuantities,
  inventorySetQuantities,
  inventorySetOnHandQuantities,
  inventoryMoveQuantities,
};
