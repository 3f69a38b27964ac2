import { StockmeshError } from '../../domain/errors.ts';
import type { Secret } from '../../domain/secret.ts';
import type { HttpClient } from '../http.ts';
import type { Clock, StoredToken, TokenStore } from '../ports.ts';
import { idOf } from './count-rows.ts';
import { compilePath, selectOne } from './json-path.ts';
import type { Authorization, ClientCredentials, Login, RefreshToken } from './options.ts';
import { fillBody, fillText } from './template.ts';
import { askForToken, refused, requestOAuthToken, tokenOf } from './token-request.ts';

export interface AuthorizationParts {
  readonly auth: Authorization;
  readonly baseUrl: string;
  readonly http: HttpClient;
  readonly tokens: TokenStore;
  readonly clock: Clock;
}

export interface Access {
  readonly headers: Readonly<Record<string, string>>;
  /** Where it can be renewed. */
  readonly accessToken: string | undefined;
}

type Renewable = ClientCredentials | RefreshToken | Login;

const tokenName = 'access';
/** Renewed this long before its end, or when a tenth of its life is left, whichever is later. */
const earlyMs = 300_000;

/**
 * The headers that let a request in.
 *
 *   no token --first request--> renewing --stored--> valid --nearly over, or the API refused it--> renewing
 *
 * Renewal is the token store's: one at a time over all daemons, and a rotated refresh token is stored before it is used.
 * Requests that wait for it here share one call.
 */
export class WmsAuthorization {
  readonly #parts: AuthorizationParts;
  #known: StoredToken | undefined;
  #renewing: Promise<StoredToken> | undefined;

  constructor(parts: AuthorizationParts) {
    this.#parts = parts;
  }

  async access(): Promise<Access> {
    const { auth } = this.#parts;
    switch (auth.kind) {
      case 'none':
        return unrenewable({});
      case 'basic':
        return unrenewable({ authorization: basic(auth.username, auth.password) });
      case 'headers':
        return unrenewable(
          Object.fromEntries(Object.entries(auth.headers).map(([name, value]) => [name, value.reveal()])),
        );
      case 'bearer':
        return unrenewable({ authorization: `Bearer ${auth.token.reveal()}` });
      case 'client-credentials':
      case 'refresh-token': {
        const { accessToken } = await this.#token();
        return { headers: { authorization: `Bearer ${accessToken}` }, accessToken };
      }
      case 'login': {
        const { accessToken } = await this.#token();
        const { name, prefix = '' } = auth.header;
        return { headers: { [name.toLowerCase()]: `${prefix}${accessToken}` }, accessToken };
      }
    }
  }

