import type { Listing } from '../listings.ts';
import { asRecord, judgePatches } from '../patches.ts';
import { type Call, type Handler, type Reply, error, invalid, listParameter, ok } from './reply.ts';

const MAX_IDENTIFIERS = 20;
const MAX_PAGE = 20;

export const getListingsItem: Handler = (call) => {
  const problem = checkSeller(call) ?? checkMarketplaces(call);
  if (problem) return problem;
  const sku = call.path['sku'] ?? '';
  const listing = call.seller.listings.listings.get(sku);
  return listing
    ? ok(itemJson(call, listing))
    : error(404, 'NOT_FOUND', `SKU '${sku}' not found in the marketplace`);
};

export const searchListingsItems: Handler = (call) => {
  const { seller, query } = call;
  const problem = checkSeller(call) ?? checkMarketplaces(call);
  if (problem) return problem;
  const identifiers = listParameter(query['identifiers']);
  if (identifiers.length > MAX_IDENTIFIERS) {
    seller.violate('too-many-identifiers', String(identifiers.length));
    return invalid(`'identifiers' has more than ${MAX_IDENTIFIERS} values`);
  }
  if (identifiers.length > 0 && query['identifiersType'] === undefined)
    return invalid("'identifiersType' is needed with 'identifiers'");
  const pageSize = Number(query['pageSize'] ?? 10);
  if (!(pageSize >= 1 && pageSize <= MAX_PAGE)) return invalid(`'pageSize' must be 1 to ${MAX_PAGE}`);
  const wanted = new Set(identifiers);
  const all = seller.listings.listings;
  const found = wanted.size === 0 ? [...all.values()] : [...wanted].flatMap((sku) => all.get(sku) ?? []);
  found.sort(comparison(query['sortBy'] ?? 'lastUpdatedDate', query['sortOrder'] ?? 'DESC'));
  const token = query['pageToken'];
  const start = token === undefined ? 0 : Number(Buffer.from(token, 'base64url').toString());
  if (!Number.isInteger(start) || start < 0) return invalid("'pageToken' is not valid");
  const reachable = found.slice(0, seller.settings.maxPagedSkus);
  const page = reachable.slice(start, start + pageSize);
  const next = start + page.length;
  return ok({
    numberOfResults: found.length,
    ...(next < reachable.length
      ? { pagination: { nextToken: Buffer.from(String(next)).toString('base64url') } }
      : {}),
    items: page.map((listing) => itemJson(call, listing)),
  });
};

export const patchListingsItem: Handler = (call) => {
  const { seller, query } = call;
  const sku = call.path['sku'] ?? '';
  const problem = checkSeller(call) ?? checkMarketplaces(call);
  if (problem) return problem;
  const { productType, patches } = asRecord(call.body);
  if (typeof productType !== 'string' || !Array.isArray(patches) || patches.length === 0) {
    seller.violate('malformed-request', 'patchListingsItem: productType and patches are needed');
    return invalid('productType and patches are needed');
  }
  const verdict = judgePatches(seller.listings.listings.get(sku), patches);
  for (const { kind, detail } of verdict.violations) seller.violate(kind, detail);
  const isPreview = query['mode'] === 'VALIDATION_PREVIEW';
  const isSound = verdict.issues.length === 0;
  if (isSound && !isPreview) for (const change of verdict.changes) seller.listings.accept(sku, change, 'api');
  return ok({
    sku,
    status: isSound ? (isPreview ? 'VALID' : 'ACCEPTED') : 'INVALID',
    submissionId: `sub-${sku.length}-${seller.clock.now()}`,
    issues: verdict.issues,
  });
};

function checkSeller(call: Call): Reply | undefined {
  if (call.path['sellerId'] === call.seller.sellerId) return undefined;
  call.seller.violate('foreign-seller', String(call.path['sellerId']));
  return error(403, 'Unauthorized', 'Access to requested resource is denied.');
}

function checkMarketplaces({ seller, query }: Call): Reply | undefined {
  const ids = listParameter(query['marketplaceIds']);
  if (ids.length === 0) return invalid("'marketplaceIds' is needed");
  if (ids.length > 1) seller.violate('several-marketplaces', ids.join(','));
  if (!ids.every((id) => seller.marketplaceIds.includes(id)))
    return invalid(`'marketplaceIds' ${ids.join(',')} is not valid`);
  return undefined;
}

function comparison(by: string, order: string): (a: Listing, b: Listing) => number {
  const sign = order === 'ASC' ? 1 : -1;
  return (a, b) => {
    if (by === 'sku') return a.sku < b.sku ? -sign : a.sku > b.sku ? sign : 0;
    return by === 'createdDate' ? sign * (a.createdAt - b.createdAt) : sign * (a.updatedAt - b.updatedAt);
  };
}

function itemJson({ seller, query }: Call, listing: Listing): Record<string, unknown> {
  const included = listParameter(query['includedData'] ?? 'summaries');
  const own = seller.listings.visibleQuantity(listing);
  return {
    sku: listing.sku,
    ...(included.includes('summaries')
      ? {
          summaries: [
            {
              marketplaceId: seller.marketplaceId,
              asin: listing.asin,
              productType: listing.productType,
              conditionType: 'new_new',
              status: own === null || own > 0 ? ['BUYABLE', 'DISCOVERABLE'] : ['DISCOVERABLE'],
              itemName: listing.title,
              createdDate: new Date(listing.createdAt).toISOString(),
              lastUpdatedDate: new Date(listing.updatedAt).toISOString(),
            },
          ],
        }
      : {}),
    ...(included.includes('attributes')
      ? {
          attributes:
            listing.barcode === null
              ? {}
              : {
                  externally_assigned_product_identifier: [
                    { type: 'ean', value: listing.barcode, marketplace_id: seller.marketplaceId },
                  ],
                },
        }
      : {}),
    ...(included.includes('issues') ? { issues: listing.issues } : {}),
    ...(included.includes('fulfillmentAvailability')
      ? {
          fulfillmentAvailability: [...listing.availability.keys()].map((code) => ({
            fulfillmentChannelCode: code,
            ...(code === 'DEFAULT' && own !== null ? { quantity: own } : {}),
          })),
        }
      : {}),
  };
}
