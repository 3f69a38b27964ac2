import { createHash } from 'node:crypto';
import { orderJson } from '../order-json.ts';
import type { Order } from '../orders.ts';
import { type Call, type Handler, error, invalid, listParameter, ok } from './reply.ts';

const TOKEN_TTL_MS = 24 * 3_600_000;
const INCLUDED = new Set([
  'BUYER',
  'RECIPIENT',
  'PROCEEDS',
  'EXPENSE',
  'PROMOTION',
  'CANCELLATION',
  'FULFILLMENT',
  'PACKAGES',
  'TAX',
  'PAYMENT',
  'FULFILLMENT_ORDERS',
]);

interface PageToken {
  readonly parameters: string;
  readonly offset: number;
  readonly beforeMs: number;
  readonly issuedAt: number;
}

export const getOrder: Handler = (call) => {
  const { seller, path } = call;
  const included = listParameter(call.query['includedData']);
  const wrong = included.find((name) => !INCLUDED.has(name));
  if (wrong !== undefined) return invalid(`'includedData' ${wrong} is not valid`);
  const order = seller.orders.orders.get(path['orderId'] ?? '');
  if (!order) return error(404, 'NotFound', 'The requested order was not found.');
  return ok({ order: orderJson(order, included, seller.marketplaceId, seller.settings) });
};

export const searchOrders: Handler = (call) => {
  const { seller, query } = call;
  const { settings, clock } = seller;
  const broken = brokenRule(call);
  if (broken !== undefined) {
    seller.violate('search-rule', broken);
    return invalid(broken);
  }
  const isByCreation = query['createdAfter'] !== undefined;
  const afterMs = Date.parse(query['createdAfter'] ?? query['lastUpdatedAfter'] ?? '');
  const parameters = hashOf(query);
  const token = readToken(query['paginationToken']);
  if (query['paginationToken'] !== undefined) {
    if (token === undefined || token.parameters !== parameters) {
      if (token !== undefined) seller.violate('pagination-changed', 'parameters differ from the first page');
      return invalid(
        'The paginationToken you have submitted is not valid. All parameters must match the original request except maxResultsPerPage.',
      );
    }
    if (clock.now() - token.issuedAt > TOKEN_TTL_MS) return invalid('The paginationToken has expired.');
  }
  const statedBefore = query['createdBefore'] ?? query['lastUpdatedBefore'];
  const beforeMs =
    token?.beforeMs ??
    (statedBefore === undefined ? clock.now() - settings.orderHoleMs : Date.parse(statedBefore));
  const at = (order: Order): number => (isByCreation ? order.createdAt : order.updatedAt);
  const statuses = listParameter(query['fulfillmentStatuses']);
  const fulfilledBy = listParameter(query['fulfilledBy']);
  const found = [...seller.orders.orders.values()]
    .filter((order) => at(order) >= afterMs && at(order) <= beforeMs)
    .filter((order) => statuses.length === 0 || statuses.includes(order.status))
    .filter((order) => fulfilledBy.length === 0 || fulfilledBy.includes(order.fulfilledBy))
    .toSorted((a, b) => at(a) - at(b) || (a.orderId < b.orderId ? -1 : 1));
  const pageSize = Math.min(settings.ordersPerPage, Number(query['maxResultsPerPage'] ?? 100));
  const start = token?.offset ?? 0;
  const page = found.slice(start, start + pageSize);
  const next = start + page.length;
  const included = listParameter(query['includedData']);
  const bound = new Date(beforeMs).toISOString();
  return ok({
    orders: page.map((order) => orderJson(order, included, seller.marketplaceId, settings)),
    ...(next < found.length
      ? {
          pagination: {
            nextToken: writeToken({ parameters, offset: next, beforeMs, issuedAt: clock.now() }),
          },
        }
      : {}),
    ...(settings.hideOrderBound
      ? {}
      : isByCreation
        ? { createdBefore: bound }
        : { lastUpdatedBefore: bound }),
  });
};

/** Rules across parameters that the model states in words only. */
function brokenRule({ seller, query }: Call): string | undefined {
  const { createdAfter, createdBefore, lastUpdatedAfter, lastUpdatedBefore } = query;
  if ((createdAfter === undefined) === (lastUpdatedAfter === undefined))
    return 'exactly one of createdAfter and lastUpdatedAfter must be given';
  if (createdAfter !== undefined && lastUpdatedBefore !== undefined)
    return 'createdAfter and lastUpdatedBefore exclude each other';
  if (lastUpdatedAfter !== undefined && createdBefore !== undefined)
    return 'lastUpdatedAfter and createdBefore exclude each other';
  const afterMs = Date.parse(createdAfter ?? lastUpdatedAfter ?? '');
  if (Number.isNaN(afterMs)) return 'the time is not ISO 8601';
  const before = createdBefore ?? lastUpdatedBefore;
  if (before !== undefined) {
    const beforeMs = Date.parse(before);
    if (Number.isNaN(beforeMs)) return 'the time is not ISO 8601';
    if (beforeMs < afterMs) return 'the end lies before the beginning';
    if (beforeMs > seller.clock.now() - seller.settings.orderHoleMs)
      return 'the end must be at least two minutes old';
  }
  const size = query['maxResultsPerPage'];
  if (size !== undefined && !(Number(size) >= 1 && Number(size) <= 100))
    return 'maxResultsPerPage must be 1 to 100';
  const wrong = listParameter(query['includedData']).find((name) => !INCLUDED.has(name));
  return wrong === undefined ? undefined : `includedData ${wrong} is not valid`;
}

function hashOf(query: Readonly<Record<string, string>>): string {
  const kept = Object.entries(query)
    .filter(([name]) => name !== 'paginationToken' && name !== 'maxResultsPerPage')
    .toSorted(([a], [b]) => (a < b ? -1 : 1));
  return createHash('sha256').update(JSON.stringify(kept)).digest('base64url');
}

function writeToken(token: PageToken): string {
  // Base64 with its `+`, `/` and `=`: a client must encode it.
  return Buffer.from(JSON.stringify(token)).toString('base64');
}

function readToken(text: string | undefined): PageToken | undefined {
  if (text === undefined) return undefined;
  try {
    return JSON.parse(Buffer.from(text, 'base64').toString()) as PageToken;
  } catch {
    return undefined;
  }
}
