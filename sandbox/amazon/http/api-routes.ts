import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Fault, FaultKind } from '../../shopify/faults.ts';
import { readBody, sendHtml, sendJson } from '../../shopify/http/body.ts';
import { type Operation, matchOperation } from '../operations.ts';
import type { SandboxSeller } from '../seller.ts';
import {
  createFeed,
  createFeedDocument,
  createReport,
  getFeed,
  getFeedDocument,
  getReport,
  getReportDocument,
} from './document-routes.ts';
import { getInventorySummaries } from './fba-routes.ts';
import { getListingsItem, patchListingsItem, searchListingsItems } from './listings-routes.ts';
import {
  createDestination,
  createSubscription,
  deleteSubscriptionById,
  getDestinations,
  getSubscription,
} from './notification-routes.ts';
import { getOrder, searchOrders } from './orders-routes.ts';
import { type Call, type Handler, type Reply, error, invalid } from './reply.ts';

const HANDLERS: Readonly<Record<string, Handler>> = {
  createDestination,
  createFeed,
  createFeedDocument,
  createReport,
  createSubscription,
  deleteSubscriptionById,
  getDestinations,
  getFeed,
  getFeedDocument,
  getInventorySummaries,
  getListingsItem,
  getOrder,
  getReport,
  getReportDocument,
  getSubscription,
  patchListingsItem,
  searchListingsItems,
  searchOrders,
};

/** The seller a token belongs to; undefined: no token, or one that is not (any more) valid. */
export type FindSeller = (
  token: string | undefined,
) => { readonly seller: SandboxSeller; readonly grant: 'seller' | 'grantless' } | undefined;

export interface ApiHost {
  readonly findSeller: FindSeller;
  /** Whose faults and records count while nobody is known yet. */
  readonly fallback: () => SandboxSeller | undefined;
}

export async function handleApi(
  host: ApiHost,
  url: URL,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const read = await readBody(request);
  const text = read.kind === 'read' ? read.text : '';
  const token = headerOf(request, 'x-amz-access-token');
  const owner = host.findSeller(token);
  const seller = owner?.seller ?? host.fallback();
  const found = matchOperation(request.method ?? '', url.pathname);
  if (!seller || !found) {
    seller?.violate('unknown-operation', `${request.method} ${url.pathname}`);
    sendJson(response, 404, { errors: [{ code: 'NotFound', message: 'Resource not found.' }] });
    return;
  }
  const { operation, path } = found;
  const query = Object.fromEntries(url.searchParams.entries());
  const fault = seller.faults.draw(operation.name);
  if (await strikeBefore(seller, fault, response)) return;
  const body = text === '' ? undefined : parse(text);
  const reply =
    judge(seller, owner?.grant, operation, { query, text, body, request }) ??
    HANDLERS[operation.name]?.({ seller, operation, path, query, body }) ??
    error(500, 'InternalFailure', 'not emulated');
  const exchange = { at: seller.clock.now(), operation: operation.name, method: operation.method };
  seller.records.exchanged({
    ...exchange,
    template: operation.template,
    path,
    query,
    requestBody: body,
    status: reply.status,
    responseBody: reply.body,
  });
  await send(seller, fault, operation, response, reply);
}

/** What stands before every operation: token, limit, and the shape of the request. */
function judge(
  seller: SandboxSeller,
  grant: 'seller' | 'grantless' | undefined,
  operation: Operation,
  given: {
    readonly query: Call['query'];
    readonly text: string;
    /** Undefined: none, or no JSON. */
    readonly body: unknown;
    readonly request: IncomingMessage;
  },
): Reply | undefined {
  const denied = 'Access to requested resource is denied.';
  if (grant === undefined)
    return error(403, 'Unauthorized', denied, 'The access token you provided has expired.');
  if ((grant === 'grantless') !== operation.isGrantless) {
    seller.violate('token-kind', `${operation.name} with a ${grant} token`);
    return error(403, 'Unauthorized', denied);
  }
  if (seller.settings.rateLimit && !seller.buckets.take(operation))
    return error(429, 'QuotaExceeded', 'You exceeded your quota for the requested resource.');
  const unknown = Object.keys(given.query).find((name) => !operation.query.includes(name));
  if (unknown !== undefined) {
    seller.violate('unknown-parameter', `${operation.name}: ${unknown}`);
    return invalid(`the parameter ${unknown} is not known`);
  }
  if (
    operation.method === 'GET' &&
    (given.text !== '' || given.request.headers['content-length'] !== undefined)
  ) {
    seller.violate('body-on-get', operation.name);
    return invalid('a GET has no body');
  }
  if (given.text !== '' && given.body === undefined) {
    seller.violate('malformed-request', `${operation.name}: the body is not JSON`);
    return invalid('the body is not JSON');
  }
  return undefined;
}

type Strike = (response: ServerResponse, fault: Fault) => void;

const reset: Strike = (response) => response.socket?.resetAndDestroy();
const hang: Strike = () => {};

/** Accidents before anything is carried out. */
const BEFORE: Partial<Record<FaultKind, Strike>> = {
  reset,
  hang,
  html: (response, fault) => sendHtml(response, fault.status ?? 503),
  status: sendStatus,
  throttled: (response) =>
    sendJson(response, 429, {
      errors: [{ code: 'QuotaExceeded', message: 'You exceeded your quota for the requested resource.' }],
    }),
};

/** Accidents after everything was carried out. */
const AFTER: Partial<Record<FaultKind, Strike>> = {
  'lose-response': reset,
  'hang-after': hang,
  'status-after': sendStatus,
};

/** True when the request is thereby answered, or never will be. */
async function strikeBefore(
  seller: SandboxSeller,
  fault: Fault | null,
  response: ServerResponse,
): Promise<boolean> {
  const strike = fault ? BEFORE[fault.kind] : undefined;
  if (fault && strike) strike(response, fault);
  if (fault?.kind === 'slow') await pause(seller, fault.delayMs);
  return strike !== undefined;
}

async function send(
  seller: SandboxSeller,
  fault: Fault | null,
  operation: Operation,
  response: ServerResponse,
  reply: Reply,
): Promise<void> {
  const strike = fault ? AFTER[fault.kind] : undefined;
  if (fault && strike) {
    strike(response, fault);
    return;
  }
  if (fault?.kind === 'slow-response') await pause(seller, fault.delayMs);
  if (response.destroyed) return;
  const isTold = [200, 201, 202, 400, 404].includes(reply.status);
  const text = JSON.stringify(reply.body);
  const sent = fault?.kind === 'truncate' ? text.slice(0, Math.floor(text.length / 2)) : text;
  sendJson(response, reply.status, sent, {
    'x-amzn-RequestId': `sandbox-${seller.clock.now()}`,
    Date: new Date(seller.clock.now()).toUTCString(),
    // Without limits a rate is told that limits nobody.
    ...(isTold
      ? { 'x-amzn-RateLimit-Limit': String(seller.settings.rateLimit ? operation.ratePerS : 100_000) }
      : {}),
  });
}

function sendStatus(response: ServerResponse, fault: Fault): void {
  const status = fault.status ?? 503;
  sendJson(response, status, {
    errors: [{ code: status === 503 ? 'ServiceUnavailable' : 'InternalFailure', message: 'We had trouble.' }],
  });
}

function pause(seller: SandboxSeller, delayMs: number | undefined): Promise<void> {
  return new Promise((resolve) => {
    seller.clock.schedule(delayMs ?? 1_000, resolve);
  });
}

function headerOf(request: IncomingMessage, name: string): string | undefined {
  const value = request.headers[name];
  return typeof value === 'string' ? value : undefined;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
