import { createHmac, createSecretKey, hash, type KeyObject, timingSafeEqual } from 'node:crypto';
import type { Receipt } from './answers.ts';
import { isoTimeOf } from './iso-time.ts';

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
  readonly #keys: readonly KeyObject[];

  /** The first seals; all of them open. */
  constructor(keys: readonly Buffer[]) {
    this.#keys = keys.map((key) => createSecretKey(key));
  }

  /**
   * Puts its receipt on an answer that is going to be sent as it is now, and answers its JSON text with the receipt, so
   * that no answer is made into text twice.
   */
  attach(
    answer: { receipt?: Receipt | undefined },
    sequence: string,
    shownAtMs: number,
    text: string = JSON.stringify(answer),
  ): string {
    const sha256 = hash('sha256', text, 'hex');
    const said = `${sequence}.${shownAtMs}.${sha256}`;
    const token = `${said}.${seal(this.#keys[0], said)}`;
    const receipt = { sequence, shown_at: isoTimeOf(shownAtMs), sha256, token };
    answer.receipt = receipt;
    return `${text.slice(0, -1)},"receipt":${JSON.stringify(receipt)}}`;
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

function seal(key: KeyObject | undefined, said: string): string {
  if (key === undefined) throw new Error('receipts need a key');
  return createHmac('sha256', key).update(said).digest('base64url').slice(0, 22);
}
