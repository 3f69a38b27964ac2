#!/usr/bin/env node
import { parseArgs } from 'node:util';
import { describeSeller } from './http/control-routes.ts';
import { startAmazonSandbox } from './server.ts';

/** Runs the sandbox alone: `node sandbox/amazon/main.ts --port 4020 --seller A1EXAMPLE --queue orders`. */
const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '4020' },
    seed: { type: 'string', default: '1' },
    seller: { type: 'string', multiple: true, default: [] },
    queue: { type: 'string', multiple: true, default: [] },
  },
});

const sandbox = await startAmazonSandbox({
  port: Number(values.port),
  seed: Number(values.seed),
  isControlEnabled: true,
  sellers: values.seller.map((sellerId) => ({ sellerId })),
  queues: values.queue,
});

// One JSON line, so a parent process can wait for it and read the credentials of the sellers it asked for.
console.log(
  JSON.stringify({
    url: sandbox.url,
    control: `${sandbox.url}/_control`,
    sellers: [...sandbox.sellers.values()].map(describeSeller),
    queues: [...sandbox.sqs.queues.values()].map(({ name, arn, url }) => ({ name, arn, url })),
  }),
);

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void sandbox.stop());
