import { StockmeshError } from '../../domain/errors.ts';
import type { HttpClient } from '../http.ts';
import type { Clock, ConnectorLog, StoredToken, TokenStore } from '../ports.ts';
import { requestToken } from './lwa-endpoint.ts';
import type { AmazonCredentials } from './options.ts';

/** A token is renewed this long before its end, or at half of a shorter life. */
const renewAheadMs = 300_000;
const renewalPauseMs = 30_000;

export type LwaGrant =
  | { readonly kind: 'seller'; readonly sellerId: string }
  /** The application's own, for requests that belong to no seller. */
  | { readonly kind: 'grantless'; readonly scope: string };

export const notificationsScope = 'sellingpartnerapi::notifications';

/**
 * One access token of Login with Amazon, shared with the other daemons through the token store.
 *
 *   unknown --load or renew--> fresh
 *   fresh   --five minutes before its end--> due: still used, renewed in the background
 *   due     --its end--> expired: callers wait for the renewal
 *   any     --refused by the API as expired--> renewed once; another daemon's newer token counts as the renewal
 *
 * One renewal runs at a time here, and one across daemons (the store's lock). The refresh token does not rotate: only
 * access tokens are stored.
 */
export class LwaTokens {
  readonly #name: string;
  readonly #form: Readonly<Record<string, string>>;
  readonly #url: string;
  readonly #http: HttpClient;
  readonly #store: TokenStore;
  readonly #clock: Clock;
  readonly #log: ConnectorLog;
  #token: StoredToken | undefined;
  #renewing: Promise<StoredToken> | undefined;
  #notBeforeMs = 0;

  constructor(parts: {
    readonly credentials: AmazonCredentials;
    readonly grant: LwaGrant;
    readonly url: string;
    readonly http: HttpClient;
    readonly store: TokenStore;
    readonly clock: Clock;
    readonly log: ConnectorLog;
  }) {
    const { credentials, grant } = parts;
    const client = { client_id: credentials.clientId, client_secret: credentials.clientSecret };
    this.#name = grant.kind === 'seller' ? `lwa:seller:${grant.sellerId}` : `lwa:grantless:${grant.scope}`;
    this.#form =
      grant.kind === 'seller'
        ? { grant_type: 'refresh_token', refresh_token: credentials.refreshToken, ...client }
        : { grant_type: 'client_credentials', scope: grant.scope, ...client };
    this.#url = parts.url;
    this.#http = parts.http;
    this.#store = parts.store;
    this.#clock = parts.clock;
    this.#log = parts.log;
  }

  async current(signal: AbortSignal): Promise<string> {
    this.#token ??= await this.#store.load(this.#name);
    const token = this.#token;
    const nowMs = this.#clock.nowMs();
    if (token === undefined || nowMs >= endOf(token))
      return (await unlessAborted(this.#renew(undefined), signal)).accessToken;
    if (nowMs >= dueAtMs(token) && nowMs >= this.#notBeforeMs) this.#renewAhead();
    return token.accessToken;
  }

  /** A token other than the one the API refused. */
  async replace(refused: string, signal: AbortSignal): Promise<string> {
    if (this.#token !== undefined && this.#token.accessToken !== refused) return this.#token.accessToken;
    let token = await unlessAborted(this.#renew(refused), signal);
    // A renewal that was already running did not know of the refusal and may have found the stored token good enough.
    if (token.accessToken === refused) token = await unlessAborted(this.#renew(refused), signal);
    return token.accessToken;
  }

  #renewAhead(): void {
    this.#renew(undefined).catch((error: unknown) => {
      this.#notBeforeMs = this.#clock.nowMs() + renewalPauseMs;
      const code = error instanceof StockmeshError ? error.code : 'unforeseen';
      this.#log.warn({ code }, 'renewing the Amazon access token ahead of its end failed');
    });
  }

  #renew(refused: string | undefined): Promise<StoredToken> {
    this.#renewing ??= this.#store
      .renew(this.#name, async (stored) => {
        const isOther = stored !== undefined && stored.accessToken !== refused;
        if (isOther && this.#clock.nowMs() < dueAtMs(stored)) return stored;
        const request = { http: this.#http, url: this.#url, nowMs: () => this.#clock.nowMs() };
        return await requestToken(request, this.#form);
      })
      .then((token) => {
        this.#token = token;
        return token;
      })
      .finally(() => {
        this.#renewing = undefined;
      });
    return this.#renewing;
  }
}

function endOf(token: StoredToken): number {
  return token.expiresAtMs ?? Number.POSITIVE_INFINITY;
}

function dueAtMs(token: StoredToken): number {
  const endMs = endOf(token);
  const lifeMs = endMs - (token.issuedAtMs ?? endMs - 2 * renewAheadMs);
  return endMs - Math.min(renewAheadMs, lifeMs / 2);
}

/** The renewal goes on for the others; only this caller stops waiting. */
async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  let stop: (() => void) | undefined;
  const aborted = new Promise<never>((_resolve, reject) => {
    stop = () => reject(signal.reason as Error);
    signal.addEventListener('abort', stop, { once: true });
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    if (stop !== undefined) signal.removeEventListener('abort', stop);
  }
}
