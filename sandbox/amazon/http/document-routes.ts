import { asRecord } from '../patches.ts';
import { type Call, type Handler, type Reply, error, invalid, ok } from './reply.ts';

const FEED_TYPES = new Set(['JSON_LISTINGS_FEED']);
const REPORT_TYPES = new Set(['GET_MERCHANT_LISTINGS_ALL_DATA']);

export const createFeedDocument: Handler = ({ seller, body }) => {
  const { contentType } = asRecord(body);
  if (typeof contentType !== 'string') return invalid('contentType is needed');
  const document = seller.documents.add(contentType, null, false);
  return ok({ feedDocumentId: document.id, url: seller.documents.link(document) }, 201);
};

export const createFeed: Handler = (call) => {
  const { seller } = call;
  const { feedType, marketplaceIds, inputFeedDocumentId } = asRecord(call.body);
  const marketplaces = marketplacesOf(call, marketplaceIds);
  if (!Array.isArray(marketplaces)) return marketplaces;
  if (typeof feedType !== 'string' || !FEED_TYPES.has(feedType))
    return invalid(`feedType ${String(feedType)} is not supported`);
  const document = seller.documents.get(String(inputFeedDocumentId));
  if (!document?.isUpload || document.body === null) return invalid('inputFeedDocumentId is not uploaded');
  const feed = seller.feeds.create(feedType, marketplaces, document.id);
  return ok({ feedId: feed.feedId }, 202);
};

export const getFeed: Handler = ({ seller, path }) => {
  const feed = seller.feeds.feeds.get(path['feedId'] ?? '');
  if (!feed) return error(404, 'NotFound', 'The feed was not found.');
  return ok({
    feedId: feed.feedId,
    feedType: feed.feedType,
    marketplaceIds: feed.marketplaceIds,
    createdTime: new Date(feed.createdAt).toISOString(),
    processingStatus: feed.status,
    ...(feed.startedAt === null ? {} : { processingStartTime: new Date(feed.startedAt).toISOString() }),
    ...(feed.endedAt === null ? {} : { processingEndTime: new Date(feed.endedAt).toISOString() }),
    ...(feed.resultFeedDocumentId === null ? {} : { resultFeedDocumentId: feed.resultFeedDocumentId }),
  });
};

export const getFeedDocument: Handler = (call) => documentReply(call, 'feedDocumentId');
export const getReportDocument: Handler = (call) => documentReply(call, 'reportDocumentId');

export const createReport: Handler = (call) => {
  const { reportType, marketplaceIds } = asRecord(call.body);
  const marketplaces = marketplacesOf(call, marketplaceIds);
  if (!Array.isArray(marketplaces)) return marketplaces;
  if (typeof reportType !== 'string' || !REPORT_TYPES.has(reportType))
    return invalid(`reportType ${String(reportType)} is not supported`);
  return ok({ reportId: call.seller.reports.create(reportType, marketplaces).reportId }, 202);
};

export const getReport: Handler = ({ seller, path }) => {
  const report = seller.reports.reports.get(path['reportId'] ?? '');
  if (!report) return error(404, 'NotFound', 'The report was not found.');
  return ok({
    reportId: report.reportId,
    reportType: report.reportType,
    marketplaceIds: report.marketplaceIds,
    createdTime: new Date(report.createdAt).toISOString(),
    processingStatus: report.status,
    ...(report.reportDocumentId === null ? {} : { reportDocumentId: report.reportDocumentId }),
  });
};

function documentReply({ seller, path }: Call, name: 'feedDocumentId' | 'reportDocumentId'): Reply {
  const document = seller.documents.get(path[name] ?? '');
  if (!document || document.isUpload) return error(404, 'NotFound', 'The document was not found.');
  return ok({
    [name]: document.id,
    url: seller.documents.link(document),
    ...(document.isGzip ? { compressionAlgorithm: 'GZIP' } : {}),
  });
}

function marketplacesOf({ seller }: Call, given: unknown): string[] | Reply {
  if (!Array.isArray(given) || given.length === 0) return invalid('marketplaceIds is needed');
  const ids = given.map(String);
  if (ids.length > 1) seller.violate('several-marketplaces', ids.join(','));
  return ids.every((id) => seller.marketplaceIds.includes(id)) ? ids : invalid('marketplaceIds is not valid');
}
