import type { LedgerFold } from '../fold.ts';
import { US } from '../keys.ts';
import { scanKeys } from '../state-dump.ts';
import { batchesOf, pagesOf, readPinned, type VerifyContext } from './pinned-read.ts';

const batch = 200;

/** Taken and provisional units of every listing against the log. Returns the listings looked at. */
export async function verifyListings(context: VerifyContext, fold: LedgerFold): Promise<number> {
  const { redis, keys } = context;
  const seen = new Set<string>();
  /** `channel US listing id` */
  const look = async (listings: readonly string[]): Promise<void> => {
    const fresh = [...new Set(listings)].filter((listing) => !seen.has(listing));
    for (const listing of fresh) seen.add(listing);
    for (const some of batchesOf(fresh, batch)) {
      const rows = await readPinned(context, (read) => {
        for (const listing of some)
          read.hmget(`${keys.prefix}listing:${listing.replace(US, ':')}`, 't', 'pv');
      });
      for (const [index, listing] of some.entries()) {
        const [taken, provisional] = (rows[index] as readonly (string | null)[]).map(Number);
        compare(context, 'taken', listing, taken ?? 0, fold.taken.get(listing) ?? 0);
        compare(context, 'reserved-sum', listing, provisional ?? 0, fold.provisional.get(listing) ?? 0);
      }
    }
  };
  const prefix = `${keys.prefix}listings:`;
  for (const set of await scanKeys(redis, `${prefix}*`)) {
    const channel = set.slice(prefix.length);
    for await (const page of pagesOf((cursor) => redis.sscan(set, cursor, 'COUNT', batch)))
      await look(page.map((listingId) => `${channel}${US}${listingId}`));
  }
  const told = [...fold.taken, ...fold.provisional].filter(([, units]) => units !== 0);
  await look(told.map(([listing]) => listing));
  return seen.size;
}

function compare(
  context: VerifyContext,
  invariant: 'taken' | 'reserved-sum',
  listing: string,
  kept: number,
  said: number,
): void {
  if (kept === said) return;
  const what = invariant === 'taken' ? 'taken' : 'provisional units';
  context.find(invariant, listing.replace(US, ' '), `${what}: ${kept}, the log says ${said}`);
}
