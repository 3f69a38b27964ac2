#!/usr/bin/env node
import { parseArgs } from 'node:util';
import { startShopifySandbox } from './server.ts';

/** Runs the sandbox alone: `node sandbox/shopify/main.ts --port 4010 --shop alpha.myshopify.com`. */
const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '4010' },
    seed: { type: 'string', default: '1' },
    shop: { type: 'string', multiple: true, default: [] },
  },
});

const sandbox = await startShopifySandbox({
  port: Number(values.port),
  seed: Number(values.seed),
  isControlEnabled: true,
  shops: values.shop.map((domain) => ({ domain })),
});

// One JSON line, so a parent process can wait for it and read the credentials of the shops it asked for.
console.log(
  JSON.stringify({
    url: sandbox.url,
    control: `${sandbox.url}/_control`,
    shops: [...sandbox.shops.values()].map((shop) => ({
      domain: shop.domain,
      baseUrl: shop.baseUrl,
      clientId: shop.tokens.app.clientId,
      clientSecret: shop.tokens.app.clientSecret,
      accessToken: shop.tokens.issueStatic(),
    })),
  }),
);

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void sandbox.stop());
