import { type LineCounters, noUnits } from '../../../src/domain/order.ts';
import type { Random } from './random.ts';

/** What really happened to one order on its platform, version by version; deliveries show any of them, in any order. */
export interface OrderHistory {
  readonly orderId: string;
  readonly lines: readonly { readonly lineId: string; readonly sku: string }[];
  readonly versions: LineCounters[][];
}

export function newOrder(random: Random, orderId: string, skus: readonly string[]): OrderHistory {
  const lines = Array.from({ length: 1 + random.below(3) }, (_, i) => ({
    lineId: `${orderId}/${i}`,
    sku: random.pick(skus),
  }));
  const first = lines.map(() => {
    const ordered = 1 + random.below(4);
    return { ...noUnits, ordered, takenOut: ordered };
  });
  return { orderId, lines, versions: [first] };
}

/** One more thing happens: units are cancelled, lost, shipped or come back, never more than there are. */
export function advance(random: Random, history: OrderHistory): void {
  const latest = history.versions.at(-1) ?? [];
  const index = random.below(latest.length);
  const next = latest.map((counters) => ({ ...counters }));
  const line = next[index];
  if (line === undefined) return;
  const open = line.ordered - line.cancelled - line.writtenOff - line.shipped;
  const out = line.shipped - line.restocked;
  const what = random.below(5);
  if (what === 0 && open > 0) {
    line.cancelled += 1;
    line.givenBack += 1;
  } else if (what === 1 && open > 0) line.writtenOff += 1;
  else if (what === 2 && out > 0) line.restocked += 1;
  else if (open > 0) line.shipped += 1;
  else return;
  history.versions.push(next);
}
