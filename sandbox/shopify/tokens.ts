import { randomBytes } from 'node:crypto';
import type { SandboxClock } from './clock.ts';

export interface AppCredentials {
  readonly clientId: string;
  clientSecret: string;
  readonly scopes: readonly string[];
}

export interface TokenAnswer {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

interface Refresh {
  readonly parent: string | null;
  readonly expiresAt: number;
}

const REFRESH_TTL_MS = 90 * 86_400_000;
const MAX_TOKENS = 10_000;

/**
 * Access tokens of one app on one shop. A refresh token rotates at each use, and its predecessor stays usable until
 * the replacement is used: a client that loses the answer can ask again.
 */
export class TokenStore {
  readonly app: AppCredentials;
  clientCredentialsTtlMs = 86_399_000;
  offlineTtlMs = 3_600_000;
  readonly #clock: SandboxClock;
  readonly #access = new Map<string, number>();
  readonly #refresh = new Map<string, Refresh>();
  #isInstalled = true;

  constructor(app: AppCredentials, clock: SandboxClock) {
    this.app = app;
    this.#clock = clock;
  }

  issueStatic(token = `shpat_${randomBytes(16).toString('hex')}`): string {
    this.#access.set(token, Number.POSITIVE_INFINITY);
    return token;
  }

  /** What the authorization code grant with `expiring=1` ends with. */
  issueExpiring(): { accessToken: string; refreshToken: string } {
    return this.#issuePair(null);
  }

  isValid(token: string | undefined): boolean {
    if (!this.#isInstalled || token === undefined) return false;
    const expiresAt = this.#access.get(token);
    return expiresAt !== undefined && expiresAt > this.#clock.now();
  }

  expireAccessTokens(): void {
    for (const token of this.#access.keys()) this.#access.set(token, 0);
  }

  uninstall(): void {
    this.#isInstalled = false;
  }

  exchange(parameters: Readonly<Record<string, string>>): TokenAnswer {
    const { grant_type: grantType, client_id: clientId, client_secret: secret } = parameters;
    if (clientId !== this.app.clientId || secret !== this.app.clientSecret || !this.#isInstalled)
      return { status: 400, body: { error: 'application_cannot_be_found' } };
    if (grantType === 'client_credentials') return this.#clientCredentials();
    if (grantType === 'refresh_token') return this.#refreshed(parameters['refresh_token'] ?? '');
    return { status: 400, body: { error: 'unsupported_grant_type' } };
  }

  #clientCredentials(): TokenAnswer {
    const accessToken = `shpat_${randomBytes(16).toString('hex')}`;
    this.#remember(accessToken, this.clientCredentialsTtlMs);
    return {
      status: 200,
      body: {
        access_token: accessToken,
        scope: this.app.scopes.join(','),
        expires_in: Math.floor(this.clientCredentialsTtlMs / 1000),
      },
    };
  }

  #refreshed(refreshToken: string): TokenAnswer {
    const known = this.#refresh.get(refreshToken);
    if (!known || known.expiresAt <= this.#clock.now())
      return {
        status: 401,
        body: {
          error: 'invalid_request',
          error_description: 'This request requires an active refresh_token',
        },
      };
    if (known.parent !== null) this.#refresh.delete(known.parent);
    const pair = this.#issuePair(refreshToken);
    return {
      status: 200,
      body: {
        access_token: pair.accessToken,
        scope: this.app.scopes.join(','),
        expires_in: Math.floor(this.offlineTtlMs / 1000),
        refresh_token: pair.refreshToken,
        refresh_token_expires_in: REFRESH_TTL_MS / 1000,
      },
    };
  }

  #issuePair(parent: string | null): { accessToken: string; refreshToken: string } {
    const accessToken = `shpat_${randomBytes(16).toString('hex')}`;
    const refreshToken = `shprt_${randomBytes(16).toString('hex')}`;
    this.#remember(accessToken, this.offlineTtlMs);
    this.#refresh.set(refreshToken, { parent, expiresAt: this.#clock.now() + REFRESH_TTL_MS });
    return { accessToken, refreshToken };
  }

  #remember(token: string, ttlMs: number): void {
    if (this.#access.size >= MAX_TOKENS) {
      const now = this.#clock.now();
      for (const [known, expiresAt] of this.#access) if (expiresAt <= now) this.#access.delete(known);
    }
    this.#access.set(token, this.#clock.now() + ttlMs);
  }
}
