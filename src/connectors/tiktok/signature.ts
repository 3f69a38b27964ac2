import { createHmac } from 'node:crypto';

export type QueryParameters = Readonly<Record<string, string>>;

export interface SignedParts {
  /** Without host, with version and ids. */
  readonly path: string;
  /** Values as they are meant, not as the URL encodes them. */
  readonly query: QueryParameters;
  /** Exactly what is sent. Undefined: no body, or one of multipart/form-data, which is not signed. */
  readonly body?: string | undefined;
}

/** Never signed: the result itself, and the old place of the token. */
const unsigned = new Set(['sign', 'access_token']);

/**
 * The request signature of API versions 202309 and later: HMAC-SHA256, in lower-case hex, over secret + path + sorted
 * query + body + secret. The body counts by its bytes: TikTok's own SDKs sign a re-serialised object instead and fail on
 * any body that is spaced differently, so callers here serialise once and send that same text.
 */
export function signatureOf(secret: string, { path, query, body }: SignedParts): string {
  const names = Object.keys(query)
    .filter((name) => !unsigned.has(name))
    // By code point: a locale's order would put `Page_size` elsewhere.
    .toSorted((a, b) => (a < b ? -1 : 1));
  const parameters = names.map((name) => `${name}${query[name] ?? ''}`).join('');
  return createHmac('sha256', secret)
    .update(`${secret}${path}${parameters}${body ?? ''}${secret}`)
    .digest('hex');
}

/** Page tokens hold `+`, `/` and `=`: everything is percent-encoded, a space too. */
export function queryString(query: QueryParameters): string {
  return Object.entries(query)
    .map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`)
    .join('&');
}
