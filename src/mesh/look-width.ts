/** So many looks in a row that brought no write show that most of what waits needs none. */
const quietLooks = 4;
const widest = 64;

/**
 * How many times the listings that could be written at once one look takes in.
 *
 *   single --several full looks in a row without a write--> twice as wide, up to 64 times --a write--> single
 *
 * Where most of what waits is to be written, more than can be sent would be looked at in vain, and lose its place. Where
 * hardly anything is (a channel that is being connected, or whose listings agree after a restart), a look for each request
 * that could have been sent is a call to Redis for each few listings of a hundred thousand.
 */
export class LookWidth {
  #factor = 1;
  #quiet = 0;

  get factor(): number {
    return this.#factor;
  }

  /** `isFull`: the look took as many as it might. */
  looked(isFull: boolean, writes: number): void {
    if (writes > 0) {
      this.#factor = 1;
      this.#quiet = 0;
    } else if (isFull && ++this.#quiet >= quietLooks) {
      this.#factor = Math.min(widest, this.#factor * 2);
      this.#quiet = 0;
    }
  }
}
