import type { Sku } from '../domain/ids.ts';
import { Breaker } from '../mesh/breaker.ts';
import type { BuiltChannels } from './build-channels.ts';

/**
 * Asks a shop that lists the SKU for its own number: what is left to be said while the ledger cannot be read. The channels
 * are asked in the order of the configuration, each behind a breaker of its own, which publishing does not see.
 */
export function sourceFigures(
  channels: BuiltChannels['channels'],
  timeoutMs: number,
): (sku: Sku) => Promise<number | undefined> {
  const sources = channels.map((channel) => ({ ...channel, breaker: new Breaker() }));
  return async (sku) => {
    for (const { part, connector, map, breaker } of sources) {
      const listings = map.ofSku(sku);
      if (listings.length === 0 || part.counting !== undefined) continue;
      const admission = breaker.admit();
      if (admission.kind === 'refused') continue;
      try {
        const refs = listings.map(({ ref }) => ref);
        const { rows } = await connector.readStock(refs, AbortSignal.timeout(timeoutMs));
        admission.done('ok');
        // A listing the shop does not answer for is not a zero.
        if (rows.length === refs.length) return rows.reduce((sum, { value }) => sum + value, 0);
      } catch {
        admission.done('failed');
      }
    }
    return undefined;
  };
}
