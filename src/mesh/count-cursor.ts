import type { ChannelId } from '../domain/ids.ts';
import type { MeshState } from '../ledger/contract.ts';

/**
 * Where the next reading of a warehouse begins. The stored cursor stays behind while it owes something: until then readings
 * of this process begin ahead of it, and those of the next process where nothing can have been lost.
 */
export class CountCursor {
  readonly #mesh: Pick<MeshState, 'cursor' | 'moveCursor'>;
  readonly #name: string;
  readonly #owesNothing: () => boolean;
  #stored: string | null = null;
  #ahead: { readonly stored: string | null; readonly next: string } | undefined;

  constructor(
    mesh: Pick<MeshState, 'cursor' | 'moveCursor'>,
    channel: ChannelId,
    owesNothing: () => boolean,
  ) {
    this.#mesh = mesh;
    this.#name = `counts:${channel}`;
    this.#owesNothing = owesNothing;
  }

  async current(): Promise<string | null> {
    this.#stored = await this.#mesh.cursor(this.#name);
    // Another daemon read meanwhile: its cursor counts.
    if (this.#ahead !== undefined && this.#ahead.stored !== this.#stored) this.#ahead = undefined;
    return this.#ahead?.next ?? this.#stored;
  }

  async reached(cursor: string): Promise<void> {
    if (this.#ahead === undefined && cursor === this.#stored) return;
    this.#ahead = { stored: this.#stored, next: cursor };
    await this.settle();
  }

  /** Stores what was reached, once nothing is owed for it. */
  async settle(): Promise<void> {
    if (this.#ahead === undefined || !this.#owesNothing()) return;
    const { stored, next } = this.#ahead;
    // `kept`: another daemon read meanwhile, the next reading finds out.
    await this.#mesh.moveCursor(this.#name, next, 'opaque', stored);
    this.#ahead = undefined;
    this.#stored = next;
  }
}
