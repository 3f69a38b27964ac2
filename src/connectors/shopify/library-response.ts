import type { HttpAnswer } from '../http.ts';

/** Like `Response.json`: what is not UTF-8 is replaced, a byte order mark is dropped. */
const utf8 = new TextDecoder();

/**
 * An answer in the shape of fetch's `Response`, as far as `@shopify/shopify-api` reads one. Node's own Response puts a
 * stream around the body and reads it back from there.
 */
export class LibraryResponse {
  readonly status: number;
  readonly ok: boolean;
  readonly statusText = '';
  readonly headers: LibraryHeaders;
  /** Private: the library puts a response that is no success into the text of its error. */
  readonly #body: Uint8Array;

  constructor({ status, headers, body }: HttpAnswer) {
    this.status = status;
    this.ok = status >= 200 && status < 300;
    this.headers = new LibraryHeaders(headers);
    this.#body = body;
  }

  async json(): Promise<unknown> {
    return JSON.parse(utf8.decode(this.#body)) as unknown;
  }
}

class LibraryHeaders {
  readonly #headers: HttpAnswer['headers'];

  constructor(headers: HttpAnswer['headers']) {
    this.#headers = headers;
  }

  get(name: string): string | null {
    return this.#headers[name.toLowerCase()] ?? null;
  }

  /** Only for a copy in results and errors, which nobody reads. */
  entries(): readonly (readonly [string, string])[] {
    return [];
  }
}
