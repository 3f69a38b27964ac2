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
const usualLifeS = 3_600;
const maxLifeS = 86_400;
const maxTokenLength = 4_096;

/** One request to Login with Amazon. Nothing of the request or of a token appears in what is thrown. */
export async function requestToken(
  request: TokenRequest,
  form: Readonly<Record<string, string>>,
): Promise<StoredToken> {
  const issuedAtMs = request.nowMs();
  const answer = await request.http.send({
    method: 'POST',
    url: request.url,
    operation,
    headers: {
      'content-type': 'application/x-www-form-urlencoded;charset=UTF-8',
      accept: 'application/json',
    },
    body: new URLSearchParams(form).toString(),
  });
  if (answer.status !== 200) throw refusal(answer);
  const parsed = parseRawJson(answer.body);
  const body = parsed.kind === 'ok' && isRecord(parsed.value) ? parsed.value : {};
  const accessToken = body['access_token'];
  if (typeof accessToken !== 'string' || !isToken(accessToken))
    throw new StockmeshError('CONNECTOR_ANSWER_INVALID', { platform, operation, reason: 'no access token' });
  return { accessToken, issuedAtMs, expiresAtMs: issuedAtMs + lifeOf(body['expires_in']) * 1_000 };
}

function refusal(answer: HttpAnswer): StockmeshError {
  const { status } = answer;
  if (status === 429 || status >= 500 || status === 408)
    return new StockmeshError('CONNECTOR_UNREACHABLE', { platform, operation, reason: `HTTP ${status}` });
  const parsed = parseRawJson(answer.body);
  const stated = parsed.kind === 'ok' && isRecord(parsed.value) ? parsed.value['error'] : undefined;
  // Only an error code in the OAuth form is passed on: a body could quote the request.
  const code = typeof stated === 'string' && /^[a-z_]{1,60}$/.test(stated) ? stated : `HTTP ${status}`;
  return new StockmeshError('CONNECTOR_ACCESS_DENIED', {
    platform,
    operation,
    reason: `Login with Amazon answered ${code}`,
    remedy: remedies[code] ?? 'Check the client id, the client secret and the refresh token of the channel',
  });
}

const remedies: Readonly<Record<string, string>> = {
  invalid_grant: 'Authorise the application in Seller Central again and configure the new refresh token',
  invalid_client:
    'Configure the present client id and secret of the application (secrets end after 180 days)',
  unauthorized_client:
    'The refresh token belongs to another application: configure the one of this client id',
  invalid_scope: 'Register the application for notifications in its developer profile',
};

/** Printable ASCII only: the token becomes a header value. */
function isToken(text: string): boolean {
  return text.length > 0 && text.length <= maxTokenLength && /^[\x21-\x7e]+$/.test(text);
}

function lifeOf(seconds: unknown): number {
  return typeof seconds === 'number' && seconds > 0 && seconds <= maxLifeS ? seconds : usualLifeS;
}
