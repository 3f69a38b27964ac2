/**
 * Several listings of one SKU on one channel can stand for the same stock of ours (two places of a shop that the
 * merchant keeps as one location). Together they show `units`; each keeps what it shows as far as possible, and the
 * first ones take the difference, so that one change of stock is one write and not one per place.
 */
export function shareOut(units: number, shown: readonly number[]): readonly number[] {
  const targets = shown.map((value) => Math.max(0, value));
  let difference = units - targets.reduce((sum, value) => sum + value, 0);
  for (const [index, value] of targets.entries()) {
    const target = Math.max(0, value + difference);
    difference -= target - value;
    targets[index] = target;
  }
  return targets;
}
