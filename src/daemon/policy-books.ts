import type { Config } from '../config/configuration.ts';
import { policyLayers } from '../config/policy-layers.ts';
import type { ChannelId } from '../domain/ids.ts';
import { PolicyBook } from '../domain/policy-book.ts';

/** The policy of every configured channel, by channel: what it shows and what its orders may oversell are one book. */
export class PolicyBooks {
  readonly #books: ReadonlyMap<ChannelId, PolicyBook>;

  constructor(config: Config) {
    this.#books = new Map(
      config.channels.map((channel, index) => [
        channel.id,
        new PolicyBook(policyLayers(config, channel, index)),
      ]),
    );
  }

  /** Undefined: the channel is not configured (any more). */
  get(channel: ChannelId): PolicyBook | undefined {
    return this.#books.get(channel);
  }

  of(channel: ChannelId): PolicyBook {
    const book = this.#books.get(channel);
    if (book === undefined) throw new TypeError(`channel ${channel} is not configured`);
    return book;
  }
}
