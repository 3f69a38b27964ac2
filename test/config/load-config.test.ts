import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { configJsonSchema } from '../../src/config/json-schema.ts';
import { describeConfig, loadConfig } from '../../src/config/load-config.ts';
import { policyLayers } from '../../src/config/policy-layers.ts';
import { StockmeshError } from '../../src/domain/errors.ts';
import type { Sku } from '../../src/domain/ids.ts';
import type { ChannelPolicy } from '../../src/domain/policy.ts';
import { PolicyBook } from '../../src/domain/policy-book.ts';
import { Secret } from '../../src/domain/secret.ts';

const canary = 'canary-5f1c0d9a';
const repository = join(import.meta.dirname, '../..');

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'sm-config-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const channel = `
  - id: a
    platform: shopify
    shop: a.myshopify.com
    credentials: { kind: static, accessToken: env:TOKEN }
    webhookSecrets: [env:HOOK]
`;
const smallest = `merchant: acme\nchannels:${channel}`;
const env = { TOKEN: canary, HOOK: `${canary}-hook` };

function load(yaml: string, variables: Record<string, string> = env): ReturnType<typeof loadConfig> {
  const file = join(dir, 'stockmesh.yaml');
  writeFileSync(file, yaml);
  return loadConfig(file, variables);
}

function policyOf(config: ReturnType<typeof loadConfig>, sku = 'any'): ChannelPolicy {
  const [first] = config.channels;
  if (first === undefined) throw new Error('no channel');
  return new PolicyBook(policyLayers(config, first, 0)).of(sku as Sku).policy;
}

function refusal(yaml: string, variables: Record<string, string> = env): StockmeshError {
  try {
    load(yaml, variables);
  } catch (error) {
    if (error instanceof StockmeshError) return error;
    throw error;
  }
  throw new Error('the configuration was accepted');
}

describe('refused, with the path of the key and no value', () => {
  test.each([
    ['an unknown key', `${smallest}colour: red\n`, 'colour is not a known key'],
    [
      'an unknown nested key',
      `${smallest}http: { public: { prot: 1 } }\n`,
      'http.public.prot is not a known key',
    ],
    ['a missing key', 'channels: []\n', 'merchant is missing'],
    ['an empty file', '', 'merchant is missing'],
    ['a list', '- a\n', 'the file invalid input: expected object'],
    ['a merchant with capitals', smallest.replace('acme', 'Acme'), 'merchant '],
    [
      'an unknown platform',
      smallest.replace('shopify', 'etsy'),
      'channels[0].platform is missing or is none',
    ],
    ['a duplicate channel id', `${smallest}${channel}`, 'channels[1].id is the id of channels[0] too'],
    [
      'a shop used twice',
      `${smallest}${channel.replace('id: a', 'id: b')}`,
      'channels[1].shop is the shop of',
    ],
    ['a port used twice', `${smallest}http: { public: { port: 8081 } }\n`, 'http.private.port is the port'],
    [
      'a duplicate location',
      `${smallest}locations: [{ id: x }, { id: x }]\n`,
      'locations[1].id is the id of',
    ],
    [
      'several locations, none mapped',
      `${smallest}locations: [{ id: x }, { id: y }]\n`,
      'channels[0].locations is needed',
    ],
    ['a role nobody could play', `${smallest}roles: [ingest]\n`, 'roles lacks publish, reconcile, api'],
    [
      'reconcile without publish',
      `${smallest}roles: [ingest, reconcile, api]\nredis: { url: 'redis://127.0.0.1:1' }\n`,
      'roles has reconcile without publish',
    ],
    ['a role twice', `${smallest}roles: [api, api]\n`, 'roles names api twice'],
    [
      'SKUs from nowhere',
      `${smallest}catalogue: { skusFrom: nowhere }\n`,
      'catalogue.skusFrom names the channel nowhere',
    ],
    [
      'an unknown authority',
      `${smallest}locations: [{ id: x, authority: 'channel:wms' }]\n`,
      'locations[0].authority names',
    ],
    [
      'an authority that is no warehouse',
      `${smallest}locations: [{ id: x, authority: 'channel:a' }]\n`,
      'locations[0].authority names a, which is no warehouse',
    ],
    [
      'an unknown mapped location',
      `${smallest}    locations: { '1': [nowhere] }\n`,
      'channels[0].locations["1"] names nowhere',
    ],
    [
      'a platform location that is none',
      `${smallest}    locations: { 'x y': [main] }\n`,
      'channels[0].locations',
    ],
    [
      'a share above 100',
      `${smallest}    policy: { sharePercent: 101 }\n`,
      'channels[0].policy.sharePercent',
    ],
    ['a fraction', `${smallest}    policy: { bufferUnits: 1.5 }\n`, 'channels[0].policy.bufferUnits'],
    [
      'plain http elsewhere',
      `${smallest}    baseUrl: http://shop.example\n`,
      'channels[0].baseUrl must be https',
    ],
    [
      'a host that only looks local',
      `${smallest}    baseUrl: http://127.0.0.1.example\n`,
      'channels[0].baseUrl must be https',
    ],
    [
      'a password in an address',
      `${smallest}    baseUrl: https://u:${canary}@shop.example\n`,
      'channels[0].baseUrl must hold no user',
    ],
    [
      'a password in the Redis address',
      `${smallest}redis: { url: 'redis://:${canary}@r:6379' }\n`,
      'redis.url must be',
    ],
    [
      'a Redis password without address',
      `${smallest}redis: { password: env:TOKEN }\n`,
      'redis.password is for a Redis of your own',
    ],
    [
      'a third webhook secret',
      smallest.replace('[env:HOOK]', '[env:HOOK, env:HOOK, env:HOOK]'),
      'channels[0].webhookSecrets',
    ],
    [
      'a foreign shop without baseUrl',
      smallest.replace('a.myshopify.com', 'a.example.com'),
      'channels[0].shop must be',
    ],
  ])('%s', (_name, yaml, message) => {
    const error = refusal(yaml);
    expect(error.code).toBe('CONFIG_INVALID');
    expect(error.message).toContain(message);
    expect(inspect(error, { depth: 9 })).not.toContain(canary);
  });

  test('a missing secret, and every other problem of the file at once', () => {
    const { message } = refusal(`${smallest}colour: red\n`, { HOOK: 'x' });
    expect(message).toContain('channels[0].credentials.accessToken environment variable TOKEN is not set');
    expect(message).toContain('colour is not a known key');
  });

  test('a credential written in place is not repeated', () => {
    const error = refusal(smallest.replace('env:TOKEN', canary));
    expect(error.message).toContain('channels[0].credentials.accessToken must be a reference');
    expect(inspect(error, { depth: 9 })).not.toContain(canary);
  });

  test.each([
    ['broken YAML', `merchant: [${canary}\n`, 'line 2'],
    ['a key twice', `merchant: ${canary}\nmerchant: b\n`, 'duplicate key at line 2'],
    ['an alias', `merchant: &x ${canary}\nlogLevel: *x\n`, 'an alias'],
    ['a number that would change', `${smallest}    locations: { 271878346596884015: [main] }\n`, 'in quotes'],
  ])('%s names the place only', (_name, yaml, message) => {
    const error = refusal(yaml);
    expect(error.code).toBe('CONFIG_UNREADABLE');
    expect(error.message).toContain(message);
    expect(inspect(error, { depth: 9 })).not.toContain(canary);
  });

  test('a file that is not there', () => {
    expect(() => loadConfig(join(dir, 'none.yaml'), {})).toThrow(/none\.yaml cannot be read: ENOENT/);
  });

  test.each([0o644, 0o640, 0o604])('a secret file with mode %o', (mode) => {
    const file = join(dir, 'token');
    writeFileSync(file, canary);
    chmodSync(file, mode);
    const error = refusal(smallest.replace('env:TOKEN', 'file:token'));
    expect(error.message).toContain('channels[0].credentials.accessToken file');
    expect(error.message).toContain('can be read by others');
    const config = load(`${smallest.replace('env:TOKEN', 'file:token')}allowLooseSecretFiles: true\n`);
    expect(config.channels[0]).toMatchObject({ credentials: { kind: 'static' } });
  });
});

