import { summaryJson } from '../fba.ts';
import { type Handler, invalid, listParameter, ok } from './reply.ts';

const PAGE = 50;

interface FbaToken {
  readonly offset: number;
  readonly issuedAt: number;
  readonly startDateTime: string | null;
}

export const getInventorySummaries: Handler = ({ seller, query }) => {
  const { clock, settings } = seller;
  if (query['granularityType'] !== 'Marketplace' || query['granularityId'] === undefined)
    return invalid('granularityType and granularityId are needed');
  const marketplaces = listParameter(query['marketplaceIds']);
  if (marketplaces.length !== 1 || marketplaces[0] !== query['granularityId'])
    return invalid('marketplaceIds must hold the one marketplace of granularityId');
  if (query['sellerSku'] !== undefined && query['sellerSkus'] !== undefined)
    return invalid('sellerSku and sellerSkus exclude each other');
  const skus = query['sellerSku'] === undefined ? listParameter(query['sellerSkus']) : [query['sellerSku']];
  if (skus.length > PAGE) return invalid(`sellerSkus has more than ${PAGE} values`);
  const startDateTime = query['startDateTime'] ?? null;
  let offset = 0;
  if (query['nextToken'] !== undefined) {
    const token = readToken(query['nextToken']);
    if (!token || clock.now() - token.issuedAt > settings.fbaTokenTtlMs)
      return invalid('nextToken has expired.');
    if (token.startDateTime !== startDateTime) {
      seller.violate('pagination-changed', 'startDateTime differs from the first page');
      return invalid('nextToken does not belong to this startDateTime');
    }
    ({ offset } = token);
  }
  const sinceMs = startDateTime === null ? 0 : Date.parse(startDateTime);
  // With a start time the list of SKUs is ignored, as the model says.
  const found = [...seller.fba.items.values()].filter((item) =>
    startDateTime === null ? skus.length === 0 || skus.includes(item.sku) : item.updatedAt >= sinceMs,
  );
  const page = found.slice(offset, offset + PAGE);
  const next = offset + page.length;
  const token: FbaToken = { offset: next, issuedAt: clock.now(), startDateTime };
  return ok({
    payload: {
      granularity: { granularityType: 'Marketplace', granularityId: query['granularityId'] },
      inventorySummaries: page.map((item) => {
        const summary = summaryJson(item);
        if (query['details'] !== 'true') delete summary['inventoryDetails'];
        return summary;
      }),
    },
    ...(next < found.length
      ? { pagination: { nextToken: Buffer.from(JSON.stringify(token)).toString('base64') } }
      : {}),
  });
};

function readToken(text: string): FbaToken | undefined {
  try {
    return JSON.parse(Buffer.from(text, 'base64').toString()) as FbaToken;
  } catch {
    return undefined;
  }
}
