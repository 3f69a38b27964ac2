import { hash } from 'node:crypto';
import type { SandboxClock } from '../clock.ts';

export type IdempotencyOutcome =
  | { readonly kind: 'new'; readonly entry: IdempotencyEntry }
  | { readonly kind: 'replay'; readonly payload: unknown }
  | { readonly kind: 'mismatch' | 'concurrent' | 'previous-attempt-failed' };

export interface IdempotencyEntry {
  readonly fingerprint: string;
  readonly startedAt: number;
  state:
    | { readonly kind: 'running'; readonly owner: symbol }
    | { readonly kind: 'done'; readonly payload: unknown }
    | { readonly kind: 'failed' };
}

export interface IdempotentCall {
  readonly mutation: string;
  readonly key: string;
  readonly fingerprint: string;
}

const MAX_ENTRIES = 500_000;

/**
 * Keys of one shop, per mutation. An entry: running -> done (answers again with the stored result) | failed.
 * The stored result is the payload object, not its JSON: Shopify rebuilds a repeated answer from its current state.
 */
export class IdempotencyTable {
  readonly #clock: SandboxClock;
  readonly #entries = new Map<string, IdempotencyEntry>();

  constructor(clock: SandboxClock) {
    this.#clock = clock;
  }

  /** Marks the key as running before execution starts, so that a second request meets it. */
  reserve(call: IdempotentCall, owner: symbol, windowMs: number): void {
    if (this.#live(call, windowMs)) return;
    this.#start(call, owner);
  }

  begin(call: IdempotentCall, owner: symbol, windowMs: number): IdempotencyOutcome {
    const known = this.#live(call, windowMs);
    if (!known) return { kind: 'new', entry: this.#start(call, owner) };
    if (known.fingerprint !== call.fingerprint) return { kind: 'mismatch' };
    if (known.state.kind === 'done') return { kind: 'replay', payload: known.state.payload };
    if (known.state.kind === 'failed') return { kind: 'previous-attempt-failed' };
    return known.state.owner === owner ? { kind: 'new', entry: known } : { kind: 'concurrent' };
  }

  fail(call: IdempotentCall, owner: symbol): void {
    this.#start(call, owner).state = { kind: 'failed' };
  }

  forget(call: IdempotentCall): void {
    this.#entries.delete(nameOf(call));
  }

  /** Keys a request reserved and never used (it was refused before execution) are free again. */
  release(calls: readonly IdempotentCall[], owner: symbol): void {
    for (const call of calls) {
      const state = this.#entries.get(nameOf(call))?.state;
      if (state?.kind === 'running' && state.owner === owner) this.#entries.delete(nameOf(call));
    }
  }

  #live(call: IdempotentCall, windowMs: number): IdempotencyEntry | null {
    const entry = this.#entries.get(nameOf(call));
    if (!entry) return null;
    if (this.#clock.now() - entry.startedAt < windowMs) return entry;
    this.#entries.delete(nameOf(call));
    return null;
  }

  #start(call: IdempotentCall, owner: symbol): IdempotencyEntry {
    if (this.#entries.size >= MAX_ENTRIES) this.#entries.delete(this.#entries.keys().next().value ?? '');
    const entry: IdempotencyEntry = {
      fingerprint: call.fingerprint,
      startedAt: this.#clock.now(),
      state: { kind: 'running', owner },
    };
    this.#entries.set(nameOf(call), entry);
    return entry;
  }
}

const nameOf = (call: IdempotentCall): string => `${call.mutation} ${call.key}`;

/** Sensitive to the order of input fields: Shopify asks clients to keep it, to avoid mismatches. */
export const fingerprintOf = (parameters: unknown): string => hash('sha1', JSON.stringify(parameters));
