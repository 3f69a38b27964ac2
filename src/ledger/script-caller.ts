import { setTimeout as delay } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { StockmeshError } from '../domain/errors.ts';
import type { LedgerKeys } from './keys.ts';
import { type LostRange, openLedger, type OpenResult } from './opening.ts';
import { orLate } from './or-late.ts';
import type { SeenPosition } from './position.ts';
import { readFailure, readReply, type ScriptReply } from './script-reply.ts';
import type { ScriptSet, ScriptSource } from './script-loader.ts';
import type { ServerClock } from './server-clock.ts';

export interface ScriptCallerOptions {
  readonly redis: Redis;
  readonly keys: LedgerKeys;
  readonly source: ScriptSource;
  readonly seen: SeenPosition;
  readonly clock: ServerClock;
  /** Written into epoch entries: which daemon opened the ledger. */
  readonly actor: string;
  /** After this a call ends as LEDGER_UNREACHABLE or LEDGER_UNAVAILABLE. */
  readonly deadlineMs?: number;
  /** A connection that answers nothing for this long is dropped and made anew. */
  readonly attemptMs?: number;
  readonly maxInFlight?: number;
}

type Settled =
  | { readonly ok: true; readonly reply: unknown }
  | { readonly ok: false; readonly error: unknown };

interface Ready {
  readonly scripts: ScriptSet;
  readonly epoch: number;
}

/** Reopening and retrying is for events that happen once; a server on which they repeat is broken. */
const maxReopens = 3;
const haltedRecheckMs = 250;

/**
 * Calls the ledger's scripts by EVALSHA, never by EVAL.
 *
 *   closed --first call--> opening --open--> ready --NOSCRIPT, fenced--> opening
 *                             `---------halted--> halted --later call, confirmLoss--> opening
 *
 * A call is repeated with the same arguments until its deadline: every script answers a repeat with its first result,
 * so a lost reply costs nothing. What is still open at the deadline is unknown, not failed.
 */
export class ScriptCaller {
  readonly #options: ScriptCallerOptions;
  readonly #deadlineMs: number;
  readonly #attemptMs: number;
  readonly #maxInFlight: number;
  readonly #listeners = new Set<(result: OpenResult) => void>();
  #ready: Ready | undefined;
  #opening: Promise<void> | undefined;
  #halted: { readonly error: StockmeshError; readonly at: number } | undefined;
  #inFlight = 0;
  #lastReplyAt = 0;

  constructor(options: ScriptCallerOptions) {
    this.#options = options;
    this.#deadlineMs = options.deadlineMs ?? 2000;
    this.#attemptMs = options.attemptMs ?? 900;
    this.#maxInFlight = options.maxInFlight ?? 2000;
  }

