import type { Logger } from 'pino';
import type { PublisherLedger } from '../ledger/contract.ts';
import { Alarm, jittered } from './alarm.ts';

/**
 * The right to publish on one channel, with a fencing token.
 *
 *   waiting --free, or ours already--> held(token) --renewed in time--> held
 *   held --another holder took it, or no renewal succeeded for ttlMs--> lost (ends `held`'s signal) --> waiting
 *   any --close--> given up
 *
 * Its end is counted by our own monotonic clock from *before* the call that took it, so it is never later than the
 * ledger's. A stopped process (SIGSTOP, long pause) finds out by that clock before it sends anything.
 */
export interface LeaseSettings {
  readonly ttlMs: number;
  readonly renewEveryMs: number;
  readonly retryEveryMs: number;
}

export interface LeaseTerm {
  readonly token: number;
  /** Aborted when the lease is lost or given up. */
  readonly ended: AbortSignal;
  /** True when the lease will still be ours in `ms`. */
  outlives(ms: number): boolean;
}

export class ChannelLease {
  readonly #ledger: Pick<PublisherLedger, 'takeLease' | 'giveUpLease'>;
  readonly #name: string;
  readonly #holder: string;
  readonly #settings: LeaseSettings;
  readonly #log: Logger;
  readonly #alarm = new Alarm();
  #isClosed = false;
  #mustEndTerm = false;
  #loop: Promise<void> | undefined;

  constructor(
    ledger: Pick<PublisherLedger, 'takeLease' | 'giveUpLease'>,
    name: string,
    holder: string,
    settings: LeaseSettings,
    log: Logger,
  ) {
    this.#ledger = ledger;
    this.#name = name;
    this.#holder = holder;
    this.#settings = settings;
    this.#log = log;
  }

  /** `onTerm` runs once per time the lease is taken, and is awaited when the term ends before the next one begins. */
  start(onTerm: (term: LeaseTerm) => Promise<void>): void {
    this.#loop ??= this.#run(onTerm);
  }

  /** Ends the term as if the lease were lost; another one is taken at once. */
  endTerm(): void {
    this.#mustEndTerm = true;
    this.#alarm.ring();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#alarm.ring();
    await this.#loop;
  }

  async #run(onTerm: (term: LeaseTerm) => Promise<void>): Promise<void> {
    while (!this.#isClosed) {
      const taken = await this.#take();
      if (taken === undefined) {
        await this.#alarm.sleep(jittered(this.#settings.retryEveryMs));
        continue;
      }
      await this.#hold(taken.token, taken.untilMs, onTerm);
    }
  }

  async #hold(token: number, untilMs: number, onTerm: (term: LeaseTerm) => Promise<void>): Promise<void> {
    const ended = new AbortController();
    let endsAtMs = untilMs;
    const outlives = (ms: number): boolean => !ended.signal.aborted && performance.now() + ms < endsAtMs;
    const working = onTerm({ token, ended: ended.signal, outlives });
    this.#mustEndTerm = false;
    while (!this.#isClosed && !ended.signal.aborted) {
      await this.#alarm.sleep(this.#settings.renewEveryMs);
      if (this.#isClosed || this.#mustEndTerm) break;
      const renewed = await this.#take();
      // Another token means that the lease ended and was taken anew: whatever was read under the old one is void.
      if (renewed !== undefined && renewed.token === token) endsAtMs = renewed.untilMs;
      else if (renewed !== undefined || performance.now() >= endsAtMs) ended.abort();
    }
    ended.abort();
    await working;
    await this.#ledger.giveUpLease(this.#name, token).catch((error: unknown) => {
      this.#log.warn({ lease: this.#name, err: error }, 'the lease was not given up; it ends by itself');
    });
  }

  async #take(): Promise<{ token: number; untilMs: number } | undefined> {
    const beforeMs = performance.now();
    try {
      const result = await this.#ledger.takeLease(this.#name, this.#holder, this.#settings.ttlMs);
      if (result.kind === 'busy') return undefined;
      return { token: result.token, untilMs: beforeMs + this.#settings.ttlMs };
    } catch (error) {
      this.#log.warn({ lease: this.#name, err: error }, 'the lease could not be taken');
      return undefined;
    }
  }
}
