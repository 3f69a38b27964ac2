import type { HttpClient } from '../http.ts';
import type { Clock, ConnectorLog, StoredToken, TokenStore } from '../ports.ts';
import { RenewingToken } from '../renewing-token.ts';
import { requestToken } from './lwa-endpoint.ts';
import type { AmazonCredentials } from './options.ts';

/** A token is renewed this long before its end, or at half of a shorter life. */
const renewAheadMs = 300_000;

export type LwaGrant =
  | { readonly kind: 'seller'; readonly sellerId: string }
  /** The application's own, for requests that belong to no seller. */
  | { readonly kind: 'grantless'; readonly scope: string };

export const notificationsScope = 'sellingpartnerapi::notifications';

/** An access token of Login with Amazon. The refresh token does not rotate: only access tokens are stored. */
export class LwaTokens extends RenewingToken {
  constructor(parts: {
    readonly credentials: AmazonCredentials;
    readonly grant: LwaGrant;
    readonly url: string;
    readonly http: HttpClient;
    readonly store: TokenStore;
    readonly clock: Clock;
    readonly log: ConnectorLog;
  }) {
    const { credentials, grant, url, http, store, clock, log } = parts;
    const client = { client_id: credentials.clientId, client_secret: credentials.clientSecret };
    const form =
      grant.kind === 'seller'
        ? { grant_type: 'refresh_token', refresh_token: credentials.refreshToken, ...client }
        : { grant_type: 'client_credentials', scope: grant.scope, ...client };
    super({
      name: grant.kind === 'seller' ? `lwa:seller:${grant.sellerId}` : `lwa:grantless:${grant.scope}`,
      platform: 'Amazon',
      store,
      clock,
      log,
      dueAtMs,
      ask: () => requestToken({ http, url, nowMs: () => clock.nowMs() }, form),
    });
  }
}

function dueAtMs(token: StoredToken): number {
  const endMs = token.expiresAtMs ?? Number.POSITIVE_INFINITY;
  const lifeMs = endMs - (token.issuedAtMs ?? endMs - 2 * renewAheadMs);
  return endMs - Math.min(renewAheadMs, lifeMs / 2);
}
