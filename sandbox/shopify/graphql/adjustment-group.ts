import type { GraphQLResolveInfo } from 'graphql';
import { gid } from '../ids.ts';
import type { AdjustmentChange, AdjustmentGroup, Level, QuantityName } from '../model.ts';
import type { RequestContext } from './context.ts';
import type { UserError } from './failures.ts';
import { writableLevel } from './quantity-rules.ts';
import type { Target } from './quantity-rules.ts';

export interface GroupPayload {
  readonly inventoryAdjustmentGroup: AdjustmentGroup | null;
  readonly userErrors: readonly UserError[];
}

export const refused = (userErrors: readonly UserError[]): GroupPayload => ({
  inventoryAdjustmentGroup: null,
  userErrors,
});

/** One stored change of one level, with what the adjustment group reports about it. */
export interface Step {
  readonly target: Target;
  readonly name: QuantityName;
  readonly delta: number;
  readonly ledgerDocumentUri: string | null;
}

export interface Header {
  readonly reason: string;
  readonly referenceDocumentUri?: string | null;
}

/** Applies all steps at once; any error before this point has changed nothing. */
export function applySteps(
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

export const storedLevel = (target: Target): Level | undefined => target.item.levels.get(target.location.id);
