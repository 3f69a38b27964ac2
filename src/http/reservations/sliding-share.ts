/** Share of marked ones among the newest N: no clock, and one busy minute does not forget a quiet day. */
export class SlidingShare {
  readonly #size: number;
  readonly #marks: boolean[] = [];
  #next = 0;
  #marked = 0;

  constructor(size: number) {
    this.#size = size;
  }

  /** Answers a ticket, with which it can still be marked later. */
  push(isMarked: boolean): number {
    const ticket = this.#next++;
    const at = ticket % this.#size;
    if (this.#marks[at] === true) this.#marked--;
    this.#marks[at] = isMarked;
    if (isMarked) this.#marked++;
    return ticket;
  }

  mark(ticket: number): void {
    if (ticket < this.#next - this.#size) return;
    const at = ticket % this.#size;
    if (this.#marks[at] === true) return;
    this.#marks[at] = true;
    this.#marked++;
  }

  get count(): number {
    return Math.min(this.#next, this.#size);
  }

  /** 0 to 1; nothing while there were none. */
  get share(): number | undefined {
    return this.count === 0 ? undefined : this.#marked / this.count;
  }
}
