import { randomBytes } from 'node:crypto';
import type { SandboxClock } from '../shopify/clock.ts';
import { secondsOf } from './model.ts';

export interface TokenAnswer {
  readonly code: number;
  readonly message: string;
  readonly data?: Readonly<Record<string, unknown>>;
}

export type TokenState = 'valid' | 'expired' | 'unknown';

const REFRESH_TTL_MS = 365 * 86_400_000;

/**
 * The authorisation of one seller. A refresh rotates both tokens: the refresh token that was used is worth nothing
 * afterwards, and using it again is the mistake that loses an authorisation.
 */
export class Tokens {
  readonly #clock: SandboxClock;
  readonly #ttlMs: () => number;
  readonly #access = new Map<string, number>();
  readonly #codes = new Set<string>();
  readonly #spent = new Set<string>();
  #refresh: string | null = null;
  #isAuthorised = true;

  constructor(clock: SandboxClock, ttlMs: () => number) {
    this.#clock = clock;
    this.#ttlMs = ttlMs;
  }

  /** What the merchant's authorisation ends with. */
  issue(): { accessToken: string; refreshToken: string } {
    const accessToken = `TTP_${randomBytes(24).toString('base64url')}`;
    const refreshToken = `TTR_${randomBytes(24).toString('base64url')}`;
    this.#isAuthorised = true;
    this.#access.set(accessToken, this.#clock.now() + this.#ttlMs());
    this.#refresh = refreshToken;
    return { accessToken, refreshToken };
  }

  issueCode(): string {
    const code = `TTC_${randomBytes(12).toString('base64url')}`;
    this.#codes.add(code);
    return code;
  }

  stateOf(accessToken: string | undefined): TokenState {
    const expiresAt = accessToken === undefined ? undefined : this.#access.get(accessToken);
    if (!this.#isAuthorised || expiresAt === undefined) return 'unknown';
    return expiresAt > this.#clock.now() ? 'valid' : 'expired';
  }

  expireAccessTokens(): void {
    for (const token of this.#access.keys()) this.#access.set(token, 0);
  }

  deauthorise(): void {
    this.#isAuthorised = false;
    this.#refresh = null;
  }

  /** `isReuse`: a refresh token that was already exchanged. */
  exchange(kind: 'get' | 'refresh', query: URLSearchParams): TokenAnswer & { readonly isReuse?: boolean } {
    if (kind === 'get') {
      if (query.get('grant_type') !== 'authorized_code')
        return { code: 36004003, message: 'invalid grant type' };
      const code = query.get('auth_code') ?? '';
      if (!this.#codes.delete(code)) return { code: 36004004, message: 'authorization code is expired' };
      return this.#pair();
    }
    if (query.get('grant_type') !== 'refresh_token') return { code: 36004003, message: 'invalid grant type' };
    const given = query.get('refresh_token') ?? '';
    if (given !== this.#refresh)
      return { code: 36004005, message: 'invalid refresh token', isReuse: this.#spent.has(given) };
    this.#spent.add(given);
    return this.#pair();
  }

  #pair(): TokenAnswer {
    const { accessToken, refreshToken } = this.issue();
    const now = this.#clock.now();
    return {
      code: 0,
      message: 'success',
      data: {
        access_token: accessToken,
        access_token_expire_in: secondsOf(now + this.#ttlMs()),
        refresh_token: refreshToken,
        refresh_token_expire_in: secondsOf(now + REFRESH_TTL_MS),
        open_id: 'sandbox-open-id',
        seller_name: 'Sandbox seller',
        seller_base_region: 'GB',
        user_type: 0,
        granted_scopes: [
          'seller.authorization.info',
          'seller.product.basic',
          'seller.product.write',
          'seller.order.info',
          'seller.logistics',
        ],
      },
    };
  }
}
