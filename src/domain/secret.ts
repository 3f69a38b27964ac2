const hidden = '[redacted]';

/**
 * A credential. Every ordinary way of printing it (template, JSON, console, inspect, YAML, pino) shows `[redacted]`;
 * only `reveal()` gives the text, so that a search for `reveal(` finds every place where a credential is used.
 */
export class Secret {
  // A private field: neither spread, nor structuredClone, nor Object.entries can carry it away.
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  reveal(): string {
    return this.#text;
  }

  toString(): string {
    return hidden;
  }

  toJSON(): string {
    return hidden;
  }

  [Symbol.toPrimitive](): string {
    return hidden;
  }

  /** What `console.log` and `util.inspect` ask for, named by its registered symbol: the domain imports nothing. */
  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return hidden;
  }
}
