import { StockmeshError } from '../../domain/errors.ts';
import type { AccessReport } from '../connector.ts';
import { operations } from './operations.ts';
import type { AmazonSettings } from './options.ts';
import type { SpApi } from './sp-api.ts';
import { failureOf } from './sp-api-outcome.ts';

/**
 * Are the credentials good for this seller in this marketplace? Asked with the smallest page of listings, the cheapest
 * request that needs the role for writing stock. Throws only when Amazon could not be asked.
 */
export async function checkAccess(
  api: SpApi,
  settings: AmazonSettings,
  signal: AbortSignal,
): Promise<AccessReport> {
  const operation = operations.searchListingsItems;
  const { sellerId, marketplaceId } = settings;
  const request = { path: { sellerId }, query: { marketplaceIds: [marketplaceId], pageSize: 1 } };
  try {
    const outcome = await api.tryRead(operation, request, signal);
    if (outcome.kind === 'answer') return { kind: 'ok', account: sellerId, scopes: [] };
    if (outcome.kind === 'refused' || outcome.kind === 'not-found') {
      return {
        kind: 'needs-attention',
        reason: outcome.reason,
        remedy: 'Check sellerId, marketplaceIds and region of the channel',
      };
    }
    throw failureOf(operation.name, outcome);
  } catch (error) {
    if (!(error instanceof StockmeshError) || error.code !== 'CONNECTOR_ACCESS_DENIED') throw error;
    const { reason, remedy } = error.fields;
    return { kind: 'needs-attention', reason: String(reason), remedy: String(remedy) };
  }
}
