import { StockmeshError } from '../../domain/errors.ts';
import type { AccessReport } from '../connector.ts';
import { isRecord, listOf, textOf } from '../raw-json.ts';
import { documents } from './documents.ts';
import type { ShopifyGraphql } from './graphql.ts';
import { type ShopifySettings, apiVersion } from './options.ts';
import { part } from './pages.ts';
import { missingScopes } from './scopes.ts';

/** Are the credentials good, for this shop, with every scope? Throws only when Shopify could not be asked. */
export async function checkAccess(
  graphql: ShopifyGraphql,
  settings: ShopifySettings,
  signal: AbortSignal,
): Promise<AccessReport> {
  const { shopProbe } = documents;
  // A refusal is what this question is about; only a shop that cannot be asked is an error.
  let data;
  try {
    ({ data } = await graphql.read(shopProbe, {}, signal));
  } catch (error) {
    if (!(error instanceof StockmeshError) || error.code !== 'CONNECTOR_ACCESS_DENIED') throw error;
    const { reason, remedy } = error.fields;
    return { kind: 'needs-attention', reason: String(reason), remedy: String(remedy) };
  }
  const shop = part(data, 'shop', shopProbe.name);
  const account = textOf(shop['myshopifyDomain'])?.toLowerCase() ?? '';
  // An emulator behind an overridden base URL need not know the shop's name.
  if (!settings.isBaseUrlOverridden && account !== settings.shop) {
    return {
      kind: 'needs-attention',
      reason: `the credentials belong to ${account}, not to ${settings.shop}`,
      remedy: `Configure the shop as ${account}, or use credentials of ${settings.shop}`,
    };
  }
  const installation = isRecord(data['currentAppInstallation']) ? data['currentAppInstallation'] : {};
  const scopes = (listOf(installation['accessScopes']) ?? []).flatMap((scope) => {
    const handle = isRecord(scope) ? textOf(scope['handle']) : undefined;
    return handle === undefined ? [] : [handle];
  });
  const missing = missingScopes(scopes);
  if (missing.length > 0) {
    return {
      kind: 'needs-attention',
      reason: `the app lacks the scopes ${missing.join(', ')}`,
      remedy: `Add them to a new version of the app (API ${apiVersion}) and install it on the shop again`,
    };
  }
  return { kind: 'ok', account: account === '' ? settings.shop : account, scopes };
}