test('the API is not offered to other machines without TLS, unless that is said', () => {
  const open = `${smallest}http: { private: { host: 0.0.0.0 } }\n`;
  expect(refusal(open).message).toContain('http.private.host');
  expect(load(open.replace('0.0.0.0', '0.0.0.0, allowPlainHttp: true')).http.private.host).toBe('0.0.0.0');
});

test('a hold may not live longer by default than at most, nor take from a place that is none', () => {
  const wrong = `${smallest}reservations: { locations: [nowhere], stages: { cart: { maxTtlMs: 1000 } } }\n`;
  const { message } = refusal(wrong);
  expect(message).toContain('reservations.locations[0]');
  expect(message).toContain('reservations.stages.cart.defaultTtlMs');
});

test('the smallest configuration is complete', () => {
  const config = load(smallest);
  expect(config.dataDir).toBe(join(dir, '.stockmesh/acme'));
  expect(config.redis).toEqual({ durability: 'always' });
  expect(config.http).toEqual({
    public: { host: '0.0.0.0', port: 8080 },
    private: { host: '127.0.0.1', port: 8081, allowPlainHttp: false },
  });
  expect(config.locations).toEqual([{ id: 'main', authority: 'ledger', pickLagMs: 0 }]);
  expect(config.channels[0]).toMatchObject({
    id: 'a',
    mode: 'observe',
    locations: { '*': ['main'] },
    openingFigure: 'available',
    policy: {},
    rules: [],
  });
});

