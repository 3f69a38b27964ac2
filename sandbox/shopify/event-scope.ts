import { uuid } from './ids.ts';

/** Shopify gives everything one merchant action triggers the same event id. */
export class EventScope {
  #current: string | null = null;

  /** The id of the running action; a fresh one outside of any. */
  id(): string {
    return this.#current ?? uuid();
  }

  /** Actions inside an action belong to the outer one. */
  run<Result>(action: () => Result): Result {
    const outer = this.#current;
    this.#current = outer ?? uuid();
    try {
      return action();
    } finally {
      this.#current = outer;
    }
  }
}
