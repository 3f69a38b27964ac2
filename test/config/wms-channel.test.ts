import { readFileSync, readdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { loadConfig } from '../../src/config/load-config.ts';
import { createWmsConnector } from '../../src/connectors/wms/wms-connector.ts';
import { StockmeshError } from '../../src/domain/errors.ts';
import { MemoryLimiter, MemoryLog, MemoryTokens } from '../connectors/shopify/parts.ts';

const examples = join(import.meta.dirname, '../../config/examples');

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'sm-wms-config-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

/** Every `env:NAME` of the text has a value. */
const environmentOf = (text: string): Record<string, string> =>
  Object.fromEntries([...text.matchAll(/env:([A-Z_]+)/g)].map(([, name]) => [name ?? '', 'c2VjcmV0']));

function load(text: string) {
  const file = join(dir, 'stockmesh.yaml');
  writeFileSync(file, text);
  return loadConfig(file, environmentOf(text));
}

function refusal(text: string): string {
  try {
    load(text);
  } catch (error) {
    if (error instanceof StockmeshError) return error.message;
    throw error;
  }
  throw new Error('the configuration was accepted');
}

const smallest = (location: string, channel: string): string => `
merchant: acme
locations:
  - { id: main, authority: '${location}' }
channels:
  - id: wms
    platform: wms
    connection: { kind: shipbob, accessToken: env:TOKEN }
${channel}`;

describe('refused', () => {
  test.each([
    ["a location that is not the warehouse's to count", smallest('ledger', ''), 'must be channel:wms'],
    [
      'an owner that does not count the location',
      smallest('channel:wms', '    locations: { A: [other] }').replace(
        'locations:\n',
        "locations:\n  - { id: other, authority: 'channel:wms' }\n",
      ),
      'locations[1].authority names wms, whose locations do not have main',
    ],
    [
      'a place that is two locations of ours',
      smallest('channel:wms', '    locations: { A: [main, main] }'),
      'channels[0].locations',
    ],
    [
      'two places for one location',
      smallest('channel:wms', '    locations: { A: [main], B: [main] }'),
      'two places for main',
    ],
    [
      'an available figure',
      smallest('channel:wms', '').replace(
        '{ kind: shipbob, accessToken: env:TOKEN }',
        '{ kind: csv, from: { kind: directory, path: /in }, map: { sku: a, onHand: b, available: c } }',
      ),
      'must not be mapped',
    ],
    [
      'SFTP that trusts any host key',
      smallest('channel:wms', '').replace(
        '{ kind: shipbob, accessToken: env:TOKEN }',
        '{ kind: csv, from: { kind: sftp, host: h, username: u, password: env:P, path: /, hostKeys: [] }, map: { sku: a, onHand: b } }',
      ),
      'hostKeys',
    ],
    [
      'a credential in place',
      smallest('channel:wms', '').replace('env:TOKEN', 'hunter2'),
      'must be a reference',
    ],
    [
      'plain http to another machine',
      smallest('channel:wms', '    baseUrl: http://wms.example'),
      'must be https',
    ],
  ])('%s', (_, text, problem) => {
    const message = refusal(text);
    expect(message).toContain(problem);
    expect(message).not.toContain('hunter2');
  });
});

test('the smallest warehouse counts the only location', () => {
  const [channel] = load(smallest('channel:wms', '')).channels;
  expect(channel).toMatchObject({
    platform: 'wms',
    locations: { '*': ['main'] },
    offPeakIntervalMs: 300_000,
  });
});

test.each(readdirSync(examples).filter((name) => /^(?:odoo|extensiv|tryton|warehouses)\.yaml$/.test(name)))(
  'config/examples/%s is complete, and every warehouse in it can be built',
  (name) => {
    const { channels } = load(readFileSync(join(examples, name), 'utf8'));
    expect(channels.length).toBeGreaterThan(0);
    for (const channel of channels) {
      if (channel.platform !== 'wms') throw new Error(`${channel.id} is no warehouse`);
      const connector = createWmsConnector({
        connection: channel.connection,
        webhookSecrets: channel.webhookSecrets.map((secret) => secret.reveal()),
        limiter: new MemoryLimiter(),
        tokens: new MemoryTokens(),
        clock: { nowMs: () => Date.now() },
        log: new MemoryLog(),
      });
      expect(connector.capabilities.writes).toBe('none');
      expect('pollCounts' in connector).toBe(true);
    }
  },
);
