import { applySteps, refused, storedLevel } from './adjustment-group.ts';
import type { Header, Step } from './adjustment-group.ts';
import type { Resolver } from './context.ts';
import { requireScope, userError } from './failures.ts';
import { isGiven } from './given.ts';
import { idempotently } from './idempotent-mutation.ts';
import {
  headerErrors,
  invalidQuantityName,
  isAdjustable,
  ledgerDocumentErrors,
  requireChangeFrom,
  staleError,
  targetOf,
} from './quantity-rules.ts';

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

export const inventoryMoveQuantities: Resolver<unknown, { input: MoveInput }> = (
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
