import { StockmeshError } from '../../domain/errors.ts';
import type { AccessReport } from '../connector.ts';
import type { AuthorizedShops } from './authorized-shop.ts';
import type { TiktokSettings } from './options.ts';
import type { Warehouses } from './warehouses.ts';

/** Are the credentials good, for this shop, and does the shop have the warehouses we are told are ours? */
export async function checkAccess(
  shops: AuthorizedShops,
  warehouses: Warehouses,
  settings: TiktokSettings,
  signal: AbortSignal,
): Promise<AccessReport> {
  try {
    const shop = await shops.ask(signal);
    warehouses.forget();
    const known = await warehouses.all(signal);
    const unknown = [...(settings.warehouses ?? [])].filter((id) => !known.has(id));
    if (unknown.length > 0) {
      const selling = [...known.values()].filter((warehouse) => warehouse.sells);
      const offered = selling.map(({ id, name }) => `${id} (${name})`).join(', ');
      return {
        kind: 'needs-attention',
        reason: `the shop has no warehouse ${unknown.join(', ')}`,
        remedy: `Configure the shop's sales warehouses: ${offered}`,
      };
    }
    // Which scopes were granted is told only beside new tokens.
    return { kind: 'ok', account: `${shop.name} (${shop.id}, ${shop.region})`, scopes: [] };
  } catch (error) {
    if (!(error instanceof StockmeshError) || error.code !== 'CONNECTOR_ACCESS_DENIED') throw error;
    const { reason, remedy } = error.fields;
    return { kind: 'needs-attention', reason: String(reason), remedy: String(remedy) };
  }
}
