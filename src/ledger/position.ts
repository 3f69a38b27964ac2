import type { Position } from './contract.ts';

/** Epochs of one history only grow, so a later epoch is newer whatever its sequence. */
export function comparePositions(a: Position, b: Position): number {
  return a.epoch === b.epoch ? a.seq - b.seq : a.epoch - b.epoch;
}

export function formatPosition(position: Position): string {
  return `${position.epoch}-${position.seq}`;
}

export function parsePosition(text: string): Position {
  const dash = text.indexOf('-');
  return { epoch: Number(text.slice(0, dash)), seq: Number(text.slice(dash + 1)) };
}

export const noPosition: Position = { epoch: 0, seq: 0 };

/**
 * The newest entry this daemon knows of: by its own calls, by its log reader and by its mirror of former lives. It is
 * the fence argument of every call and only `open` may move it back, after a confirmed loss.
 */
export class SeenPosition {
  #position: Position;

  constructor(start: Position = noPosition) {
    this.#position = start;
  }

  get(): Position {
    return this.#position;
  }

  /**
   * Within one epoch only. A reader that meets a new epoch must not hide what was seen of the old one before `open`
   * has held the two against each other: that comparison is how a loss is noticed.
   */
  observe(position: Position): void {
    const { epoch, seq } = this.#position;
    if (epoch === 0 || (position.epoch === epoch && position.seq > seq)) this.#position = position;
  }

  reset(position: Position): void {
    this.#position = position;
  }
}
