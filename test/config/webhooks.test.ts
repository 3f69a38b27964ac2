import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { loadConfig } from '../../src/config/load-config.ts';

const good = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
const env = {
  HOOK: good,
  SHORT: `whsec_${Buffer.alloc(8).toString('base64')}`,
  BARE: 'hunter2-hunter2-hunter2',
};

let dir: string;
beforeEach(() => (dir = mkdtempSync(join(tmpdir(), 'sm-config-'))));
afterEach(() => rmSync(dir, { recursive: true }));

function load(...endpoints: readonly object[]) {
  const file = join(dir, 'stockmesh.yaml');
  const rows = endpoints.map((row) => ({
    id: 'a',
    url: 'https://shop.example/hook',
    secrets: ['env:HOOK'],
    ...row,
  }));
  writeFileSync(file, JSON.stringify({ merchant: 'm', webhooks: { endpoints: rows } }));
  return loadConfig(file, env).webhooks.endpoints;
}

test.each([
  [{ url: 'http://shop.example/hook' }, /endpoints\[0\]\.url must be https/],
  [{ url: 'ftp://shop.example/hook' }, /endpoints\[0\]\.url must be an https/],
  [{ url: 'https://user:pass@shop.example/' }, /no user name/],
  [{ url: 'not an address' }, /endpoints\[0\]\.url/],
  [{ secrets: [] }, /endpoints\[0\]\.secrets/],
  [{ secrets: ['env:HOOK', 'env:HOOK', 'env:HOOK'] }, /endpoints\[0\]\.secrets/],
  [{ secrets: ['env:SHORT'] }, /secrets\[0\] must be whsec_/],
  [{ secrets: [good] }, /must be a reference/],
  [{ types: ['hold.lost'] }, /endpoints\[0\]\.types\[0\]/],
  [{ id: 'A b' }, /endpoints\[0\]\.id/],
  [{ targets: [] }, /endpoints\[0\]\.targets is not a known key/],
])('%j is refused', (row, problem) => {
  expect(() => load(row)).toThrow(problem);
  expect(() => load(row)).not.toThrow(/hunter2|whsec_BwcH/);
});

test('a secret that is none is not repeated', () => {
  expect(() => load({ secrets: ['env:BARE'] })).toThrow(/whsec_/);
  expect(() => load({ secrets: ['env:BARE'] })).not.toThrow(/hunter2/);
});

test('two endpoints of one id are refused', () => {
  expect(() => load({}, { url: 'https://other.example' })).toThrow(/different ids/);
});

test('https, this machine, and plain http where it is allowed', () => {
  expect(load({})[0]?.types).toEqual([]);
  expect(load({ url: 'http://127.0.0.1:9/x' })[0]?.url).toBe('http://127.0.0.1:9/x');
  expect(load({ url: 'http://internal.example/x', allowPlainHttp: true })).toHaveLength(1);
});
