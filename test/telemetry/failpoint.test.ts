import { afterEach, expect, test } from 'vitest';
import { armFailpoints, failpoint } from '../../src/telemetry/failpoint.ts';

afterEach(() => {
  armFailpoints(undefined, false);
});

test.each([
  'inbox-added',
  'nowhere@1=kill',
  'inbox-added@1=explode',
  'inbox-added@x=kill',
  'inbox-added@1=delay',
])('refuses the specification %j', (specification) => {
  expect(armFailpoints(specification, false)).toMatchObject({ kind: 'refused' });
  expect(failpoint('inbox-added')).toBeUndefined();
});

test('refuses to be armed in production', () => {
  expect(armFailpoints('inbox-added@1=throw', true)).toMatchObject({ kind: 'refused' });
  expect(failpoint('inbox-added')).toBeUndefined();
});

test('does nothing unless armed', () => {
  expect(armFailpoints('', false)).toEqual({ kind: 'inert' });
  expect(failpoint('ledger-applied')).toBeUndefined();
});

test('acts on the named pass of the named place only', async () => {
  expect(armFailpoints('inbox-added@2=throw, ledger-applied@*=throw', false)).toEqual({ kind: 'armed' });
  await failpoint('inbox-added');
  await failpoint('webhook-read');
  await expect(failpoint('inbox-added')).rejects.toThrow('failpoint inbox-added');
  await failpoint('inbox-added');
  await expect(failpoint('ledger-applied')).rejects.toThrow();
  await expect(failpoint('ledger-applied')).rejects.toThrow();
});
