import { StockmeshError } from '../../domain/errors.ts';
import type { Movement } from '../../domain/movement.ts';
import type { Position } from '../contract.ts';
import { type Branch, type FullHistory, isOnBranch } from '../full-history.ts';
import { comparePositions, formatPosition } from '../position.ts';

/**
 * Gives the entries of the history to `apply`, in order, up to the position asked for.
 *
 *   at a position --advanceTo(later)--> reading pages --reached--> there
 *                                                   \--log ends--> short of it (the caller is told)
 */
export class HistoryFollower {
  readonly #history: FullHistory;
  readonly #apply: (entry: Movement) => void;
  #branch: Branch;
  #position: Position;
  #pages: AsyncGenerator<readonly Movement[]> | undefined;
  #page: readonly Movement[] = [];
  #next = 0;

  constructor(history: FullHistory, branch: Branch, from: Position, apply: (entry: Movement) => void) {
    this.#history = history;
    this.#branch = branch;
    this.#position = from;
    this.#apply = apply;
  }

  get position(): Position {
    return this.#position;
  }

  /** False: the history ends before the target. Throws LEDGER_FORKED. */
  async advanceTo(target: Position): Promise<boolean> {
    if (!this.#branch.has(target.epoch)) await this.#takeBranch();
    let hasReadOn = false;
    while (comparePositions(this.#position, target) < 0) {
      const entry = this.#page[this.#next];
      if (entry !== undefined) {
        if (comparePositions(entry, target) > 0) return false;
        this.#next += 1;
        this.#position = { epoch: entry.epoch, seq: entry.seq };
        this.#apply(entry);
        continue;
      }
      // A generator ends where the log ended when it was read: a new one goes on from there, once.
      if (this.#pages === undefined && hasReadOn) return false;
      hasReadOn ||= this.#pages === undefined;
      this.#pages ??= this.#history.after(this.#branch, this.#position);
      const { value, done } = await this.#pages.next();
      this.#page = done === true ? [] : value;
      this.#next = 0;
      if (done === true) this.#pages = undefined;
    }
    return true;
  }

  async close(): Promise<void> {
    await this.#pages?.return(undefined);
  }

  /** A new epoch began since: harmless when it goes on where we are, else what we have followed is lost. */
  async #takeBranch(): Promise<void> {
    const branch = await this.#history.branch();
    if (this.#position.epoch > 0 && !isOnBranch(branch, this.#position)) {
      throw new StockmeshError('LEDGER_FORKED', { fork: formatPosition(this.#position) });
    }
    this.#branch = branch;
    await this.close();
    this.#pages = undefined;
    this.#page = [];
    this.#next = 0;
  }
}
