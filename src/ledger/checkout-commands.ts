import { US } from './keys.ts';
import { checkText, checkWhole } from './request-checks.ts';
import type { ScriptCaller } from './script-caller.ts';

export interface KeptCheckout {
  /** Counts its writes, from 1. */
  readonly version: number;
  readonly content: string;
}

const maxKeepMs = 366 * 86_400_000;

/** Carts and checkouts of commerce protocols, for every daemon of the merchant; see scripts/checkout.lua. */
export class CheckoutCommands {
  readonly #caller: ScriptCaller;
  readonly #keepMs: number;

  /** `keepMs`: after its last change. */
  constructor(caller: ScriptCaller, keepMs: number) {
    this.#caller = caller;
    this.#keepMs = checkWhole('keepMs', keepMs, 1, maxKeepMs);
  }

  /** Over the version that was read (0: there was none); `moved-on`: it was changed meanwhile, nothing was written. */
  async put(id: string, version: number, content: string): Promise<'kept' | 'moved-on'> {
    const { outcome } = await this.#caller.call('checkout', [
      checkText('checkout id', id),
      version,
      content,
      this.#keepMs,
    ]);
    return outcome === 'kept' ? 'kept' : 'moved-on';
  }

  async one(id: string): Promise<KeptCheckout | undefined> {
    const record = await this.#caller.redis.get(`${this.#caller.keys.prefix}checkout:${id}`);
    if (record === null) return undefined;
    const at = record.indexOf(US);
    return { version: Number(record.slice(0, at)), content: record.slice(at + 1) };
  }
}
