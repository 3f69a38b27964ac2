import { createHmac, randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { readBody, sendJson } from '../shopify/http/body.ts';
import { type Operation, operations } from './api-calls.ts';
import { pause, sendAnswer, strikeBefore } from './http-answer.ts';
import { recordOf } from './inventory-update.ts';
import type { SandboxTiktokShop } from './shop.ts';

const PAST_MS = 300_000;
const FUTURE_MS = 30_000;
const commonQuery = new Set([
  'app_key',
  'sign',
  'timestamp',
  'shop_cipher',
  'access_token',
  'version',
  'shop_id',
]);

interface Refusal {
  readonly status: number;
  readonly code: number;
  readonly message: string;
}

/** A request of the Open API: signature, time, token and parameters first, as the gateway does, then the limit, then the call. */
export async function handleApi(
  shop: SandboxTiktokShop,
  url: URL,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const read = await readBody(request);
  const requestId = newRequestId();
  const text = read.kind === 'read' ? read.text : '';
  const operation = operations.find(
    ({ method, path }) => method === request.method && path.test(url.pathname),
  );
  const refusal =
    operation === undefined
      ? unknownEndpoint(shop, request.method, url.pathname)
      : gatewayRefusal(shop, operation, url, text, request);
  const name = operation?.name ?? 'unknown';
  if (refusal !== undefined || operation === undefined) {
    const { status, code, message } = refusal ?? { status: 404, code: 36009009, message: 'invalid path' };
    note(shop, name, code, message);
    sendJson(response, status, { code, message, request_id: requestId });
    return;
  }
  if (isThrottled(shop, name, response, requestId)) return;
  const body: unknown = text === '' ? undefined : parse(text);
  if (text !== '' && recordOf(body) === undefined) {
    shop.violate('malformed-request', `${name}: the body is not a JSON object`);
    sendJson(response, 400, { code: 36009004, message: 'invalid request body', request_id: requestId });
    return;
  }
  checkParameters(shop, operation, url, body);
  const fault = shop.faults.draw(name);
  if (strikeBefore(fault, response, requestId)) {
    note(shop, name, -1, `fault:${fault?.kind ?? ''}`);
    return;
  }
  if (fault?.kind === 'slow') await pause(shop, fault.delayMs);
  const isLost = fault?.kind === 'lose-write';
  const result = operation.run({
    shop,
    query: url.searchParams,
    body,
    requestId,
    path: url.pathname,
    isLost,
  });
  note(shop, name, result.code, fault ? `fault:${fault.kind}` : result.message);
  await sendAnswer(shop, fault, response, { ...result, data: result.data ?? {}, request_id: requestId });
}

/** `/api/v2/token/get` and `/refresh`: not signed, secret in the query. */
export async function handleToken(
  shop: SandboxTiktokShop,
  url: URL,
  response: ServerResponse,
): Promise<void> {
  const requestId = newRequestId();
  const fault = shop.faults.draw('token');
  if (strikeBefore(fault, response, requestId)) return;
  if (fault?.kind === 'slow') await pause(shop, fault.delayMs);
  if (url.searchParams.get('app_secret') !== shop.appSecret) {
    sendJson(response, 200, { code: 36004001, message: 'invalid app secret', request_id: requestId });
    return;
  }
  const kind = url.pathname.endsWith('/refresh') ? 'refresh' : 'get';
  const { isReuse, ...answer } = shop.tokens.exchange(kind, url.searchParams);
  if (isReuse === true) shop.violate('refresh-token-reused', 'a rotated refresh token came again');
  note(shop, 'token', answer.code, answer.message);
  await sendAnswer(shop, fault, response, { ...answer, request_id: requestId });
}

/** UUIDs come out of a store of random bytes; `randomBytes` asks the system each time. */
const newRequestId = (): string => `2026${randomUUID().replaceAll('-', '').slice(2).toUpperCase()}`;

function gatewayRefusal(
  shop: SandboxTiktokShop,
  operation: Operation,
  url: URL,
  text: string,
  request: IncomingMessage,
): Refusal | undefined {
  const query = url.searchParams;
  const atMs = Number(query.get('timestamp')) * 1_000;
  const now = shop.clock.now();
  if (!(atMs >= now - PAST_MS && atMs <= now + FUTURE_MS)) {
    shop.violate('stale-timestamp', `${operation.name}: ${query.get('timestamp')}`);
    return { status: 400, code: 36009004, message: 'invalid timestamp' };
  }
  if (query.get('sign') !== signOf(shop.appSecret, url, text, request.headers['content-type'])) {
    shop.violate('wrong-sign', operation.name);
    return { status: 401, code: 106001, message: 'sign is invalid' };
  }
  if (text === '{}') shop.violate('empty-object-body', operation.name);
  const header = request.headers['x-tts-access-token'];
  const state = shop.tokens.stateOf(typeof header === 'string' ? header : undefined);
  if (state === 'expired') return { status: 401, code: 105002, message: 'expired credentials' };
  if (state === 'unknown') return { status: 401, code: 36009004, message: 'invalid x-tts-access-token' };
  const cipher = query.get('shop_cipher');
  if (!operation.isShopCall && cipher !== null) {
    shop.violate('unexpected-cipher', operation.name);
    return { status: 400, code: 36009004, message: 'unexpected identifier' };
  }
  if (operation.isShopCall && cipher === null) {
    shop.violate('missing-cipher', operation.name);
    return { status: 400, code: 106013, message: 'shop_cipher is missing' };
  }
  if (operation.isShopCall && cipher !== shop.cipher)
    return { status: 400, code: 36009004, message: 'invalid shop_cipher' };
  return undefined;
}

/** Written from the documentation, not from any client: HMAC over secret + path + sorted query + body + secret. */
function signOf(secret: string, url: URL, text: string, contentType: string | undefined): string {
  const names = [...url.searchParams.keys()].filter((name) => name !== 'sign' && name !== 'access_token');
  let signed = url.pathname;
  for (const name of names.toSorted()) signed += name + (url.searchParams.get(name) ?? '');
  if (!(contentType ?? '').startsWith('multipart/form-data')) signed += text;
  return createHmac('sha256', secret).update(`${secret}${signed}${secret}`).digest('hex');
}

function isThrottled(
  shop: SandboxTiktokShop,
  name: string,
  response: ServerResponse,
  requestId: string,
): boolean {
  const { requestsPerS, sendsRetryAfter, throttleStatus } = shop.settings;
  if (requestsPerS === null) return false;
  const { waitMs, isEarly } = shop.limit.take(name, shop.clock.now(), requestsPerS);
  if (waitMs === 0) return false;
  if (isEarly) shop.violate('ignored-throttle', `${name} came before its Retry-After`);
  const retryAfterS = Math.ceil(waitMs / 1_000);
  if (sendsRetryAfter) shop.limit.refused(name, shop.clock.now() + waitMs);
  note(shop, name, 36009002, 'throttled');
  const headers: Record<string, string> = sendsRetryAfter ? { 'Retry-After': String(retryAfterS) } : {};
  sendJson(
    response,
    throttleStatus,
    { code: 36009002, message: 'too many requests', request_id: requestId },
    headers,
  );
  return true;
}

function checkParameters(shop: SandboxTiktokShop, operation: Operation, url: URL, body: unknown): void {
  for (const name of url.searchParams.keys())
    if (!commonQuery.has(name) && !operation.query.includes(name))
      shop.violate('unknown-parameter', `${operation.name}: query ${name}`);
  for (const name of Object.keys(recordOf(body) ?? {}))
    if (!operation.body.includes(name)) shop.violate('unknown-parameter', `${operation.name}: body ${name}`);
}

function unknownEndpoint(shop: SandboxTiktokShop, method: string | undefined, path: string): Refusal {
  shop.violate('unknown-endpoint', `${method ?? ''} ${path}`);
  const isPath = operations.some((operation) => operation.path.test(path));
  return isPath
    ? { status: 405, code: 36009010, message: 'invalid method' }
    : { status: 404, code: 36009009, message: 'invalid path' };
}

function note(shop: SandboxTiktokShop, operation: string, code: number, outcome: string): void {
  shop.records.requests.add({ at: shop.clock.now(), shop: shop.id, operation, code, outcome });
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
