import { StockmeshError } from '../../domain/errors.ts';
import type { HttpClient, HttpRequest } from '../http.ts';
import type { StoredToken } from '../ports.ts';
import { type JsonRecord, isRecord, parseRawJson } from '../raw-json.ts';
import { platform } from './options.ts';

const operation = 'access token';
const maxTokenLength = 8_192;
const maxLifeS = 400 * 86_400;

export interface TokenEndpoint {
  readonly http: HttpClient;
  readonly nowMs: () => number;
}

/** The body of a token endpoint's answer. Nothing of the request or of a token appears in what is thrown. */
export async function askForToken(
  http: HttpClient,
  request: Pick<HttpRequest, 'method' | 'url' | 'headers' | 'body'>,
): Promise<unknown> {
  const answer = await http.send({ ...request, operation });
  const { status } = answer;
  if (status === 429 || status === 408 || status >= 500) {
    throw new StockmeshError('CONNECTOR_UNREACHABLE', { platform, operation, reason: `HTTP ${status}` });
  }
  const parsed = parseRawJson(answer.body);
  if (status < 200 || status > 299) throw refused(`the token endpoint answered HTTP ${status}`);
  if (parsed.kind === 'bad') {
    throw new StockmeshError('CONNECTOR_ANSWER_INVALID', { platform, operation, reason: parsed.reason });
  }
  return parsed.value;
}

/** One request to an OAuth2 token endpoint. */
export async function requestOAuthToken(
  { http, nowMs }: TokenEndpoint,
  url: string,
  format: 'form' | 'json',
  members: Readonly<Record<string, string>>,
  headers: Readonly<Record<string, string>> = {},
): Promise<StoredToken> {
  // Before the request: the token's life may begin when it is asked for, never later than when it arrives.
  const issuedAtMs = nowMs();
  const isForm = format === 'form';
  const answer = await askForToken(http, {
    method: 'POST',
    url,
    headers: {
      'content-type': isForm ? 'application/x-www-form-urlencoded' : 'application/json',
      accept: 'application/json',
      ...headers,
    },
    body: isForm ? new URLSearchParams(members).toString() : JSON.stringify(members),
  });
  const body: JsonRecord = isRecord(answer) ? answer : {};
  const accessToken = tokenOf(body['access_token']);
  if (accessToken === undefined) {
    throw new StockmeshError('CONNECTOR_ANSWER_INVALID', { platform, operation, reason: 'no access token' });
  }
  const refreshToken = tokenOf(body['refresh_token']);
  const lifeS = Number(body['expires_in']);
  const expiresAtMs = lifeS > 0 && lifeS <= maxLifeS ? issuedAtMs + lifeS * 1_000 : undefined;
  return {
    accessToken,
    issuedAtMs,
    ...(expiresAtMs === undefined ? {} : { expiresAtMs }),
    ...(refreshToken === undefined ? {} : { refreshToken }),
  };
}

export function refused(reason: string): StockmeshError {
  return new StockmeshError('CONNECTOR_ACCESS_DENIED', {
    platform,
    operation,
    reason,
    remedy: 'Check the user, password or keys of the warehouse in the configuration',
  });
}

/** Printable ASCII only: the token becomes a header value. */
export function tokenOf(value: unknown): string | undefined {
  if (typeof value !== 'string' || value.length === 0 || value.length > maxTokenLength) return undefined;
  return /^[\x20-\x7e]+$/.test(value) ? value : undefined;
}
