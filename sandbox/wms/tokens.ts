import { randomBytes } from 'node:crypto';
import type { SandboxClock } from '../shopify/clock.ts';

/** ShipHero's documented life of an access token. */
const TTL_S = 2_419_200;
const MAX_TOKENS = 1_000;

/** Bearer tokens of one account. */
export class Tokens {
  ttlMs = TTL_S * 1_000;
  readonly #clock: SandboxClock;
  readonly #access = new Map<string, number>();
  readonly #refresh = new Set<string>();

  constructor(clock: SandboxClock) {
    this.#clock = clock;
  }

  issue(): { readonly accessToken: string; readonly refreshToken: string; readonly expiresInS: number } {
    const accessToken = randomBytes(24).toString('base64url');
    const refreshToken = randomBytes(24).toString('base64url');
    if (this.#access.size >= MAX_TOKENS) this.#access.clear();
    this.#access.set(accessToken, this.#clock.now() + this.ttlMs);
    this.#refresh.add(refreshToken);
    return { accessToken, refreshToken, expiresInS: this.ttlMs / 1_000 };
  }

  refresh(refreshToken: string): ReturnType<Tokens['issue']> | undefined {
    if (!this.#refresh.has(refreshToken)) return undefined;
    const issued = this.issue();
    // ShipHero's refresh token stays the same.
    this.#refresh.delete(issued.refreshToken);
    return { ...issued, refreshToken };
  }

  addStatic(accessToken: string): void {
    this.#access.set(accessToken, Number.POSITIVE_INFINITY);
  }

  isValid(authorization: string | undefined): boolean {
    const token = /^Bearer (.+)$/.exec(authorization ?? '')?.[1];
    const endsAt = token === undefined ? undefined : this.#access.get(token);
    return endsAt !== undefined && this.#clock.now() < endsAt;
  }

  expireAll(): void {
    this.#access.clear();
  }

  revokeRefresh(): void {
    this.#refresh.clear();
  }
}
