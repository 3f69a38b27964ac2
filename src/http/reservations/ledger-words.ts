import type { HeldLine, ReserveResult } from '../../ledger/contract.ts';
import type { Denied, Held } from './answers.ts';
import type { StockView } from './stock-view.ts';

export type DeniedResult = Extract<ReserveResult, { kind: 'denied' }>;

/** Lines as the ledger split them over locations, summed per SKU. */
export function linesBySku(lines: readonly HeldLine[]): Held['lines'] {
  const only = lines[0];
  if (lines.length === 1 && only !== undefined) {
    const { sku, location, units } = only;
    return [{ sku, quantity: units, locations: [{ location, quantity: units }] }];
  }
  const bySku = new Map<string, Held['lines'][number]>();
  for (const { sku, location, units } of lines) {
    const line = bySku.get(sku) ?? { sku, quantity: 0, locations: [] };
    line.quantity += units;
    line.locations.push({ location, quantity: units });
    bySku.set(sku, line);
  }
  return [...bySku.values()];
}

export function isSoldOut(result: ReserveResult): boolean {
  return result.kind === 'denied' && result.reason === 'out-of-stock';
}

export function codeOf({ reason }: DeniedResult, view: StockView): Denied['code'] {
  if (reason === 'agent-cap') return 'AGENT_LIMIT';
  if (reason === 'pool-cap') return 'POOL_LIMIT';
  return view.isKnown ? 'OUT_OF_STOCK' : 'UNKNOWN_SKU';
}

export function messageOf(
  { reason, sku, available }: DeniedResult,
  view: StockView,
  requested: number,
): string {
  if (reason === 'agent-cap')
    return `asked for ${requested} of ${sku}; this agent may still have ${available}: one agent is limited per SKU`;
  if (reason === 'pool-cap')
    return `asked for ${requested} of ${sku}; all agents together may still hold ${available}`;
  if (!view.isKnown) return `nothing is known of ${sku}`;
  const kept = view.kept > 0 ? `, ${view.kept} are kept back from this class of buyer` : '';
  return `asked for ${requested} of ${sku}; ${available} could be had${kept}`;
}
