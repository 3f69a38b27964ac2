import { parentPort } from 'node:worker_threads';

/** Listens, as far as it says, and dies of the first message, in the way that its channels are called. */
parentPort?.on('message', (message: { readonly open: ReadonlyMap<string, string> }) => {
  if (message.open.has('throws')) throw new Error('died of a message');
  process.exit(0);
});
parentPort?.postMessage({ kind: 'listening', host: '127.0.0.1', port: 1 });
