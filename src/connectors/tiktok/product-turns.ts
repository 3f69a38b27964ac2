/**
 * One request per product at a time, in the order they came; the others wait as long as their signal lets them. While an
 * urgent one waits, whoever is before it is as urgent.
 */
export class ProductTurns {
  readonly #last = new Map<string, Promise<void>>();
  /** Urgent requests of a product that wait or have their turn. */
  readonly #urgent = new Map<string, number>();

  isUrgent(productId: string): boolean {
    return this.#urgent.has(productId);
  }

  /** What ends the turn; undefined when the wait was ended first. */
  async take(productId: string, signal: AbortSignal, isUrgent: boolean): Promise<(() => void) | undefined> {
    const before = this.#last.get(productId) ?? Promise.resolve();
    const turn = Promise.withResolvers<void>();
    const mine = before.then(() => turn.promise);
    this.#last.set(productId, mine);
    if (isUrgent) this.#count(productId, 1);
    void turn.promise.then(() => isUrgent && this.#count(productId, -1));
    void mine.finally(() => {
      if (this.#last.get(productId) === mine) this.#last.delete(productId);
    });
    const ended = Promise.withResolvers<'ended'>();
    const onAbort = (): void => ended.resolve('ended');
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    const first = await Promise.race([before.then(() => 'mine' as const), ended.promise]);
    signal.removeEventListener('abort', onAbort);
    if (first === 'mine') return turn.resolve;
    // Whoever comes behind must not wait for a turn that nobody takes.
    turn.resolve();
    return undefined;
  }

  #count(productId: string, change: number): void {
    const count = (this.#urgent.get(productId) ?? 0) + change;
    if (count > 0) this.#urgent.set(productId, count);
    else this.#urgent.delete(productId);
  }
}
