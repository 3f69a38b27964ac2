#!/usr/bin/env node
import { parseArgs } from 'node:util';
import { credentialsOf } from './control-routes.ts';
import { startTiktokSandbox } from './server.ts';

/** Runs the sandbox alone: `node sandbox/tiktok/main.ts --port 4030 --shop 7494049642642441621`. */
const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '4030' },
    seed: { type: 'string', default: '1' },
    shop: { type: 'string', multiple: true, default: [] },
  },
});

const sandbox = await startTiktokSandbox({
  port: Number(values.port),
  seed: Number(values.seed),
  isControlEnabled: true,
  shops: values.shop.map((id) => ({ id })),
});

// One JSON line, so a parent process can wait for it and read the credentials of the shops it asked for.
console.log(
  JSON.stringify({
    url: sandbox.url,
    control: `${sandbox.url}/_control`,
    shops: [...sandbox.shops.values()].map((shop) => credentialsOf(shop)),
  }),
);

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void sandbox.stop());
