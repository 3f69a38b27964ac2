import { TextBlock } from './text-block.ts';

const lineFeed = 0x0a;
const maxBytes = 32 * 1024 * 1024;

/** The newest lines, at least `atLeast` of them unless they are huge. A line holds no line feed. */
export class RecentLines {
  readonly #atLeast: number;
  /** Oldest first. */
  readonly #blocks: TextBlock[] = [];
  #count = 0;
  #capacity = 0;

  constructor(atLeast: number) {
    this.#atLeast = atLeast;
  }

  get count(): number {
    return this.#count;
  }

  add(line: string): void {
    const text = `${line}\n`;
    this.#count++;
    if (this.#blocks.at(-1)?.add(text) === true) return;
    const free = this.#forgetOldest();
    const block = free?.isPlain === true ? free.clear() : new TextBlock(text);
    if (block.add(text)) return this.#keep(block);
    const made = new TextBlock(text);
    made.add(text);
    this.#keep(made);
  }

  #keep(block: TextBlock): void {
    this.#blocks.push(block);
    this.#capacity += block.capacity;
  }

  /** Blocks whose lines need not be kept; the last of them. */
  #forgetOldest(): TextBlock | undefined {
    let free: TextBlock | undefined;
    for (;;) {
      const oldest = this.#blocks[0];
      if (oldest === undefined) return free;
      if (this.#count - oldest.count < this.#atLeast && this.#capacity <= maxBytes) return free;
      this.#blocks.shift();
      this.#count -= oldest.count;
      this.#capacity -= oldest.capacity;
      free = oldest;
    }
  }

  /** Those that hold one of the words, oldest first. */
  holding(words: readonly string[]): readonly string[] {
    const found: string[] = [];
    for (const { written } of this.#blocks) {
      const starts = new Set<number>();
      for (const word of words) {
        for (let at = written.indexOf(word); at !== -1;) {
          starts.add(written.lastIndexOf(lineFeed, at) + 1);
          const end = written.indexOf(lineFeed, at);
          at = end === -1 ? -1 : written.indexOf(word, end);
        }
      }
      for (const start of [...starts].toSorted((a, b) => a - b))
        found.push(written.toString('utf8', start, written.indexOf(lineFeed, start)));
    }
    return found;
  }
}
