/** What a channel does while what its stock is made from is old. */
export interface StalenessRule {
  /** 0: never. */
  readonly afterMs: number;
  readonly raises: 'stop' | 'go';
  /** Kept back on top of the policy's buffer. */
  readonly bufferUnits: number;
}

/** When the orders, or counts, of a channel were last read to the end. */
export interface DataAge {
  readonly source: string;
  readonly what: 'orders' | 'counts';
  readonly ageMs: number;
  /** How often it is read by configuration: a figure is not old before its next reading was due. */
  readonly everyMs: number;
}

export type Staleness =
  | { readonly kind: 'fresh'; readonly bufferUnits: 0; readonly stopsRaises: false }
  | {
      readonly kind: 'stale';
      readonly bufferUnits: number;
      readonly stopsRaises: boolean;
      /** The oldest of what is too old. */
      readonly because: DataAge;
    };

export const fresh: Staleness = { kind: 'fresh', bufferUnits: 0, stopsRaises: false };

/** A reading that comes late once or twice is no outage. */
const missedReadings = 4;

/** Judged by the source that is overdue most: a channel knows its stock no better than the worst of them. */
export function stalenessOf(rule: StalenessRule, ages: readonly DataAge[]): Staleness {
  if (rule.afterMs === 0) return fresh;
  let because: DataAge | undefined;
  for (const age of ages) {
    const isOld = age.ageMs > Math.max(rule.afterMs, age.everyMs * missedReadings);
    if (isOld && (because === undefined || age.ageMs > because.ageMs)) because = age;
  }
  if (because === undefined) return fresh;
  return { kind: 'stale', bufferUnits: rule.bufferUnits, stopsRaises: rule.raises === 'stop', because };
}
