import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { loadConfig } from '../../src/config/load-config.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'sm-config-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const channel = (id: string, more = '') => `
  - id: ${id}
    platform: amazon
    sellerId: A1EXAMPLE
    marketplaceIds: [ATVPDKIKX0DER]
    region: na
    credentials: { clientId: c, clientSecret: env:SECRET, refreshToken: env:REFRESH }
${more}`;

function load(channels: string) {
  const file = join(dir, 'stockmesh.yaml');
  writeFileSync(file, `merchant: acme\nchannels:${channels}`);
  return loadConfig(file, { SECRET: 'canary-secret', REFRESH: 'canary-refresh' });
}

const queue = (arn: string) =>
  `    queue: { url: 'https://sqs.us-east-1.amazonaws.com/1/q', arn: '${arn}' }\n`;

test.each([
  ['a FIFO queue', queue('arn:aws:sqs:us-east-1:1:q.fifo'), 'queue.arn'],
  ['an arn that is none', queue('q'), 'queue.arn'],
  ['a header that is kept with the delivery', '    webhookHeader: x-secret\n', 'webhookHeader'],
  ['no marketplace', '    marketplaceIds: []\n', 'marketplaceIds'],
  ['a plain address', '    baseUrl: http://amazon.example\n', 'baseUrl'],
])('%s is refused', (_what, wrong, path) => {
  const text = wrong.includes('marketplaceIds')
    ? channel('a').replace('marketplaceIds: [ATVPDKIKX0DER]', 'marketplaceIds: []')
    : channel('a', wrong);
  expect(() => load(text)).toThrow(`channels[0].${path}`);
});

test('one account twice is refused: each of its orders would count twice', () => {
  expect(() => load(channel('a') + channel('b'))).toThrow(
    'channels[1].sellerId is the sellerId of channels[0]',
  );
});

test("only the seller's own place counts, unless it is said otherwise", () => {
  const [found] = load(channel('a')).channels;
  expect(found).toMatchObject({
    locations: { DEFAULT: ['main'] },
    restoreOnCancel: 'byReason',
    poll: { intervalMs: 180_000, indexLagMs: 150_000 },
    timing: { applyGraceMs: 900_000 },
  });
});
