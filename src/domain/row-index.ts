/** Of 52 bits: two of a million rows are taken for one with a chance of 1 in 9,000. */
const keySpan = 2 ** 52;
const leastSlots = 64;
/** Slots that may be taken before chains become long. */
const maxFill = 0.7;

/**
 * A number, from 0 on, for each key that was told, in 18 bytes a key however long its text is: what a reading of a whole
 * catalogue may remember of all its rows. An open hash table of the keys' hashes; nothing is ever taken out.
 */
export class RowIndex {
  /** 0: free. */
  #keys: Float64Array;
  #rows: Uint32Array;
  #size = 0;

  /** `expected`: as many keys as are likely to come; more only cost a move of the table. */
  constructor(expected = 0) {
    const slots = Math.max(leastSlots, Math.ceil(expected / maxFill) + 1);
    this.#keys = new Float64Array(slots);
    this.#rows = new Uint32Array(slots);
  }

  get size(): number {
    return this.#size;
  }

  /** Undefined: never told. */
  rowOf(key: string): number | undefined {
    const slot = this.#slotOf(hashOf(key));
    return this.#keys[slot] === 0 ? undefined : this.#rows[slot];
  }

  /** The key's number: `size` as it was before when it is new. */
  add(key: string): number {
    const hash = hashOf(key);
    let slot = this.#slotOf(hash);
    if (this.#keys[slot] !== 0) return this.#rows[slot] ?? 0;
    if (this.#size >= this.#keys.length * maxFill) {
      this.#grow();
      slot = this.#slotOf(hash);
    }
    this.#keys[slot] = hash;
    this.#rows[slot] = this.#size;
    return this.#size++;
  }

  #slotOf(hash: number): number {
    const { length } = this.#keys;
    let slot = hash % length;
    while (this.#keys[slot] !== 0 && this.#keys[slot] !== hash) slot = slot + 1 === length ? 0 : slot + 1;
    return slot;
  }

  #grow(): void {
    const [keys, rows] = [this.#keys, this.#rows];
    this.#keys = new Float64Array(keys.length * 2 + 1);
    this.#rows = new Uint32Array(this.#keys.length);
    for (const [from, hash] of keys.entries()) {
      if (hash === 0) continue;
      const slot = this.#slotOf(hash);
      this.#keys[slot] = hash;
      this.#rows[slot] = rows[from] ?? 0;
    }
  }
}

/** 1 to 2^52: two hashes after FNV-1a, of other beginnings and multipliers, over the text's 16-bit units. */
export function hashOf(text: string): number {
  let a = 0x811c_9dc5;
  let b = 0x9e37_79b9;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    a = Math.imul(a ^ unit, 0x0100_0193);
    b = Math.imul(b ^ unit, 0x85eb_ca6b);
    b ^= b >>> 15;
  }
  a = Math.imul(a ^ (a >>> 16), 0xc2b2_ae35) >>> 0;
  b = Math.imul(b ^ (b >>> 13), 0x27d4_eb2f) >>> 0;
  return ((a * 2 ** 20 + (b & 0xf_ffff)) % keySpan) + 1;
}
