import { StockmeshError } from '../../domain/errors.ts';
import type { HttpAnswer, HttpClient } from '../http.ts';
import type { PlatformClock } from '../platform-clock.ts';
import type { StoredToken } from '../ports.ts';
import { isRecord, parseRawJson } from '../raw-json.ts';
import { secondsOf } from './ids.ts';
import { type TiktokSettings, platform } from './options.ts';
import { codeOf, denied, reauthorise } from './outcome.ts';
import { queryString } from './signature.ts';

export interface TokenRequest {
  readonly http: HttpClient;
  readonly settings: TiktokSettings;
  readonly platformClock: PlatformClock;
  readonly nowMs: () => number;
}

export type TokenGrant =
  | { readonly kind: 'code'; readonly authCode: string }
  | { readonly kind: 'refresh'; readonly refreshToken: string };

const operation = 'access token';
const maxTokenLength = 4_096;
const transient = new Set([36009002, 36009003, 36009007]);
/** Below it a number of seconds can only be a span: 2001-09-09. */
const leastMomentS = 1_000_000_000;

/**
 * One request to TikTok's token endpoint. It is a GET with the app secret in its URL: the URL appears in nothing that is
 * logged or thrown, and neither does any text of the answer, which could quote it.
 */
export async function requestToken(request: TokenRequest, grant: TokenGrant): Promise<StoredToken> {
  const { settings, http, platformClock } = request;
  const isRefresh = grant.kind === 'refresh';
  const query = queryString({
    app_key: settings.appKey,
    app_secret: settings.appSecret,
    ...(isRefresh ? { refresh_token: grant.refreshToken } : { auth_code: grant.authCode }),
    grant_type: isRefresh ? 'refresh_token' : 'authorized_code',
  });
  const issuedAtMs = request.nowMs();
  const url = `${settings.authUrl}/api/v2/token/${isRefresh ? 'refresh' : 'get'}?${query}`;
  const answer = await http.send({ method: 'GET', url, operation, headers: { accept: 'application/json' } });
  platformClock.learn(answer.headers['date'], issuedAtMs, request.nowMs());
  const data = dataOf(answer);
  const accessToken = data['access_token'];
  if (!isToken(accessToken)) throw invalid('no access token');
  const rotated = data['refresh_token'];
  const refreshToken = isToken(rotated) ? rotated : isRefresh ? grant.refreshToken : undefined;
  const expiresAtMs = endOf(data['access_token_expire_in'], issuedAtMs, platformClock);
  const refreshExpiresAtMs = endOf(data['refresh_token_expire_in'], issuedAtMs, platformClock);
  return {
    accessToken,
    issuedAtMs,
    ...(refreshToken === undefined ? {} : { refreshToken }),
    ...(expiresAtMs === undefined ? {} : { expiresAtMs }),
    ...(refreshExpiresAtMs === undefined ? {} : { refreshExpiresAtMs }),
  };
}

function dataOf(answer: HttpAnswer): Readonly<Record<string, unknown>> {
  const { status } = answer;
  const parsed = parseRawJson(answer.body);
  const envelope = parsed.kind === 'ok' && isRecord(parsed.value) ? parsed.value : undefined;
  const code = codeOf(envelope?.['code']);
  const isTransient = status === 429 || status === 408 || status >= 500;
  if (isTransient || (code !== undefined && transient.has(code)))
    throw new StockmeshError('CONNECTOR_UNREACHABLE', {
      platform,
      operation,
      reason: code === undefined ? `HTTP ${status}` : `code ${code}`,
    });
  if (status >= 400 || (code !== undefined && code !== 0)) {
    const stated = code === undefined ? `HTTP ${status}` : `code ${code}`;
    throw denied(operation, `the token endpoint answered ${stated}`, reauthorise);
  }
  if (envelope === undefined || code === undefined) throw invalid('not the usual envelope');
  return isRecord(envelope['data']) ? envelope['data'] : {};
}

/** `..._expire_in` is a moment, not a span, whatever its name says. */
function endOf(value: unknown, issuedAtMs: number, platformClock: PlatformClock): number | undefined {
  const seconds = secondsOf(value);
  if (seconds === undefined) return undefined;
  if (seconds < leastMomentS) return issuedAtMs + seconds * 1_000;
  const offsetMs = platformClock.at(issuedAtMs) - issuedAtMs;
  return seconds * 1_000 - offsetMs;
}

/** Printable ASCII only: the token becomes a header value. */
function isToken(value: unknown): value is string {
  return typeof value === 'string' && value.length <= maxTokenLength && /^[\x21-\x7e]+$/.test(value);
}

function invalid(reason: string): StockmeshError {
  return new StockmeshError('CONNECTOR_ANSWER_INVALID', { platform, operation, reason });
}