  /**
   * The API refused a request with this token. Another request may have had it renewed meanwhile: the newer one is not
   * given up for a refusal of the older.
   */
  async refused(accessToken: string): Promise<void> {
    if (this.#known !== undefined && this.#known.accessToken !== accessToken) return;
    this.#known = undefined;
    const renewed = await this.#renew(accessToken);
    // A renewal that was already running did not know of the refusal and may have found the stored token good enough.
    if (renewed.accessToken === accessToken) await this.#renew(accessToken);
  }

  async #token(): Promise<StoredToken> {
    if (this.#known !== undefined && this.#isFresh(this.#known)) return this.#known;
    const stored = await this.#parts.tokens.load(tokenName);
    if (stored !== undefined && this.#isFresh(stored)) {
      this.#known = stored;
      return stored;
    }
    return this.#renew(undefined);
  }

  async #renew(stale: string | undefined): Promise<StoredToken> {
    const auth = renewableOf(this.#parts.auth);
    if (auth === undefined) throw new Error('there is no token to renew');
    this.#renewing ??= this.#parts.tokens
      .renew(tokenName, async (stored) => {
        // Another daemon was faster.
        if (stored !== undefined && stored.accessToken !== stale && this.#isFresh(stored)) return stored;
        return this.#ask(auth, stored);
      })
      .finally(() => (this.#renewing = undefined));
    this.#known = await this.#renewing;
    return this.#known;
  }

  #ask(auth: Renewable, stored: StoredToken | undefined): Promise<StoredToken> {
    switch (auth.kind) {
      case 'client-credentials':
        return this.#clientCredentials(auth);
      case 'refresh-token':
        return this.#refresh(auth, stored?.refreshToken);
      case 'login':
        return this.#login(auth);
    }
  }

  #clientCredentials(auth: ClientCredentials): Promise<StoredToken> {
    const isInBody = auth.sentIn === 'body';
    const members = {
      grant_type: 'client_credentials',
      ...(auth.scope === undefined ? {} : { scope: auth.scope }),
      ...(isInBody ? { client_id: auth.clientId, client_secret: auth.clientSecret.reveal() } : {}),
      ...auth.extra,
    };
    const headers = isInBody ? {} : { authorization: basic(auth.clientId, auth.clientSecret) };
    return requestOAuthToken(this.#endpoint(), auth.tokenUrl, auth.format, members, headers);
  }

  async #refresh(auth: RefreshToken, rotated: string | undefined): Promise<StoredToken> {
    const candidates = [rotated, auth.refreshToken?.reveal()].filter((token) => token !== undefined);
    const client = {
      ...(auth.clientId === undefined ? {} : { client_id: auth.clientId }),
      ...(auth.clientSecret === undefined ? {} : { client_secret: auth.clientSecret.reveal() }),
    };
    let denial: unknown = refused('there is no refresh token');
    for (const refresh of new Set(candidates)) {
      try {
        const members = { grant_type: 'refresh_token', refresh_token: refresh, ...client };
        const token = await requestOAuthToken(this.#endpoint(), auth.tokenUrl, auth.format, members);
        // An answer without a new refresh token leaves the old one in force.
        return { refreshToken: refresh, ...token };
      } catch (error) {
        if (!(error instanceof StockmeshError) || error.code !== 'CONNECTOR_ACCESS_DENIED') throw error;
        denial = error;
      }
    }
    if (auth.login === undefined) throw denial;
    const { url, username, password } = auth.login;
    const members = { username, password: password.reveal() };
    return requestOAuthToken(this.#endpoint(), url, auth.format, members);
  }

  async #login(auth: Login): Promise<StoredToken> {
    const { http, clock, baseUrl } = this.#parts;
    const issuedAtMs = clock.nowMs();
    const values = { username: auth.username, password: auth.password.reveal() };
    const answer = await askForToken(http, {
      method: 'POST',
      url: `${baseUrl}${auth.path}`,
      headers: { 'content-type': 'application/json', accept: 'application/json' },
      body: JSON.stringify(fillBody(auth.body, values)),
    });
    const taken: Record<string, string> = { username: auth.username };
    for (const [name, path] of Object.entries(auth.take)) {
      const value = idOf(selectOne(answer, compilePath(path)));
      if (value === undefined) throw refused(`the login's answer has no ${path}`);
      taken[name] = value;
    }
    const text = fillText(auth.header.value, taken);
    const accessToken = tokenOf(auth.header.base64 === true ? Buffer.from(text).toString('base64') : text);
    if (accessToken === undefined) throw refused('the login gave nothing that fits a header');
    const { lifetimeMs } = auth;
    return {
      accessToken,
      issuedAtMs,
      ...(lifetimeMs === undefined ? {} : { expiresAtMs: issuedAtMs + lifetimeMs }),
    };
  }

  #endpoint() {
    return { http: this.#parts.http, nowMs: () => this.#parts.clock.nowMs() };
  }

  #isFresh({ issuedAtMs, expiresAtMs }: StoredToken): boolean {
    if (expiresAtMs === undefined) return true;
    const lifeMs = expiresAtMs - (issuedAtMs ?? expiresAtMs - earlyMs * 10);
    return this.#parts.clock.nowMs() < expiresAtMs - Math.min(earlyMs, lifeMs / 10);
  }
}

function renewableOf(auth: Authorization): Renewable | undefined {
  return auth.kind === 'client-credentials' || auth.kind === 'refresh-token' || auth.kind === 'login'
    ? auth
    : undefined;
}

function unrenewable(headers: Access['headers']): Access {
  return { headers, accessToken: undefined };
}

function basic(username: string, password: Secret): string {
  return `Basic ${Buffer.from(`${username}:${password.reveal()}`).toString('base64')}`;
}
