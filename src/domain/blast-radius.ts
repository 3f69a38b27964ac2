/**
 * How much of a channel one run of changes may do by itself. A run is everything within `windowMs` that stems from
 * counts, files, adoption, mapping, policy or a resync; sales are never part of it.
 */
export interface BlastLimits {
  readonly windowMs: number;
  /** Of the channel's listings that may be set to zero. */
  readonly maxZeroedPercent: number;
  /** Fewer zeroed listings than this are never too many: in a small shop every listing is a large part. */
  readonly minZeroedListings: number;
  /** Units that may be moved, up or down. */
  readonly maxMovedUnits: number;
}

export interface BlastRow {
  readonly from: number;
  readonly to: number;
}

export interface Blast {
  readonly zeroed: number;
  readonly movedUnits: number;
}

export const noBlast: Blast = { zeroed: 0, movedUnits: 0 };

export function blastOf(rows: readonly BlastRow[], before: Blast = noBlast): Blast {
  let { zeroed, movedUnits } = before;
  for (const { from, to } of rows) {
    if (from > 0 && to <= 0) zeroed++;
    movedUnits += Math.abs(to - from);
  }
  return { zeroed, movedUnits };
}

export type BlastVerdict = { readonly kind: 'fit' } | { readonly kind: 'stopped'; readonly reason: string };

export function judgeBlast(blast: Blast, listings: number, limits: BlastLimits): BlastVerdict {
  const { zeroed, movedUnits } = blast;
  const mayZero = Math.max(
    limits.minZeroedListings - 1,
    Math.floor((listings * limits.maxZeroedPercent) / 100),
  );
  if (zeroed > mayZero) return stopped(`it would set ${zeroed} of ${listings} listings to zero`);
  if (movedUnits > limits.maxMovedUnits) return stopped(`it would move ${movedUnits} units`);
  return { kind: 'fit' };
}

function stopped(reason: string): BlastVerdict {
  return { kind: 'stopped', reason };
}