test('secrets are resolved from the environment and from files, without their last newline', () => {
  mkdirSync(join(dir, 'secrets'));
  writeFileSync(join(dir, 'secrets/token'), `${canary}-file\n`, { mode: 0o600 });
  const config = load(smallest.replace('env:TOKEN', 'file:secrets/token'));
  const [shop] = config.channels;
  const credentials = shop?.platform === 'shopify' ? shop.credentials : undefined;
  expect(credentials?.kind === 'static' && credentials.accessToken.reveal()).toBe(`${canary}-file`);
  expect(shop?.webhookSecrets.map((secret) => secret.reveal())).toEqual([`${canary}-hook`]);
});

test('plain http is accepted for this machine, and the global id of a location means its number', () => {
  for (const baseUrl of ['http://127.0.0.1:4010', 'http://localhost:4010', 'http://[::1]:4010']) {
    const config = load(
      `${smallest}    baseUrl: ${baseUrl}/\n    locations: { 'gid://shopify/Location/7': [main] }\n`,
    );
    expect(config.channels[0]?.baseUrl).toBe(baseUrl);
    expect(config.channels[0]?.locations).toEqual({ '7': ['main'] });
  }
});

test("a channel's policy takes over what it does not say from policies.default", () => {
  const config = load(
    `${smallest}    policy: { bufferUnits: 2 }\npolicies: { default: { bufferUnits: 9, capUnits: 50 } }\n`,
  );
  expect(policyOf(config)).toMatchObject({ sharePercent: 100, bufferUnits: 2, capUnits: 50 });
});

test('a TikTok channel is capped at what TikTok can show, and its warehouses may be all of them', () => {
  const tiktok = `merchant: acme
channels:
  - id: t
    platform: tiktok
    shop: '7494049642642441621'
    credentials: { kind: auth-code, appKey: key, appSecret: env:HOOK, authCode: env:TOKEN }
`;
  expect(load(tiktok).channels[0]).toMatchObject({
    locations: { '*': ['main'] },
    otherWarehouses: 'refuse',
    soldOut: 'zero',
  });
  expect(policyOf(load(tiktok)).capUnits).toBe(99_999);
  expect(policyOf(load(`${tiktok}policies: { default: { capUnits: 50 } }\n`)).capUnits).toBe(50);
  expect(refusal(tiktok.replace("'7494049642642441621'", '7494049642642441621')).message).toContain(
    'in quotes',
  );
  expect(refusal(tiktok.replace('authCode', 'refreshToken')).message).toContain('channels[0].credentials');
});

test('no way of printing the configuration shows a secret', () => {
  const config = load(smallest);
  const printed = [
    describeConfig(config),
    JSON.stringify(config),
    inspect(config, { depth: 99, showHidden: true }),
    String(config.channels[0]?.webhookSecrets[0]),
    `a ${String(new Secret(canary))}`,
    JSON.stringify(Object.assign({}, new Secret(canary))),
    inspect(structuredClone(new Secret(canary))),
  ];
  for (const text of printed) expect(text).not.toContain(canary);
  expect(describeConfig(config)).toContain('accessToken: "[redacted]"');
});

test('the example loads, and shows the defaults as they are', () => {
  const example = readFileSync(join(repository, 'config/stockmesh.example.yaml'), 'utf8');
  mkdirSync(join(dir, 'secrets'));
  writeFileSync(join(dir, 'secrets/acme-us.token'), 'x', { mode: 0o600 });
  const names = [
    'ACME_EU_CLIENT_SECRET',
    'ACME_US_SECRET',
    'ACME_US_SECRET_BEFORE',
    'ACME_TIKTOK_APP_SECRET',
    'ACME_TIKTOK_REFRESH_TOKEN',
    'ACME_AMAZON_CLIENT_SECRET',
    'ACME_AMAZON_REFRESH_TOKEN',
    'ACME_AWS_SECRET_ACCESS_KEY',
  ];
  const variables = Object.fromEntries(names.map((name) => [name, name.toLowerCase()]));
  const config = load(example, variables);
  const defaults = load('merchant: acme\n', {});
  expect({
    ...config,
    channels: [],
    http: {},
    locations: [],
    catalogue: {},
    reconcile: {},
    policies: {},
  }).toEqual({
    ...defaults,
    channels: [],
    catalogue: {},
    http: {},
    locations: [],
    reconcile: {},
    policies: {},
  });
  expect(config.channels[1]?.locations).toEqual({ '*': ['main'] });
});

test('config/stockmesh.schema.json is up to date (scripts/generate-config-schema.ts)', () => {
  const checkedIn: unknown = JSON.parse(
    readFileSync(join(repository, 'config/stockmesh.schema.json'), 'utf8'),
  );
  expect(checkedIn).toEqual(configJsonSchema());
});
