import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface FaultProxy {
  /** Where the proxy listens: a unix socket. */
  readonly path: string;
  /** Lets `bytes` more bytes of replies through, then cuts that connection: what was sent is applied, unanswered. */
  cutRepliesAfter(bytes: number): void;
  /** Passes nothing on in either direction and closes nothing: a half-open connection. New ones work. */
  freeze(): void;
  /** Refuses new connections and cuts the present ones until `restore`. */
  refuse(): void;
  restore(): void;
  close(): Promise<void>;
}

/** Stands between a client and a server on unix sockets and breaks what is asked of it. */
export async function startFaultProxy(target: string): Promise<FaultProxy> {
  const dir = await mkdtemp(join(tmpdir(), 'sm-proxy-'));
  const path = join(dir, 'proxy.sock');
  const pairs = new Set<{ readonly client: Socket; readonly server: Socket; isFrozen: boolean }>();
  let repliesLeft = Number.POSITIVE_INFINITY;
  let isRefusing = false;

  const listener = createServer((client) => {
    if (isRefusing) {
      client.destroy();
      return;
    }
    const server = connect(target);
    const pair = { client, server, isFrozen: false };
    pairs.add(pair);
    const end = (): void => {
      pairs.delete(pair);
      client.destroy();
      server.destroy();
    };
    client.on('data', (chunk: Buffer) => pair.isFrozen || server.write(chunk));
    server.on('data', (chunk: Buffer) => {
      if (pair.isFrozen) return;
      const passed = chunk.subarray(0, Math.min(chunk.length, repliesLeft));
      repliesLeft -= passed.length;
      if (passed.length > 0) client.write(passed);
      if (passed.length === chunk.length) return;
      repliesLeft = Number.POSITIVE_INFINITY;
      end();
    });
    for (const socket of [client, server]) {
      socket.on('error', end);
      socket.on('close', end);
    }
  });
  await new Promise<void>((resolve) => listener.listen(path, resolve));

  const cutAll = (): void => {
    for (const pair of pairs) {
      pair.client.destroy();
      pair.server.destroy();
    }
  };
  return {
    path,
    cutRepliesAfter(bytes) {
      repliesLeft = bytes;
    },
    freeze() {
      for (const pair of pairs) pair.isFrozen = true;
    },
    refuse() {
      isRefusing = true;
      cutAll();
    },
    restore() {
      isRefusing = false;
    },
    async close() {
      cutAll();
      await new Promise((resolve) => listener.close(resolve));
      await rm(dir, { recursive: true, force: true });
    },
  };
}
