import { StockmeshError } from '../../domain/errors.ts';
import type { HttpClient } from '../http.ts';
import type { Clock, ConnectorLog, StoredToken, TokenStore } from '../ports.ts';
import { type ShopifyCredentials, platform } from './options.ts';
import { requestToken } from './token-endpoint.ts';

const renewAtShareOfLife = 0.8;
/** Life of a token whose issue we did not see. */
const usualLifeMs = {
  'client-credentials': 86_399_000,
  offline: 3_600_000,
  static: Number.POSITIVE_INFINITY,
};
const minLifeMs = 1_000;
const renewalPauseMs = 30_000;

/**
 * The access token of one shop, shared with the other daemons through the token store.
 *
 *   unknown --load or renew--> fresh
 *   fresh   --80 % of its life is over--> due: still used, renewed in the background
 *   due     --its end--> expired: callers wait for the renewal
 *   any     --refused by Shopify (401)--> renewed once; another daemon's newer token counts as the renewal
 *
 * One renewal runs at a time here, and one across daemons (the store's lock). A rotated refresh token is stored before
 * anybody uses it: the store's `renew` returns only then. If the answer of a rotation is lost, the old refresh token
 * still works, because Shopify retires it only when its replacement is used.
 */
export class AccessTokens {
  readonly #credentials: ShopifyCredentials;
  readonly #name: string;
  readonly #url: string;
  readonly #http: HttpClient;
  readonly #store: TokenStore;
  readonly #clock: Clock;
  readonly #log: ConnectorLog;
  #token: StoredToken | undefined;
  #renewing: Promise<StoredToken> | undefined;
  #notBeforeMs = 0;

  constructor(parts: {
    readonly credentials: ShopifyCredentials;
    readonly shop: string;
    readonly baseUrl: string;
    readonly http: HttpClient;
    readonly store: TokenStore;
    readonly clock: Clock;
    readonly log: ConnectorLog;
  }) {
    this.#credentials = parts.credentials;
    this.#name = `${platform}:${parts.shop}`;
    this.#url = `${parts.baseUrl}/admin/oauth/access_token`;
    this.#http = parts.http;
    this.#store = parts.store;
    this.#clock = parts.clock;
    this.#log = parts.log;
  }

  async current(signal: AbortSignal): Promise<string> {
    if (this.#credentials.kind === 'static') return this.#credentials.accessToken;
    this.#token ??= (await this.#store.load(this.#name)) ?? this.#configured();
    const token = this.#token;
    const nowMs = this.#clock.nowMs();
    if (token !== undefined && nowMs < this.#dueAtMs(token)) return token.accessToken;
    if (token !== undefined && nowMs < (token.expiresAtMs ?? Number.POSITIVE_INFINITY)) {
      if (nowMs >= this.#notBeforeMs) this.#renewAhead();
      return token.accessToken;
    }
    return (await unlessAborted(this.#renew(undefined), signal)).accessToken;
  }

  /** A token other than the one Shopify refused; throws CONNECTOR_ACCESS_DENIED when there can be none. */
  async replace(refused: string, signal: AbortSignal): Promise<string> {
    if (this.#credentials.kind === 'static') throw denied('the access token is not accepted');
    if (this.#token !== undefined && this.#token.accessToken !== refused) return this.#token.accessToken;
    let token = await unlessAborted(this.#renew(refused), signal);
    // A renewal that was already running did not know of the refusal and may have found the stored token good enough.
    if (token.accessToken === refused) token = await unlessAborted(this.#renew(refused), signal);
    return token.accessToken;
  }

  #renewAhead(): void {
    this.#renew(undefined).catch((error: unknown) => {
      // The token still works for a fifth of its life: no reason to ask again at once.
      this.#notBeforeMs = this.#clock.nowMs() + renewalPauseMs;
      const code = error instanceof StockmeshError ? error.code : 'unforeseen';
      this.#log.warn({ code }, 'renewing the Shopify access token ahead of its end failed');
    });
  }

  #renew(refused: string | undefined): Promise<StoredToken> {
    this.#renewing ??= this.#store
      .renew(this.#name, async (stored) => {
        const isNewer = stored !== undefined && stored.accessToken !== refused;
        if (isNewer && this.#clock.nowMs() < this.#dueAtMs(stored)) return stored;
        return await this.#ask(stored);
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

  async #ask(stored: StoredToken | undefined): Promise<StoredToken> {
    const credentials = this.#credentials;
    const request = { http: this.#http, url: this.#url, nowMs: () => this.#clock.nowMs() };
    if (credentials.kind === 'static') throw denied('a static token cannot be renewed');
    const client = { client_id: credentials.clientId, client_secret: credentials.clientSecret };
    if (credentials.kind === 'client-credentials')
      return await requestToken(request, { grant_type: 'client_credentials', ...client });
    const storedRefresh = stored?.refreshToken;
    const refresh = (refreshToken: string): Promise<StoredToken> =>
      requestToken(request, { grant_type: 'refresh_token', ...client, refresh_token: refreshToken });
    if (storedRefresh === undefined || storedRefresh === credentials.refreshToken)
      return await refresh(credentials.refreshToken);
    try {
      return await refresh(storedRefresh);
    } catch (error) {
      // The merchant may have authorised anew since: the configured pair is then the living one.
      if (!(error instanceof StockmeshError) || error.code !== 'CONNECTOR_ACCESS_DENIED') throw error;
      return await refresh(credentials.refreshToken);
    }
  }

  #configured(): StoredToken | undefined {
    const credentials = this.#credentials;
    if (credentials.kind !== 'offline' || credentials.accessToken === undefined) return undefined;
    return {
      accessToken: credentials.accessToken,
      refreshToken: credentials.refreshToken,
      // Without a stated end it is used until Shopify refuses it.
      expiresAtMs: credentials.expiresAtMs,
    };
  }

  #dueAtMs(token: StoredToken): number {
    if (token.expiresAtMs === undefined) return Number.POSITIVE_INFINITY;
    const lifeMs =
      token.issuedAtMs === undefined
        ? usualLifeMs[this.#credentials.kind]
        : token.expiresAtMs - token.issuedAtMs;
    return token.expiresAtMs - (1 - renewAtShareOfLife) * Math.max(minLifeMs, lifeMs);
  }
}

function denied(reason: string): StockmeshError {
  return new StockmeshError('CONNECTOR_ACCESS_DENIED', {
    platform,
    operation: 'access token',
    reason,
    remedy: 'Put a valid token of the app into the configuration',
  });
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
