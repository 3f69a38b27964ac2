import { StockmeshError } from '../../domain/errors.ts';
import type { HttpClient } from '../http.ts';
import type { Clock, ConnectorLog, StoredToken, TokenStore } from '../ports.ts';
import { type ShopifyCredentials, platform } from './options.ts';
import { RenewingToken } from '../renewing-token.ts';
import { requestToken } from './token-endpoint.ts';

const renewAtShareOfLife = 0.8;
/** Life of a token whose issue we did not see. */
const usualLifeMs = {
  'client-credentials': 86_399_000,
  offline: 3_600_000,
  static: Number.POSITIVE_INFINITY,
};
const minLifeMs = 1_000;

/**
 * The access token of one shop: a static one as it is, any other by its life cycle (RenewingToken). If the answer of a
 * rotation is lost, the old refresh token still works, because Shopify retires it only when its replacement is used.
 */
export class AccessTokens {
  readonly #credentials: ShopifyCredentials;
  readonly #url: string;
  readonly #http: HttpClient;
  readonly #clock: Clock;
  readonly #renewing: RenewingToken;

  constructor(parts: {
    readonly credentials: ShopifyCredentials;
    readonly shop: string;
    readonly baseUrl: string;
    readonly http: HttpClient;
    readonly store: TokenStore;
    readonly clock: Clock;
    readonly log: ConnectorLog;
  }) {
    const { store, clock, log } = parts;
    this.#credentials = parts.credentials;
    this.#url = `${parts.baseUrl}/admin/oauth/access_token`;
    this.#http = parts.http;
    this.#clock = clock;
    this.#renewing = new RenewingToken({
      name: `${platform}:${parts.shop}`,
      platform: 'Shopify',
      store,
      clock,
      log,
      configured: this.#configured(),
      dueAtMs: (token) => this.#dueAtMs(token),
      ask: (stored) => this.#ask(stored),
    });
  }

  async current(signal: AbortSignal): Promise<string> {
    if (this.#credentials.kind === 'static') return this.#credentials.accessToken;
    return this.#renewing.current(signal);
  }

  /** A token other than the one Shopify refused; throws CONNECTOR_ACCESS_DENIED when there can be none. */
  async replace(refused: string, signal: AbortSignal): Promise<string> {
    if (this.#credentials.kind === 'static') throw denied('the access token is not accepted');
    return this.#renewing.replace(refused, signal);
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