  /** Told of every opening: a new epoch, a confirmed loss, a halt. */
  onOpened(listener: (result: OpenResult) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  get redis(): Redis {
    return this.#options.redis;
  }

  get keys(): LedgerKeys {
    return this.#options.keys;
  }

  get epoch(): number | undefined {
    return this.#ready?.epoch;
  }

  /** Opens the ledger now instead of at the first call. Throws LEDGER_HALTED, REDIS_ACCESS_DENIED, LEDGER_SCRIPT_FAILED. */
  async open(): Promise<void> {
    try {
      await this.#open(this.#ready, 'open', this.#options.actor);
    } catch (error) {
      const failure = readFailure('open', error);
      throw failure.kind === 'final' ? failure.error : error;
    }
  }

  /** An operator accepts that the lost entries are gone. */
  async confirmLoss(actor: string): Promise<LostRange | undefined> {
    let lost: LostRange | undefined;
    const stop = this.onOpened((result) => (lost = result.lost));
    try {
      await this.#opening?.catch(() => undefined);
      await this.#open(this.#ready, 'confirm-loss', actor);
    } finally {
      stop();
    }
    return lost;
  }

  /** Answers `refused` outcomes as they are; throws only what docs/errors.md lists as LEDGER_* or REDIS_*. */
  async call(command: string, args: readonly (string | number)[], deadlineMs?: number): Promise<ScriptReply> {
    if (this.#inFlight >= this.#maxInFlight) {
      throw new StockmeshError('LEDGER_OVERLOADED', { limit: this.#maxInFlight, command });
    }
    this.#inFlight++;
    try {
      return await this.#callUntil(command, args, deadlineMs ?? this.#deadlineMs);
    } finally {
      this.#inFlight--;
    }
  }

  async #callUntil(
    command: string,
    args: readonly (string | number)[],
    deadlineMs: number,
  ): Promise<ScriptReply> {
    const endAt = performance.now() + deadlineMs;
    const sent: Promise<Settled>[] = [];
    let reopens = 0;
    let mayBeApplied = false;
    let reason = 'no answer';
    for (let pause = 10; performance.now() < endAt; pause = Math.min(pause * 2, 200)) {
      const ready = this.#ready ?? (await this.#openBefore(endAt));
      if (ready === undefined) break;
      sent.push(settled(this.#send(command, ready, args)));
      const sentAt = performance.now();
      const answer = await firstOf(sent, Math.min(this.#attemptMs, endAt - sentAt));
      if (answer === undefined) {
        mayBeApplied = true;
        this.#dropSilentConnection(sentAt);
        continue;
      }
      void sent.splice(answer.index, 1);
      if (answer.settled.ok) {
        const reply = this.#accept(command, ready.epoch, answer.settled.reply);
        if (reply !== undefined) return reply;
        if (++reopens > maxReopens) {
          throw new StockmeshError('LEDGER_SCRIPT_FAILED', { command, reason: 'fenced again and again' });
        }
        await this.#open(ready, 'open', this.#options.actor);
        continue;
      }
      const failure = readFailure(command, answer.settled.error);
      if (failure.kind === 'final') throw failure.error;
      if (failure.kind === 'lost-script') {
        if (++reopens > maxReopens) {
          throw new StockmeshError('LEDGER_SCRIPT_FAILED', { command, reason: 'script cache does not keep' });
        }
        await this.#open(ready, 'open', this.#options.actor);
        continue;
      }
      reason = failure.reason;
      if (failure.kind === 'unknown') mayBeApplied = true;
      else if (failure.reconnect) this.#options.redis.disconnect(true);
      if (this.#options.redis.status === 'end') break;
      await delay(Math.min(pause, Math.max(0, endAt - performance.now())));
    }
    if (mayBeApplied || reason === 'no answer') {
      throw new StockmeshError('LEDGER_UNREACHABLE', { command, deadlineMs, reason });
    }
    throw new StockmeshError('LEDGER_UNAVAILABLE', { command, reason });
  }

  #send(command: string, ready: Ready, args: readonly (string | number)[]): Promise<unknown> {
    const script = ready.scripts.get(command);
    if (script === undefined) throw new Error(`no ledger script is called ${command}`);
    const seen = this.#options.seen.get();
    // What was seen in another epoch says nothing about sequences of this one: the stamp is the fence then.
    const fence = seen.epoch === ready.epoch ? seen.seq : 0;
    return this.#options.redis.evalsha(script.sha, 1, this.#options.keys.ledger, fence, ...args);
  }

  /** The reply, or nothing when the ledger must be opened again. */
  #accept(command: string, epoch: number, raw: unknown): ScriptReply | undefined {
    this.#lastReplyAt = performance.now();
    const reply = readReply(command, raw);
    if (reply.outcome === 'fenced') return undefined;
    if (reply.outcome === 'halted') throw this.#halt(String(reply.fields[0]));
    this.#options.seen.observe({ epoch, seq: reply.seq });
    this.#options.clock.observe(reply.serverMs);
    if (reply.outcome === 'overflow') {
      throw new StockmeshError('LEDGER_QUANTITY_OVERFLOW', { sku: String(reply.fields[0]) });
    }
    return reply;
  }

  async #openBefore(endAt: number): Promise<Ready | undefined> {
    const halted = this.#halted;
    if (halted !== undefined && performance.now() - halted.at < haltedRecheckMs) throw halted.error;
    const opening = settled(this.#open(undefined, 'open', this.#options.actor));
    const answer = await firstOf([opening], endAt - performance.now());
    if (answer === undefined) return undefined;
    if (answer.settled.ok) return this.#ready;
    const failure = readFailure('open', answer.settled.error);
    if (failure.kind === 'final') throw failure.error;
    await delay(Math.min(50, Math.max(0, endAt - performance.now())));
    return performance.now() < endAt ? this.#openBefore(endAt) : undefined;
  }

  /** One opening at a time; a caller whose scripts were replaced meanwhile needs none. */
  async #open(stale: Ready | undefined, mode: 'open' | 'confirm-loss', actor: string): Promise<void> {
    if (mode === 'open' && this.#ready !== undefined && this.#ready !== stale) return;
    this.#opening ??= this.#openOnce(mode, actor).finally(() => (this.#opening = undefined));
    await this.#opening;
  }

  async #openOnce(mode: 'open' | 'confirm-loss', actor: string): Promise<void> {
    const { redis, keys, source, seen, clock } = this.#options;
    const opening = await openLedger(redis, keys, source, seen, mode, actor);
    if (opening.kind === 'halted') {
      const error = this.#halt(opening.result.reason);
      this.#tell(opening.results);
      throw error;
    }
    const { result, scripts } = opening;
    clock.observe(result.serverMs);
    this.#halted = undefined;
    this.#ready = { scripts, epoch: result.position.epoch };
    this.#tell(opening.results);
  }

  #halt(reason: string): StockmeshError {
    const error = new StockmeshError('LEDGER_HALTED', { reason });
    this.#ready = undefined;
    this.#halted = { error, at: performance.now() };
    return error;
  }

  #tell(results: readonly OpenResult[]): void {
    for (const result of results) for (const listener of this.#listeners) listener(result);
  }

  /** Half-open: ioredis would wait for ever. Commands in flight are sent again on the new connection. */
  #dropSilentConnection(sentAt: number): void {
    if (this.#lastReplyAt < sentAt && this.#options.redis.status === 'ready') {
      this.#options.redis.disconnect(true);
    }
  }
}

function settled(promise: Promise<unknown>): Promise<Settled> {
  return promise.then(
    (reply): Settled => ({ ok: true, reply }),
    (error: unknown): Settled => ({ ok: false, error }),
  );
}

function firstOf(
  sent: readonly Promise<Settled>[],
  withinMs: number,
): Promise<{ readonly settled: Settled; readonly index: number } | undefined> {
  const answers = sent.map(async (promise, index) => ({ settled: await promise, index }));
  return orLate(Promise.race(answers), Math.max(1, withinMs), undefined);
}
