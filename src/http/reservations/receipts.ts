import { createHmac, hash, timingSafeEqual } from 'node:crypto';
import type { Receipt } from './answers.ts';

/** What a genuine token says. */
export interface ShownReceipt {
  readonly sequence: string;
  readonly shownAtMs: number;
  readonly sha256: string;
}

const tokenPattern = /^(\d+-\d+)\.(\d{1,16})\.([0-9a-f]{64})\.([A-Za-z0-9_-]{22})$/;

/**
 * Receipts say what was shown, at which sequence and when. They are sealed, so one that is presented later proves itself
 * without being stored. They decide nothing: a receipt is as old as soon as anybody else buys, and honest buyers of a
 * busy SKU would be held up for it.
 */
export class Receipts {
  readonly #keys: readonly Buffer[];

  /** The first seals; all of them open. */
  constructor(keys: readonly Buffer[]) {
    this.#keys = keys;
  }

  /** Of an answer as it is going to be sent, without its receipt. */
  make(answer: object, sequence: string, shownAtMs: number): Receipt {
    const sha256 = hash('sha256', JSON.stringify(answer), 'hex');
    const said = `${sequence}.${shownAtMs}.${sha256}`;
    return {
      sequence,
      shown_at: new Date(shownAtMs).toISOString(),
      sha256,
      token: `${said}.${seal(this.#keys[0], said)}`,
    };
  }

  /** Undefined: not one of ours. */
  open(token: string): ShownReceipt | undefined {
    const match = tokenPattern.exec(token);
    if (match === null) return undefined;
    const [, sequence = '', shownAt = '', sha256 = '', sealed = ''] = match;
    const said = `${sequence}.${shownAt}.${sha256}`;
    const isOurs = this.#keys.some((key) =>
      timingSafeEqual(Buffer.from(seal(key, said)), Buffer.from(sealed)),
    );
    return isOurs ? { sequence, shownAtMs: Number(shownAt), sha256 } : undefined;
  }
}

function seal(key: Buffer | undefined, said: string): string {
  if (key === undefined) throw new Error('receipts need a key');
  return createHmac('sha256', key).update(said).digest('base64url').slice(0, 22);
}
