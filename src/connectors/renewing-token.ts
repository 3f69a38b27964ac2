import { StockmeshError } from '../domain/errors.ts';
import type { Clock, ConnectorLog, StoredToken, TokenStore } from './ports.ts';

export interface RenewingTokenParts {
  /** Under which the token store keeps it. */
  readonly name: string;
  /** For the log. */
  readonly platform: string;
  readonly store: TokenStore;
  readonly clock: Clock;
  readonly log: ConnectorLog;
  /** Used until the platform refuses it, when nothing is stored yet. */
  readonly configured?: StoredToken | undefined;
  /** From when on the token is renewed in the background. */
  readonly dueAtMs: (token: StoredToken) => number;
  /** Asks the platform; `stored` is what the store holds at that moment. */
  readonly ask: (stored: StoredToken | undefined) => Promise<StoredToken>;
}

const renewalPauseMs = 30_000;

/**
 * One access token, shared with the other daemons through the token store.
 *
 *   unknown --load, else the configured one, else renew--> fresh
 *   fresh   --due--> due: still used, renewed in the background
 *   due     --its end--> expired: callers wait for the renewal
 *   any     --refused by the platform--> renewed once; another daemon's newer token counts as the renewal
 *
 * One renewal runs at a time here, and one across daemons (the store's lock). The store's `renew` returns only when the
 * new token is kept, so a rotated refresh token is stored before anybody uses what came with it.
 */
export class RenewingToken {
  readonly #parts: RenewingTokenParts;
  #token: StoredToken | undefined;
  #renewing: Promise<StoredToken> | undefined;
  #notBeforeMs = 0;

  constructor(parts: RenewingTokenParts) {
    this.#parts = parts;
  }

  async current(signal: AbortSignal): Promise<string> {
    const { store, clock, name, configured, dueAtMs } = this.#parts;
    if (this.#token === undefined) {
      const loaded = await store.load(name);
      // What was renewed meanwhile is newer than what was loaded.
      this.#token ??= loaded ?? configured;
    }
    const token = this.#token;
    const nowMs = clock.nowMs();
    if (token === undefined || nowMs >= (token.expiresAtMs ?? Number.POSITIVE_INFINITY))
      return (await unlessAborted(this.#renew(undefined), signal)).accessToken;
    if (nowMs >= dueAtMs(token) && nowMs >= this.#notBeforeMs) this.#renewAhead();
    return token.accessToken;
  }

  /** A token other than the one the platform refused. */
  async replace(refused: string, signal: AbortSignal): Promise<string> {
    if (this.#token !== undefined && this.#token.accessToken !== refused) return this.#token.accessToken;
    let token = await unlessAborted(this.#renew(refused), signal);
    // A renewal that was already running did not know of the refusal and may have found the stored token good enough.
    if (token.accessToken === refused) token = await unlessAborted(this.#renew(refused), signal);
    return token.accessToken;
  }

  #renewAhead(): void {
    const { clock, log, platform } = this.#parts;
    this.#renew(undefined).catch((error: unknown) => {
      // The token still works for a while: no reason to ask again at once.
      this.#notBeforeMs = clock.nowMs() + renewalPauseMs;
      const code = error instanceof StockmeshError ? error.code : 'unforeseen';
      log.warn({ code }, `renewing the ${platform} access token ahead of its end failed`);
    });
  }

  #renew(refused: string | undefined): Promise<StoredToken> {
    const { store, clock, name, dueAtMs, ask } = this.#parts;
    this.#renewing ??= store
      .renew(name, async (stored) => {
        const isNewer = stored !== undefined && stored.accessToken !== refused;
        if (isNewer && clock.nowMs() < dueAtMs(stored)) return stored;
        return await ask(stored);
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
}

/** The work goes on for the others; only this caller stops waiting. */
export async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
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
