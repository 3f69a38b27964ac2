/** What decides which of the pending listings is written first. */
export interface Urgency {
  readonly target: number;
  /** What the listing shows by our belief; undefined when it was never read. */
  readonly belief: number | undefined;
  /** Units sold per hour, lately. */
  readonly unitsPerHour: number;
  /** How long a write takes to show on this channel. */
  readonly lagMs: number;
  /** Sequence of the change that made it pending. */
  readonly seq: number;
}

/**
 * Sorting order of pending listings: sold out but still on the shelf first, then other lowerings by the chance to sell
 * what is not there while the write travels (velocity x lag / stock), then the rest; equals in order of their change.
 */
export function compareUrgency(left: Urgency, right: Urgency): number {
  return rankOf(left) - rankOf(right) || riskOf(right) - riskOf(left) || left.seq - right.seq;
}

function rankOf({ target, belief }: Urgency): number {
  const isLowering = belief === undefined || target < belief;
  if (isLowering && target <= 0) return 0;
  return isLowering ? 1 : 2;
}

function riskOf({ target, unitsPerHour, lagMs }: Urgency): number {
  return (unitsPerHour * lagMs) / Math.max(1, target);
}

/** Whoever has stock for longer than this at its present speed does not go before those that wait longer. */
const calmHours = 1;

/**
 * What can be told of the risk before a listing's numbers are read: 1 over the hours until it is sold out at its present
 * speed. 0 for everything that has time: among those the oldest goes, or some would wait for as long as others sell.
 */
export function sellOutRisk(unitsPerHour: number, left: number): number {
  const perHour = unitsPerHour / Math.max(1, left);
  return perHour < 1 / calmHours ? 0 : perHour;
}

/** Something of a request is sold out and still on the shelf: it goes past requests that only wait for their turn. */
export function zeroes(rows: readonly { readonly from: number; readonly to: number }[]): boolean {
  return rows.some(({ from, to }) => to <= 0 && to < from);
}
