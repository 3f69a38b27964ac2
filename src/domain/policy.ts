import type { LocationId } from './ids.ts';
import { type Level, availableOf } from './movement.ts';

/** How much of the stock a channel may show. All numbers are whole units. */
export interface ChannelPolicy {
  /** 0 to 100; rounds down. */
  readonly sharePercent: number;
  /** Of the shared units, kept back; rounds up. */
  readonly bufferPercent?: number | undefined;
  readonly bufferUnits: number;
  readonly capUnits?: number | undefined;
  /** At or below this many the listing shows 0. */
  readonly endWhenUnits?: number | undefined;
  /** Units that may be sold beyond what is there: a merchant's explicit choice. */
  readonly oversellUnits: number;
}

export const showEverything: ChannelPolicy = { sharePercent: 100, bufferUnits: 0, oversellUnits: 0 };

export interface PolicyLocation {
  readonly location: LocationId;
  readonly level: Level;
  /** Reserved units that will be bought on this very channel: its own number must not hide them. */
  readonly settlesHere: number;
}

export type PolicyRule =
  | 'sum'
  /** Of a bundle, in place of the sum: `setting` is the number of its components. */
  | 'bundle'
  /** Units held back in bundles that contain the SKU, or of the bundle itself, for reasons not yet known. */
  | 'bundle-holds'
  | 'oversell-allowance'
  | 'not-below-zero'
  | 'share'
  | 'buffer-percent'
  | 'buffer'
  | 'stale-buffer'
  | 'cap'
  | 'end-when';

/** One line of the explanation: what the rule was given by configuration and what came out. */
export interface PolicyStep {
  readonly rule: PolicyRule;
  readonly setting: number;
  readonly units: number;
}

export interface Target {
  readonly units: number;
  readonly steps: readonly PolicyStep[];
}

/**
 * What a listing ought to show. `locations` are only those that the channel sells from (never stock the platform keeps
 * itself); `staleBufferUnits` is held back while what we know of the channel is old. A rule without effect is left out
 * of the steps, except the sum and the floor, which are always told.
 */
export function targetOf(
  policy: ChannelPolicy,
  locations: readonly PolicyLocation[],
  staleBufferUnits = 0,
  heldInBundles = 0,
): Target {
  const first = { rule: 'sum', setting: locations.length, units: sumOf(locations) } as const;
  return applyRules(policy, first, heldInBundles, staleBufferUnits);
}

/** What there is of one component of a bundle. */
export interface PolicyComponent {
  /** Units of it in one bundle. */
  readonly units: number;
  readonly locations: readonly PolicyLocation[];
}

/**
 * What the listing of a bundle ought to show: as many as the scarcest of its components makes, summed over the locations
 * first, because an order may be split over them. The policy is the bundle's own.
 */
export function bundleTargetOf(
  policy: ChannelPolicy,
  components: readonly PolicyComponent[],
  staleBufferUnits = 0,
  heldInBundles = 0,
): Target {
  let least = components.length === 0 ? 0 : Number.POSITIVE_INFINITY;
  for (const { units, locations } of components)
    least = Math.min(least, Math.floor(sumOf(locations) / units));
  const first = { rule: 'bundle', setting: components.length, units: least } as const;
  return applyRules(policy, first, heldInBundles, staleBufferUnits);
}

function applyRules(
  policy: ChannelPolicy,
  first: PolicyStep,
  heldInBundles: number,
  staleBufferUnits: number,
): Target {
  const steps: PolicyStep[] = [first];
  let { units } = first;
  const step = (rule: PolicyRule, setting: number, after: number, isAlwaysTold = false) => {
    if (after !== units || isAlwaysTold) steps.push({ rule, setting, units: after });
    units = after;
  };

  step('bundle-holds', heldInBundles, units - heldInBundles);
  step('oversell-allowance', policy.oversellUnits, units + policy.oversellUnits);
  // After the sum: a location that owes units takes them from the others.
  step('not-below-zero', 0, Math.max(0, units), true);
  step('share', policy.sharePercent, percentOf(units, policy.sharePercent));
  const bufferPercent = policy.bufferPercent ?? 0;
  step('buffer-percent', bufferPercent, percentOf(units, 100 - bufferPercent));
  step('buffer', policy.bufferUnits, Math.max(0, units - policy.bufferUnits));
  step('stale-buffer', staleBufferUnits, Math.max(0, units - staleBufferUnits));
  if (policy.capUnits !== undefined) step('cap', policy.capUnits, Math.min(units, policy.capUnits));
  if (policy.endWhenUnits !== undefined && units <= policy.endWhenUnits)
    step('end-when', policy.endWhenUnits, 0);
  return { units, steps };
}

function sumOf(locations: readonly PolicyLocation[]): number {
  let sum = 0;
  for (const { level, settlesHere } of locations) sum += availableOf(level) + settlesHere;
  return sum;
}

/** Exact over the whole range of quantities, where `units * percent` would leave the safe integers. */
function percentOf(units: number, percent: number): number {
  const rest = units % 100;
  return ((units - rest) / 100) * percent + Math.floor((rest * percent) / 100);
}
