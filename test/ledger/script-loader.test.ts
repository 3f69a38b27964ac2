import { expect, test } from 'vitest';
import { readScripts } from '../../src/ledger/script-loader.ts';

const scripts = readScripts();

test('every epoch has SHAs of its own: a server taught another epoch does not know the script', () => {
  const one = scripts.stampedFor(1);
  const two = scripts.stampedFor(2);
  expect(one.size).toBeGreaterThan(0);
  for (const [name, script] of one) expect(two.get(name)?.sha).not.toBe(script.sha);
});

test('refuses what is no epoch', () => {
  for (const epoch of [0, -1, 1.5, Number.NaN, 2 ** 53]) {
    expect(() => scripts.stampedFor(epoch)).toThrow(RangeError);
  }
});

test('puts each include in once and keeps the shebang first', () => {
  for (const [name, { text }] of scripts.stampedFor(7)) {
    expect(text, name).toMatch(/^#!lua(?: flags=[a-z,-]+)?\nlocal EPOCH = 7\n/);
    expect(text, name).not.toMatch(/^--- @include/m);
    expect(text.split('local function ledgerCall(').length - 1, name).toBe(1);
  }
});

test('every script says what it is for, its keys, arguments, replies and invariant', () => {
  for (const [name, { text }] of [...scripts.stampedFor(7), ['open', { text: scripts.open }] as const]) {
    const header = text.split('\n').slice(1, 25).join('\n');
    for (const word of ['KEYS[1]', 'ARGV[1]', 'Returns', 'Invariant:']) expect(header, name).toContain(word);
  }
});

test('a replacement stands in for an include', () => {
  const changed = readScripts({ 'include/server-time.lua': 'local function serverTimeMs() return 5 end\n' });
  expect(changed.stampedFor(1).get('sweep')?.text).toContain('return 5 end');
  expect(changed.open).toContain('return 5 end');
});
