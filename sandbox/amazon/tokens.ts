import { randomBytes } from 'node:crypto';
import type { SandboxClock } from '../shopify/clock.ts';
import type { SellerSettings } from './settings.ts';

export interface Credentials {
  readonly clientId: string;
  clientSecret: string;
  readonly refreshToken: string;
}

export interface TokenAnswer {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

const SCOPES = ['sellingpartnerapi::notifications', 'sellingpartnerapi::client_credential:rotation'];

/** Login with Amazon for one seller and one application. */
export class LwaTokens {
  readonly credentials: Credentials;
  /** Tokens handed out since the start. */
  issued = 0;
  #isRevoked = false;
  readonly #clock: SandboxClock;
  readonly #settings: SellerSettings;
  readonly #tokens = new Map<string, { readonly expiresAt: number; readonly isGrantless: boolean }>();

  constructor(credentials: Credentials, clock: SandboxClock, settings: SellerSettings) {
    this.credentials = credentials;
    this.#clock = clock;
    this.#settings = settings;
  }

  /** What a token is good for; null: unknown, expired or revoked. */
  kindOf(token: string | undefined): 'seller' | 'grantless' | null {
    const known = token === undefined ? undefined : this.#tokens.get(token);
    if (known === undefined || known.expiresAt <= this.#clock.now()) return null;
    if (known.isGrantless) return 'grantless';
    return this.#isRevoked ? null : 'seller';
  }

  expireAll(): void {
    this.#tokens.clear();
  }

  /** The seller withdraws the authorisation. */
  revoke(): void {
    this.#isRevoked = true;
  }

  exchange(form: Readonly<Record<string, string>>): TokenAnswer {
    const { clientId, clientSecret, refreshToken } = this.credentials;
    if (form['client_id'] !== clientId || form['client_secret'] !== clientSecret)
      return refusal(401, 'invalid_client', 'Client authentication failed');
    switch (form['grant_type'] ?? '') {
      case 'refresh_token':
        if (form['refresh_token'] !== refreshToken || this.#isRevoked)
          return refusal(400, 'invalid_grant', 'The request has an invalid grant parameter : refresh_token');
        return this.#issue(false);
      case 'client_credentials':
        if (!SCOPES.includes(form['scope'] ?? ''))
          return refusal(400, 'invalid_scope', 'The request has an invalid parameter : scope');
        return this.#issue(true);
      default:
        return refusal(400, 'unsupported_grant_type', 'The authorization grant type is not supported');
    }
  }

  #issue(isGrantless: boolean): TokenAnswer {
    this.issued += 1;
    const token = `${isGrantless ? 'Atc' : 'Atza'}|${randomBytes(24).toString('base64url')}`;
    const { tokenTtlMs } = this.#settings;
    this.#tokens.set(token, { expiresAt: this.#clock.now() + tokenTtlMs, isGrantless });
    const body: Record<string, unknown> = {
      access_token: token,
      token_type: 'bearer',
      expires_in: tokenTtlMs / 1_000,
    };
    if (!isGrantless) body['refresh_token'] = this.credentials.refreshToken;
    return { status: 200, body };
  }
}

function refusal(status: number, error: string, description: string): TokenAnswer {
  return { status, body: { error, error_description: description } };
}
