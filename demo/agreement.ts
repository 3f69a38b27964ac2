import type { SellingChannel } from './selling-channel.ts';

export interface Disagreement {
  readonly sku: string;
  readonly detail: string;
}

export interface LedgerRow {
  readonly available: number;
  readonly onHand: number;
}

/** What the daemon's ledger says per SKU, by its private API. */
export async function ledgerStock(
  privateUrl: string,
  skus: readonly string[],
): Promise<ReadonlyMap<string, LedgerRow>> {
  const stock = new Map<string, LedgerRow>();
  const batch = 100;
  for (let from = 0; from < skus.length; from += batch) {
    const query = skus
      .slice(from, from + batch)
      .map((sku) => `sku=${encodeURIComponent(sku)}`)
      .join('&');
    const response = await fetch(`${privateUrl}/stock?${query}`, { signal: AbortSignal.timeout(10_000) });
    if (!response.ok) throw new Error(`GET /stock answered ${response.status}`);
    const body = (await response.json()) as {
      readonly skus: readonly {
        readonly sku: string;
        readonly available: number;
        readonly locations: readonly { readonly onHand: number }[];
      }[];
    };
    for (const { sku, available, locations } of body.skus)
      stock.set(sku, { available, onHand: locations.reduce((sum, { onHand }) => sum + onHand, 0) });
  }
  return stock;
}

/**
 * What really happened against the ledger, the warehouse and every channel that lists the SKU, SKU by SKU. A channel may
 * show no less than nothing.
 */
export async function compareAll(
  privateUrl: string,
  channels: readonly SellingChannel[],
  warehouseOnHand: ReadonlyMap<string, number>,
  sold: ReadonlyMap<string, number>,
): Promise<readonly Disagreement[]> {
  const ledger = await ledgerStock(privateUrl, [...warehouseOnHand.keys()]);
  const disagreements: Disagreement[] = [];
  for (const [sku, onHand] of warehouseOnHand) {
    const said = ledger.get(sku);
    const shown = channels
      .filter(({ skus }) => skus.has(sku))
      .map((channel) => ({ id: channel.id, units: Math.max(0, channel.shown(sku)) }));
    const left = onHand - (sold.get(sku) ?? 0);
    const isRight = said?.onHand === onHand && said.available === left;
    if (isRight && shown.every(({ units }) => units === Math.max(0, left))) continue;
    const there = shown.map(({ id, units }) => `${id} ${units}`).join(', ');
    disagreements.push({
      sku,
      detail: `ledger ${said === undefined ? 'unknown' : `${said.available} of ${said.onHand}`}, warehouse ${onHand} less ${onHand - left} sold, ${there}`,
    });
  }
  return disagreements;
}
