import { KeptConnection } from './kept-connection.ts';
import type { Post, PostAnswer } from './post.ts';

/** A receiver of plain HTTP and the connections to it: as many as posts were ever under way at once. */
export class PlainReceiver {
  readonly #host: string;
  readonly #port: number;
  /** What every request to it begins with. */
  readonly #head: string;
  readonly #all = new Set<KeptConnection>();
  readonly #free: KeptConnection[] = [];

  constructor(uri: string) {
    const { hostname, port, host, pathname, search } = new URL(uri);
    this.#host = hostname.replace(/^\[(.*)\]$/, '$1');
    this.#port = port === '' ? 80 : Number(port);
    this.#head = `POST ${pathname}${search} HTTP/1.1\r\nHost: ${host}\r\nConnection: keep-alive\r\n`;
  }

  send({ headers, body, timeoutMs }: Post): Promise<PostAnswer> {
    let head = this.#head;
    for (const name in headers) head += `${name}: ${headers[name]}\r\n`;
    // The newest first: old ones fall idle, and the receiver ends them.
    const connection = this.#free.pop() ?? this.#connect();
    return connection.ask(`${head}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`, timeoutMs);
  }

  close(): void {
    for (const connection of this.#all) connection.end();
  }

  #connect(): KeptConnection {
    const connection = new KeptConnection(this.#host, this.#port, {
      freed: (kept) => this.#free.push(kept),
      ended: (kept) => {
        this.#all.delete(kept);
        const at = this.#free.indexOf(kept);
        if (at !== -1) this.#free.splice(at, 1);
      },
    });
    this.#all.add(connection);
    return connection;
  }
}
