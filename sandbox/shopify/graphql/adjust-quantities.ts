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

export const inventoryAdjustQuantities: Resolver<unknown, { input: AdjustInput }> = (
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
