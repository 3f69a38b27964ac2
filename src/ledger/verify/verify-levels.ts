import type { LedgerFold } from '../fold.ts';
import { US } from '../keys.ts';
import type { ShippingMarks } from '../replay/shipping-marks.ts';
import { levelsOf, sumOfMarks } from '../state-dump.ts';
import { batchesOf, pagesOf, readPinned, type VerifyContext } from './pinned-read.ts';

const batch = 200;

/** Every level, version and shipping mark against the log. Returns the SKUs looked at. */
export async function verifyLevels(
  context: VerifyContext,
  fold: LedgerFold,
  marks: ShippingMarks,
): Promise<number> {
  const { redis, keys } = context;
  const seen = new Set<string>();
  const look = async (skus: readonly string[]): Promise<void> => {
    const replies = await readPinned(context, (read) => {
      for (const sku of skus) read.hgetall(`${keys.prefix}sku:${sku}`).sismember(keys.skus, sku);
    });
    for (const [index, sku] of skus.entries()) {
      const fields = replies[index * 2] as Readonly<Record<string, string>>;
      if (replies[index * 2 + 1] !== 1 && fold.versions.has(sku))
        context.find('projection', sku, 'is missing in the set of SKUs');
      compareSku(context, fold, marks, sku, fields);
    }
  };
  for await (const page of pagesOf((cursor) => redis.sscan(keys.skus, cursor, 'COUNT', batch))) {
    const fresh = page.filter((sku) => !seen.has(sku));
    for (const sku of fresh) seen.add(sku);
    for (const skus of batchesOf(fresh, batch)) await look(skus);
  }
  const lost = [...fold.versions.keys()].filter((sku) => !seen.has(sku));
  for (const skus of batchesOf(lost, batch)) await look(skus);
  return seen.size + lost.length;
}

function compareSku(
  context: VerifyContext,
  fold: LedgerFold,
  marks: ShippingMarks,
  sku: string,
  fields: Readonly<Record<string, string>>,
): void {
  const said = fold.versions.get(sku);
  if (said === undefined && context.isPartial) return;
  const version = Number(fields['v'] ?? 0);
  if (version !== (said ?? 0))
    context.find('version', sku, `version ${version}, the log says ${said ?? 'nothing'}`);
  const kept = levelsOf(fields);
  const folded = fold.levels.get(sku);
  for (const location of new Set([...kept.keys(), ...(folded?.keys() ?? [])])) {
    // Levels that the part of the log which is there does not mention cannot be judged by it.
    if (context.isPartial && folded?.has(location) !== true) continue;
    const a = kept.get(location) ?? { onHand: 0, committed: 0, reserved: 0 };
    const b = folded?.get(location) ?? { onHand: 0, committed: 0, reserved: 0 };
    if (a.onHand !== b.onHand || a.committed !== b.committed || a.reserved !== b.reserved) {
      context.find(
        'projection',
        `${sku} at ${location}`,
        `${JSON.stringify(a)}, the log says ${JSON.stringify(b)}`,
      );
    }
    const marked = fields[`g:${location}`] ?? '';
    const units = marked === '' ? 0 : sumOfMarks(marked);
    const open = marks.unitsAt(`${sku}${US}${location}`);
    if (!context.isPartial && units !== open)
      context.find('committed-sum', `${sku} at ${location}`, `${units} units shipping, the log says ${open}`);
  }
}
