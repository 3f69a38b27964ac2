#!/usr/bin/env node
import { parseArgs } from 'node:util';
import { describeAccount } from './control-routes.ts';
import { startWmsSandbox } from './server.ts';

/** Runs the sandbox alone: `node sandbox/wms/main.ts --port 4040 --shiphero north --shipbob south`. */
const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '4040' },
    seed: { type: 'string', default: '1' },
    shiphero: { type: 'string', multiple: true, default: [] },
    shipbob: { type: 'string', multiple: true, default: [] },
  },
});

const sandbox = await startWmsSandbox({
  port: Number(values.port),
  isControlEnabled: true,
  warehouses: [
    ...values.shiphero.map((name) => ({ name, kind: 'shiphero' as const, seed: Number(values.seed) })),
    ...values.shipbob.map((name) => ({ name, kind: 'shipbob' as const, seed: Number(values.seed) })),
  ],
});

// One JSON line, so a parent process can wait for it and read the credentials of the warehouses it asked for.
console.log(
  JSON.stringify({
    url: sandbox.url,
    control: `${sandbox.url}/_control`,
    warehouses: [...sandbox.accounts.values()].map(describeAccount),
  }),
);

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void sandbox.stop());
