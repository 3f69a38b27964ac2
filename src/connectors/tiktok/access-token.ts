import { StockmeshError } from '../../domain/errors.ts';
import type { Clock, ConnectorLog, StoredToken, TokenStore } from '../ports.ts';
import { type TiktokCredentials, platform } from './options.ts';
import { denied, reauthorise } from './outcome.ts';
import type { TokenGrant } from './token-endpoint.ts';

const renewAtShareOfLife = 0.8;
/** Life of a token whose issue we did not see: TikTok's usual seven days. */
const usualLifeMs = 7 * 86_400_000;
const renewalPauseMs = 30_000;

export interface AccessTokenParts {
  readonly credentials: TiktokCredentials;
  readonly shop: string;
  readonly request: (grant: TokenGrant) => Promise<StoredToken>;
  readonly store: TokenStore;
  readonly clock: Clock;
  readonly log: ConnectorLog;
}

/**
 * The access token of one authorisation, shared with the other daemons through the token store.
 *
 *   unknown --load, else the configured one, else renew--> fresh
 *   fresh   --80 % of its life is over--> due: still used, renewed in the background
 *   due     --its end--> expired: callers wait for the renewal
 *   any     --refused by TikTok--> renewed once; another daemon's newer token counts as the renewal
 *
 * A refresh rotates both tokens, and the old refresh token is then worth nothing: one renewal runs at a time here, one
 * across daemons (the store's lock), and the store keeps the new pair before anybody is given it.
 */
export class AccessTokens {
  readonly #parts: AccessTokenParts;
  readonly #name: string;
  #token: StoredToken | undefined;
  #renewing: Promise<StoredToken> | undefined;
  #notBeforeMs = 0;

  constructor(parts: AccessTokenParts) {
    this.#parts = parts;
    this.#name = `${platform}:${parts.shop}`;
  }

  async current(signal: AbortSignal): Promise<string> {
    const { store, clock } = this.#parts;
    this.#token ??= (await store.load(this.#name)) ?? this.#configured();
    const token = this.#token;
    const nowMs = clock.nowMs();
    if (token !== undefined && nowMs < dueAtMs(token)) return token.accessToken;
    if (token !== undefined && nowMs < (token.expiresAtMs ?? Number.POSITIVE_INFINITY)) {
      if (nowMs >= this.#notBeforeMs) this.#renewAhead();
      return token.accessToken;
    }
    return (await unlessAborted(this.#renew(undefined), signal)).accessToken;
  }

  /** A token other than the one TikTok refused; throws CONNECTOR_ACCESS_DENIED when there can be none. */
  async replace(refused: string, signal: AbortSignal): Promise<string> {
    if (this.#token !== undefined && this.#token.accessToken !== refused) return this.#token.accessToken;
    let token = await unlessAborted(this.#renew(refused), signal);
    // A renewal that was already running did not know of the refusal and may have found the stored token good enough.
    if (token.accessToken === refused) token = await unlessAborted(this.#renew(refused), signal);
    return token.accessToken;
  }

  #renewAhead(): void {
    const { clock, log } = this.#parts;
    this.#renew(undefined).catch((error: unknown) => {
      // The token still works for a fifth of its life: no reason to ask again at once.
      this.#notBeforeMs = clock.nowMs() + renewalPauseMs;
      const code = error instanceof StockmeshError ? error.code : 'unforeseen';
      log.warn({ code }, 'renewing the TikTok access token ahead of its end failed');
    });
  }

  #renew(refused: string | undefined): Promise<StoredToken> {
    const { store, clock } = this.#parts;
    this.#renewing ??= store
      .renew(this.#name, async (stored) => {
        const isNewer = stored !== undefined && stored.accessToken !== refused;
        if (isNewer && clock.nowMs() < dueAtMs(stored)) return stored;
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
    const { credentials, request } = this.#parts;
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

  #configured(): StoredToken | undefined {
    const { accessToken, refreshToken } = this.#parts.credentials;
    // Without a stated end it is used until TikTok refuses it.
    return accessToken === undefined ? undefined : { accessToken, refreshToken };
  }
}

function dueAtMs(token: StoredToken): number {
  if (token.expiresAtMs === undefined) return Number.POSITIVE_INFINITY;
  const lifeMs = token.issuedAtMs === undefined ? usualLifeMs : token.expiresAtMs - token.issuedAtMs;
  return token.expiresAtMs - (1 - renewAtShareOfLife) * Math.max(1_000, lifeMs);
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
