// The library's documented way to choose its runtime: an import for its side effect.
// oxlint-disable-next-line import/no-unassigned-import
import '@shopify/shopify-api/adapters/node';
import { ApiVersion, shopifyApi } from '@shopify/shopify-api';
import { setAbstractFetchFunc } from '@shopify/shopify-api/runtime';
import { expect, test } from 'vitest';
import { receiveWebhooks, setUp, subscribe } from './shopify-client.ts';

/** Shopify's own client insists on https and a real host; only its fetch is turned to the sandbox. */
test('the official client authenticates, queries and verifies webhooks against the sandbox', async () => {
  await using setup = await setUp({ clientId: 'id', clientSecret: 'secret' });
  await using receiver = await receiveWebhooks();
  setAbstractFetchFunc((url, init) => {
    const { pathname } = new URL(url instanceof Request ? url.url : url);
    return fetch(`${setup.shop.baseUrl}${pathname}`, init);
  });
  const shopify = shopifyApi({
    apiKey: 'id',
    apiSecretKey: 'secret',
    apiVersion: ApiVersion.October26,
    hostName: 'localhost',
    isEmbeddedApp: false,
    scopes: ['read_inventory'],
    logger: { log: () => {} },
  });
  const { session } = await shopify.auth.clientCredentials({ shop: 'alpha.myshopify.com' });
  const client = new shopify.clients.Graphql({ session });
  const answer = await client.request('query { shop { myshopifyDomain } }');
  expect(answer.data).toEqual({ shop: { myshopifyDomain: 'alpha.myshopify.com' } });

  await subscribe(setup.client, 'INVENTORY_LEVELS_UPDATE', receiver.url);
  setup.shop.addItem({ sku: 'a', quantities: 5 });
  setup.shop.editStock('a', 4);
  await setup.sandbox.webhooksIdle();
  const [webhook] = receiver.received;
  const validate = (rawBody: string) =>
    shopify.webhooks.validate({
      rawBody,
      rawRequest: { method: 'POST', url: '/hooks', headers: webhook?.headers },
      rawResponse: {},
    });
  const raw = webhook?.raw.toString() ?? '';
  expect(await validate(raw)).toMatchObject({ valid: true, topic: 'INVENTORY_LEVELS_UPDATE' });
  expect(await validate(raw.replace('4', '5'))).toMatchObject({ valid: false, reason: 'invalid_hmac' });
});
