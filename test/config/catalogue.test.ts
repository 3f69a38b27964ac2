import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { catalogueRules } from '../../src/config/catalogue.ts';
import { loadConfig } from '../../src/config/load-config.ts';
import { policyLayers } from '../../src/config/policy-layers.ts';
import { Catalogue } from '../../src/domain/catalogue.ts';
import type { Sku } from '../../src/domain/ids.ts';
import { PolicyBook } from '../../src/domain/policy-book.ts';

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'sm-catalogue-'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const shop = `
channels:
  - id: a
    platform: shopify
    shop: a.myshopify.com
    credentials: { kind: static, accessToken: env:TOKEN }
    webhookSecrets: [env:TOKEN]
`;

function load(yaml: string): ReturnType<typeof loadConfig> {
  const file = join(dir, 'stockmesh.yaml');
  writeFileSync(file, `merchant: acme\n${yaml}`);
  return loadConfig(file, { TOKEN: 'x' });
}

test.each([
  [
    'a category that an earlier one hides',
    "catalogue: { categories: [{ name: all, skus: ['A-*'] }, { name: one, skus: [B, A-1] }] }",
    'catalogue.categories[1].skus[1]',
  ],
  [
    'two categories of one name',
    'catalogue: { categories: [{ name: x, skus: [A] }, { name: x, skus: [B] }] }',
    'catalogue.categories[1].name',
  ],
  [
    'backorders of what is discontinued',
    'catalogue: { default: { backorder: { maxUnits: 3 } }, categories: [{ name: x, skus: [A], discontinued: true }] }',
    'catalogue.categories[0].discontinued',
  ],
  [
    'backorder and preorder at once',
    'catalogue: { default: { backorder: { maxUnits: 3 }, preorder: { maxUnits: 1 } } }',
    'catalogue.default.preorder',
  ],
  ['a substitute of itself', 'catalogue: { substitutes: { A: [B, A] } }', 'catalogue.substitutes["A"]'],
  ['a bundle of itself', 'catalogue: { bundles: { A: { A: 1 } } }', 'catalogue.bundles["A"]["A"]'],
  [
    'a bundle of a bundle',
    'catalogue: { bundles: { A: { B: 1 }, B: { C: 2 } } }',
    'catalogue.bundles["A"]["B"]',
  ],
  ['an empty bundle', 'catalogue: { bundles: { A: {} } }', 'catalogue.bundles["A"]'],
  ['half a component', 'catalogue: { bundles: { A: { B: 0.5 } } }', 'catalogue.bundles.A.B'],
  [
    'an end above the cap',
    `${shop}    policy: { endWhenUnits: 9 }\npolicies: { default: { capUnits: 8 } }`,
    'channels[0].policy.endWhenUnits',
  ],
  [
    'a buffer and an oversell allowance, far apart',
    `${shop}    rules: [{ skus: [A-1], policy: { oversellUnits: 2 } }]\ncatalogue: { categories: [{ name: x, skus: ['A-*'], policy: { bufferUnits: 1 } }] }`,
    'channels[0].rules[0].policy.oversellUnits',
  ],
  [
    'a rule that an earlier one hides',
    `${shop}    rules: [{ skus: ['*'], policy: { capUnits: 1 } }, { skus: [A], policy: { capUnits: 2 } }]`,
    'channels[0].rules[1].skus[0]',
  ],
  ['a chain of aliases', `${shop}    aliases: { A: B, B: C }`, 'channels[0].aliases["A"]'],
])('%s is refused with its path', (_what, yaml, path) => {
  expect(() => load(yaml)).toThrowError(path);
});

test('what may be said is understood', () => {
  const config = load(`${shop}    policy: { bufferUnits: 1 }
    rules: [{ skus: [A-9], policy: { oversellUnits: 3, bufferUnits: 0 } }]
catalogue:
  categories: [{ name: scarce, skus: ['A-*'], lowStockUnits: 2, policy: { bufferUnits: 5 } }]
  bundles: { KIT: { A-1: 2, B: 1 } }
  substitutes: { A-1: [A-2] }`);
  const catalogue = new Catalogue(catalogueRules(config.catalogue));
  expect(catalogue.termsOf('A-1' as Sku)).toMatchObject({ lowStockUnits: 2, substitutes: ['A-2'] });
  expect(catalogue.componentsOf('KIT' as Sku)).toEqual([
    { sku: 'A-1', units: 2 },
    { sku: 'B', units: 1 },
  ]);
  const [channel] = config.channels;
  if (channel === undefined) throw new Error('no channel');
  const book = new PolicyBook(policyLayers(config, channel, 0));
  expect(['B', 'A-1', 'A-9'].map((sku) => book.of(sku as Sku).policy.bufferUnits)).toEqual([1, 5, 0]);
  expect(book.of('A-9' as Sku).policy.oversellUnits).toBe(3);
});
