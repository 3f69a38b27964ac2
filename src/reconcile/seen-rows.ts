import { RowIndex, hashOf } from '../domain/row-index.ts';

export type Sighting =
  | 'new'
  | 'again'
  /** It stood for something else before; it will never be `again` from now on. */
  | 'other';

/** No hash: several owners claim the row. */
const several = 0;

/** Which rows a reading has shown, and what each of them stood for: about 26 bytes a row, whatever their texts are. */
export class SeenRows {
  readonly #index: RowIndex;
  /** Hashes of the owners, by row; empty while nobody named one. */
  readonly #owners: number[] = [];

  constructor(expected = 0) {
    this.#index = new RowIndex(expected);
  }

  get size(): number {
    return this.#index.size;
  }

  has(key: string): boolean {
    return this.#index.rowOf(key) !== undefined;
  }

  /** `owner`: what the row is in the platform's own words, where two of them may claim the same key. */
  note(key: string, owner?: string): Sighting {
    const { size } = this.#index;
    const row = this.#index.add(key);
    const isNew = row === size;
    if (owner === undefined) return isNew ? 'new' : 'again';
    const hash = hashOf(owner);
    if (isNew) {
      this.#owners[row] = hash;
      return 'new';
    }
    if (this.#owners[row] === hash) return 'again';
    this.#owners[row] = several;
    return 'other';
  }
}
