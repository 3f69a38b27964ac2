import { StockmeshError } from '../../domain/errors.ts';
import type { Clock, ConnectorLog, StoredToken, TokenStore } from '../ports.ts';
import { RenewingToken } from '../renewing-token.ts';
import { type TiktokCredentials, platform } from './options.ts';
import { denied, reauthorise } from './outcome.ts';
import type { TokenGrant } from './token-endpoint.ts';

const renewAtShareOfLife = 0.8;
/** Life of a token whose issue we did not see: TikTok's usual seven days. */
const usualLifeMs = 7 * 86_400_000;

export interface AccessTokenParts {
  readonly credentials: TiktokCredentials;
  readonly shop: string;
  readonly request: (grant: TokenGrant) => Promise<StoredToken>;
  readonly store: TokenStore;
  readonly clock: Clock;
  readonly log: ConnectorLog;
}

/**
 * The access token of one authorisation. A refresh rotates both tokens, and the old refresh token is then worth nothing.
 * Without a stated end the configured token is used until TikTok refuses it.
 */
export class AccessTokens extends RenewingToken {
  constructor(parts: AccessTokenParts) {
    const { store, clock, log, shop } = parts;
    const { accessToken, refreshToken } = parts.credentials;
    super({
      name: `${platform}:${shop}`,
      platform: 'TikTok',
      store,
      clock,
      log,
      configured: accessToken === undefined ? undefined : { accessToken, refreshToken },
      dueAtMs,
      ask: (stored) => ask(parts, stored),
    });
  }
}

async function ask(
  { credentials, request }: AccessTokenParts,
  stored: StoredToken | undefined,
): Promise<StoredToken> {
  const grants: TokenGrant[] = [];
  for (const refreshToken of [stored?.refreshToken, credentials.refreshToken]) {
    const isNew = grants.every((grant) => grant.kind !== 'refresh' || grant.refreshToken !== refreshToken);
    if (refreshToken !== undefined && isNew) grants.push({ kind: 'refresh', refreshToken });
  }
  if (credentials.authCode !== undefined) grants.push({ kind: 'code', authCode: credentials.authCode });
  let refusal = denied('access token', 'there is no refresh token', reauthorise);
  for (const grant of grants) {
    try {
      return await request(grant);
    } catch (error) {
      // The merchant may have authorised anew since: what is configured is then the living one.
      if (!(error instanceof StockmeshError) || error.code !== 'CONNECTOR_ACCESS_DENIED') throw error;
      refusal = error;
    }
  }
  throw refusal;
}

function dueAtMs(token: StoredToken): number {
  if (token.expiresAtMs === undefined) return Number.POSITIVE_INFINITY;
  const lifeMs = token.issuedAtMs === undefined ? usualLifeMs : token.expiresAtMs - token.issuedAtMs;
  return token.expiresAtMs - (1 - renewAtShareOfLife) * Math.max(1_000, lifeMs);
}
