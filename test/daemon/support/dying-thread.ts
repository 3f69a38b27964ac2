import { parentPort } from 'node:worker_threads';

/** Listens, as far as it says, and dies of the next message, in the way that its channels are called. */
parentPort?.on(
  'message',
  (message: { readonly kind: string; readonly open?: ReadonlyMap<string, string> }) => {
    if (message.kind === 'listen')
      parentPort?.postMessage({ kind: 'listening', host: '127.0.0.1', port: 1 }, []);
    else if (message.open?.has('throws') === true) throw new Error('died of a message');
    else process.exit(0);
  },
);
