import { StockmeshError } from '../../domain/errors.ts';
import type { HttpAnswer, HttpClient } from '../http.ts';
import type { StoredToken } from '../ports.ts';
import { isRecord, parseRawJson } from '../raw-json.ts';
import { platform } from './options.ts';

export interface TokenRequest {
  readonly http: HttpClient;
  readonly url: string;
  readonly nowMs: () => number;
}

const operation = 'access token';
const maxLifeS = 400 * 86_400;
const maxTokenLength = 4_096;

/** One request to Shopify's token endpoint. Nothing of the request or of a token appears in what is thrown. */
export async function requestToken(
  request: TokenRequest,
  form: Readonly<Record<string, string>>,
): Promise<StoredToken> {
  // Before the request: the token's life may begin when it is asked for, never later than when it arrives.
  const issuedAtMs = request.nowMs();
  const answer = await request.http.send({
    method: 'POST',
    url: request.url,
    operation,
    headers: { 'content-type': 'application/x-www-form-urlencoded', accept: 'application/json' },
    body: new URLSearchParams(form).toString(),
  });
  if (answer.status !== 200) throw refusal(answer);
  const parsed = parseRawJson(answer.body);
  const body = parsed.kind === 'ok' && isRecord(parsed.value) ? parsed.value : undefined;
  const accessToken = body?.['access_token'];
  if (body === undefined || typeof accessToken !== 'string' || !isToken(accessToken)) {
    throw new StockmeshError('CONNECTOR_ANSWER_INVALID', { platform, operation, reason: 'no access token' });
  }
  const expiresAtMs = endOf(body['expires_in'], issuedAtMs);
  const refreshExpiresAtMs = endOf(body['refresh_token_expires_in'], issuedAtMs);
  // An answer without a new refresh token leaves the old one in force.
  const rotated = body['refresh_token'];
  const refreshToken = typeof rotated === 'string' && isToken(rotated) ? rotated : form['refresh_token'];
  return {
    accessToken,
    issuedAtMs,
    ...(expiresAtMs === undefined ? {} : { expiresAtMs }),
    ...(refreshToken === undefined ? {} : { refreshToken }),
    ...(refreshExpiresAtMs === undefined ? {} : { refreshExpiresAtMs }),
  };
}

function refusal(answer: HttpAnswer): StockmeshError {
  const { status } = answer;
  if (status === 429 || status >= 500 || status === 408) {
    return new StockmeshError('CONNECTOR_UNREACHABLE', { platform, operation, reason: `HTTP ${status}` });
  }
  const parsed = parseRawJson(answer.body);
  const stated = parsed.kind === 'ok' && isRecord(parsed.value) ? parsed.value['error'] : undefined;
  // Only an error code in the OAuth form is passed on: a body could quote the request.
  const code = typeof stated === 'string' && /^[a-z_]{1,60}$/.test(stated) ? ` (${stated})` : '';
  return new StockmeshError('CONNECTOR_ACCESS_DENIED', {
    platform,
    operation,
    reason: `the token endpoint answered HTTP ${status}${code}`,
    remedy: 'Check client id, client secret and that the app is installed on the shop',
  });
}

/** Printable ASCII only: the token becomes a header value. */
function isToken(text: string): boolean {
  return text.length > 0 && text.length <= maxTokenLength && /^[\x21-\x7e]+$/.test(text);
}

function endOf(seconds: unknown, fromMs: number): number | undefined {
  if (typeof seconds !== 'number' || !(seconds > 0) || seconds > maxLifeS) return undefined;
  return fromMs + seconds * 1_000;
}
