import { expect, test } from 'vitest';
import { alertsSchema } from '../../src/config/alerts-schema.ts';
import { alertRuleNames } from '../../src/domain/alert-rule.ts';
import { readProjectFile, tableRows } from '../style/source-tree.ts';

const schema = alertsSchema({
  env: { HOOK: 'https://chat.example/services/T0/B0', SECRET: 'whsec_c2VjcmV0' },
  directory: '.',
  allowLooseFiles: false,
});
const mail = { host: 'smtp.acme.example', from: 'a@acme.example', to: ['b@acme.example'] };

test.each([
  ['an address over plain http', { webhooks: [{ url: 'http://pager.acme.example/x' }] }],
  ['two webhooks of one name', { webhooks: [{ url: 'env:HOOK' }, { url: 'env:HOOK' }] }],
  ['a reference to nothing', { webhooks: [{ url: 'env:NOTHING' }] }],
  ['mail in the clear to another machine', { mail: { ...mail, security: 'none' } }],
  ['mail to nobody', { mail: { ...mail, to: [] } }],
  ['a password written in place', { mail: { ...mail, password: 'hunter2hunter2' } }],
  ['a rule that is none', { off: ['high-stock'] }],
])('refuses %s', (_what, alerts) => {
  const refused = schema.safeParse(alerts);
  expect(refused.success).toBe(false);
  expect(JSON.stringify(refused.error?.issues)).not.toContain('hunter2');
});

test('an address is a credential wherever it is written', () => {
  const { webhooks } = schema.parse({
    webhooks: [
      { url: 'env:HOOK', format: 'text' },
      { name: 'pager', url: 'https://pager.example/a?key=1', signingSecret: 'env:SECRET' },
    ],
    mail,
  });
  expect(webhooks.map(({ url }) => url.reveal())).toEqual([
    'https://chat.example/services/T0/B0',
    'https://pager.example/a?key=1',
  ]);
  expect(JSON.stringify(webhooks)).not.toContain('pager.example');
});

test('docs/operations.md lists every alert rule, and no other', () => {
  const documented = tableRows(readProjectFile('docs/operations.md'), '## Alerts')
    .map(([name]) => (name ?? '').replaceAll('`', ''))
    .filter((name) => name !== 'Rule' && !name.startsWith('---'));
  expect(documented.toSorted()).toEqual(alertRuleNames.toSorted());
});
