const blockBytes = 256 * 1024;
/** What a UTF-16 unit takes at most in UTF-8. */
const maxBytesPerUnit = 3;

/**
 * Texts, one after the other, as bytes outside the heap. Ten thousand texts a second that live longer than a moment are
 * copied by the collector twice each; the bytes of a block that is used again cost nothing to keep.
 */
export class TextBlock {
  readonly #bytes: Buffer;
  #used = 0;
  #count = 0;

  /** Big enough for the text, however long it is. */
  constructor(text: string) {
    this.#bytes = Buffer.allocUnsafeSlow(Math.max(blockBytes, text.length * maxBytesPerUnit));
  }

  /** Texts in it. */
  get count(): number {
    return this.#count;
  }

  get capacity(): number {
    return this.#bytes.length;
  }

  /** Worth keeping for other texts: one that was made for a long text is not. */
  get isPlain(): boolean {
    return this.#bytes.length === blockBytes;
  }

  /** False: there may not be room for it. */
  add(text: string): boolean {
    if (this.#used + text.length * maxBytesPerUnit > this.#bytes.length) return false;
    this.#used += this.#bytes.write(text, this.#used);
    this.#count++;
    return true;
  }

  /** What was added, as it lies in the block: of use until the block is cleared. */
  get written(): Buffer {
    return this.#bytes.subarray(0, this.#used);
  }

  clear(): this {
    this.#used = 0;
    this.#count = 0;
    return this;
  }
}
