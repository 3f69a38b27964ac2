import { PlainReceiver } from './plain-receiver.ts';
import type { Post, PostAnswer } from './post.ts';
import { postOverTls } from './tls-post.ts';

/** More posts than this are never under way at once, whatever their sender is told. */
export const maxPosts = 64;

/**
 * Posts webhooks. Plain HTTP goes over connections of our own: under trade an emulator makes a thousand posts a second on
 * the processor that is being measured, and Node's client takes three times as long for each.
 */
export class Poster {
  readonly #receivers = new Map<string, PlainReceiver>();
  #isClosed = false;

  async send(post: Post): Promise<PostAnswer> {
    const answer = await this.#once(post);
    // A kept-alive connection that the receiver has just closed says nothing about the receiver: once more, at once.
    return answer.kind === 'unreachable' && answer.wasReused ? this.#once(post) : answer;
  }

  close(): void {
    this.#isClosed = true;
    for (const receiver of this.#receivers.values()) receiver.close();
  }

  #once(post: Post): Promise<PostAnswer> {
    if (this.#isClosed) return Promise.resolve({ kind: 'unreachable', wasReused: false });
    if (post.uri.startsWith('https:')) return postOverTls(post);
    return this.#receiverAt(post.uri).send(post);
  }

  #receiverAt(uri: string): PlainReceiver {
    const known = this.#receivers.get(uri);
    if (known) return known;
    const made = new PlainReceiver(uri);
    this.#receivers.set(uri, made);
    return made;
  }
}
