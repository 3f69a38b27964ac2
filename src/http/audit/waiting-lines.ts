import { TextBlock } from './text-block.ts';

const maxSpare = 8;

/** Lines on their way to a file, oldest first. Blocks that were written are used again. */
export class WaitingLines {
  #blocks: TextBlock[] = [];
  #count = 0;
  readonly #spare: TextBlock[] = [];

  get count(): number {
    return this.#count;
  }

  add(line: string): void {
    this.#count++;
    if (this.#blocks.at(-1)?.add(line) === true) return;
    const spare = this.#spare.pop();
    if (spare?.add(line) === true) {
      this.#blocks.push(spare);
      return;
    }
    if (spare !== undefined) this.#spare.push(spare);
    const made = new TextBlock(line);
    made.add(line);
    this.#blocks.push(made);
  }

  /** All that wait. They are given back when they are written. */
  take(): readonly TextBlock[] {
    const taken = this.#blocks;
    this.#blocks = [];
    this.#count = 0;
    return taken;
  }

  giveBack(written: readonly TextBlock[]): void {
    for (const block of written)
      if (block.isPlain && this.#spare.length < maxSpare) this.#spare.push(block.clear());
  }
}
