import type { SandboxShop } from '../sandbox/shopify/shop.ts';

export interface Disagreement {
  readonly sku: string;
  readonly ledger: number | undefined;
  readonly shops: readonly number[];
}

/** What the daemon's ledger says is available, per SKU, by its private API. */
export async function ledgerAvailable(
  privateUrl: string,
  skus: readonly string[],
): Promise<ReadonlyMap<string, number>> {
  const available = new Map<string, number>();
  const batch = 100;
  for (let from = 0; from < skus.length; from += batch) {
    const query = skus
      .slice(from, from + batch)
      .map((sku) => `sku=${encodeURIComponent(sku)}`)
      .join('&');
    const response = await fetch(`${privateUrl}/stock?${query}`, { signal: AbortSignal.timeout(10_000) });
    if (!response.ok) throw new Error(`GET /stock answered ${response.status}`);
    const body = (await response.json()) as {
      readonly skus: readonly { readonly sku: string; readonly available: number }[];
    };
    for (const row of body.skus) available.set(row.sku, row.available);
  }
  return available;
}

/** Both shops and the ledger, SKU by SKU; a shop may show no less than nothing. */
export async function compareAll(
  privateUrl: string,
  shops: readonly SandboxShop[],
  skus: readonly string[],
): Promise<readonly Disagreement[]> {
  const ledger = await ledgerAvailable(privateUrl, skus);
  const disagreements: Disagreement[] = [];
  for (const sku of skus) {
    const said = ledger.get(sku);
    const shown = shops.map((shop) => shop.available(sku));
    if (said === undefined || shown.some((units) => Math.max(0, units) !== Math.max(0, said))) {
      disagreements.push({ sku, ledger: said, shops: shown });
    }
  }
  return disagreements;
}
