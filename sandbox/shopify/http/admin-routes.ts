import type { IncomingMessage, ServerResponse } from 'node:http';
import { failKeys, prepareOperation, reserveKeys, runOperation } from '../graphql/execute.ts';
import type { GraphqlRequest } from '../graphql/execute.ts';
import type { SandboxShop } from '../shop.ts';
import { dateOf, parseObject, readBody, sendJson } from './body.ts';
import { pause, sendAnswer, strikeBefore } from './faulty-answer.ts';

const API_VERSION = '2026-10';

/** The Admin API of one shop; `path` starts behind the shop, e.g. `/admin/api/2026-10/graphql.json`. */
export async function handleAdmin(
  shop: SandboxShop,
  path: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  if (request.method === 'POST' && path === '/admin/oauth/access_token') {
    await exchangeToken(shop, request, response);
    return;
  }
  const version = /^\/admin\/api\/([\w-]+)\/graphql\.json$/.exec(path)?.[1];
  if (request.method !== 'POST' || version === undefined) {
    refuse(shop, response, 404, 'Not Found');
    return;
  }
  if (version !== API_VERSION) {
    shop.violate('unsupported-api-version', version);
    refuse(shop, response, 404, 'Not Found');
    return;
  }
  await answerGraphql(shop, request, response);
}

async function exchangeToken(
  shop: SandboxShop,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const body = await readBody(request);
  if (body.kind === 'too-large') {
    refuse(shop, response, 413, 'Payload Too Large');
    return;
  }
  const isForm = (request.headers['content-type'] ?? '').includes('x-www-form-urlencoded');
  const raw = isForm ? Object.fromEntries(new URLSearchParams(body.text)) : (parseObject(body.text) ?? {});
  const fault = shop.faults.draw('token');
  if (fault?.kind === 'slow') await pause(shop, fault.delayMs);
  if (strikeBefore(shop, fault, response)) return;
  const parameters: Record<string, string> = {};
  for (const [key, value] of Object.entries(raw)) if (typeof value === 'string') parameters[key] = value;
  const answer = shop.tokens.exchange(parameters);
  note(shop, 'token', answer.status === 200 ? 'ok' : String(answer.body['error']), performance.now());
  if (answer.status === 200) await sendAnswer(shop, fault, response, answer.body);
  else sendJson(response, answer.status, answer.body, dateOf(shop.clock));
}

async function answerGraphql(
  shop: SandboxShop,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const startedAt = performance.now();
  const body = await readBody(request);
  const token = request.headers['x-shopify-access-token'];
  if (!shop.tokens.isValid(typeof token === 'string' ? token : undefined)) {
    note(shop, 'unauthorized', '401', startedAt);
    const reason = '[API] Invalid API key or access token (unrecognized login or wrong password)';
    refuse(shop, response, 401, reason);
    return;
  }
  const wanted = body.kind === 'read' ? graphqlRequest(body.text) : null;
  if (!wanted) {
    shop.violate(
      'malformed-request',
      body.kind === 'read' ? 'the body is not a GraphQL request' : 'the body is too large',
    );
    const errors = { query: 'Required parameter missing or invalid' };
    refuse(shop, response, body.kind === 'read' ? 400 : 413, errors);
    return;
  }
  const prepared = prepareOperation(shop, wanted);
  const fault = shop.faults.draw(prepared.name);
  if (fault?.kind === 'fail-attempt' && prepared.kind === 'runnable') failKeys(shop, prepared);
  if (strikeBefore(shop, fault, response)) {
    note(shop, prepared.name, `fault:${fault?.kind ?? ''}`, startedAt);
    return;
  }
  if (prepared.kind === 'refused') {
    note(shop, prepared.name, prepared.reason, startedAt);
    await sendAnswer(shop, fault, response, { errors: prepared.errors });
    return;
  }
  // Only a request that waits can meet its own repeat: all others execute in one step.
  const reservation = fault?.kind === 'slow' ? reserveKeys(shop, prepared) : null;
  if (fault?.kind === 'slow') await pause(shop, fault.delayMs);
  const answer = runOperation(shop, prepared, fault?.kind ?? null, reservation?.owner);
  reservation?.release();
  shop.records.requests.add({
    at: shop.clock.now(),
    shop: shop.domain,
    operation: prepared.name,
    requestedCost: answer.requestedCost,
    actualCost: answer.actualCost,
    outcome: fault ? `${answer.outcome} fault:${fault.kind}` : answer.outcome,
    durationMs: performance.now() - startedAt,
  });
  await sendAnswer(shop, fault, response, answer.body);
}

function graphqlRequest(text: string): GraphqlRequest | null {
  const parsed = parseObject(text);
  if (!parsed || typeof parsed['query'] !== 'string') return null;
  const variables = parsed['variables'] ?? {};
  if (typeof variables !== 'object' || Array.isArray(variables)) return null;
  const operationName = parsed['operationName'];
  return {
    query: parsed['query'],
    variables: variables as Record<string, unknown>,
    operationName: typeof operationName === 'string' && operationName !== '' ? operationName : null,
  };
}

function refuse(shop: SandboxShop, response: ServerResponse, status: number, errors: unknown): void {
  sendJson(response, status, { errors }, dateOf(shop.clock));
}

function note(shop: SandboxShop, operation: string, outcome: string, startedAt: number): void {
  shop.records.requests.add({
    at: shop.clock.now(),
    shop: shop.domain,
    operation,
    requestedCost: null,
    actualCost: null,
    outcome,
    durationMs: performance.now() - startedAt,
  });
}
