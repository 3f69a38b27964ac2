import { shown, UsageError, type Verb, type VerbAnswer, type VerbContext } from './verb.ts';

export const keysVerb: Verb = {
  name: 'keys',
  usage: [
    ['keys', 'API keys, without their secrets'],
    [
      'keys create NAME',
      '--class agent|checkout|operator [--scope SCOPE ...] [--agent ID] [--days N]; the key is\n' +
        'printed this once. Without --agent an agent key stands for many agents',
    ],
    ['keys rotate ID', 'a new secret; the old one is taken for a day more (--grace-seconds N)'],
    ['keys revoke ID', 'refused at once here, within two seconds by other daemons'],
  ],
  options: {
    class: { type: 'string' },
    scope: { type: 'string', multiple: true },
    agent: { type: 'string' },
    days: { type: 'string' },
    'grace-seconds': { type: 'string' },
  },
  run: (context) => {
    const { daemon, args, options } = context;
    const [action, id] = args;
    if (action === undefined) return shown(daemon.get<{ keys: unknown }>('/keys').then(({ keys }) => keys));
    if (id === undefined || args.length > 2) return undefined;
    switch (action) {
      case 'create':
        return shown(daemon.post('/keys', creationOf(id, options)));
      case 'rotate': {
        const graceS = numberOf(options, 'grace-seconds');
        return shown(daemon.post('/keys/rotate', { id, ...(graceS === undefined ? {} : { graceS }) }));
      }
      case 'revoke':
        return shown(daemon.post('/keys/revoke', { id }));
      default:
        return undefined;
    }
  },
};

export const paymentsVerb: Verb = {
  name: 'payments',
  usage: [
    ['payments', 'holds that wait for a payment'],
    ['payments paid HOLD', 'the hold becomes an order (--order CHANNEL:ID)'],
    ['payments unpaid HOLD', 'the units are given back'],
  ],
  options: { order: { type: 'string' } },
  run: ({ daemon, args, options }) => {
    const [action, holdId] = args;
    if (action === undefined)
      return shown(
        daemon.get<{ payments: unknown }>('/inventory/v1/payments-pending').then(({ payments }) => payments),
      );
    if ((action !== 'paid' && action !== 'unpaid') || holdId === undefined || args.length > 2)
      return undefined;
    const order = typeof options['order'] === 'string' ? orderOf(options['order']) : undefined;
    return shown(
      daemon.post('/inventory/v1/payments-pending/resolve', {
        hold_id: holdId,
        outcome: action,
        ...(order === undefined ? {} : { order }),
      }),
    );
  },
};

export const proveVerb: Verb = {
  name: 'prove',
  usage: [
    [
      'prove HOLD|CHANNEL:ORDER',
      'replays the log and the audit log: what was known, shown and decided, with the age of\nwhat was known and the reason; exit code 1 when there is nothing',
    ],
  ],
  run: (context) => (context.args.length === 1 ? prove(context) : undefined),
};

export const auditVerb: Verb = {
  name: 'audit',
  usage: [['audit verify', 'recomputes the hash chain of the audit log; exit code 1 when it is broken']],
  run: (context) => (context.args.join(' ') === 'verify' ? verifyAudit(context) : undefined),
};

async function prove({ daemon, args }: VerbContext): Promise<VerbAnswer> {
  const [asked = ''] = args;
  const query = asked.includes(':')
    ? { channel: orderOf(asked).channel, order_id: orderOf(asked).order_id }
    : { hold_id: asked };
  const found = await daemon.get<{ summary: readonly string[] }>(
    `/inventory/v1/decisions?${new URLSearchParams(query).toString()}`,
  );
  return { result: found, isFinding: found.summary.length === 0 };
}

async function verifyAudit({ daemon }: VerbContext): Promise<VerbAnswer> {
  const result = await daemon.post<{ findings: readonly unknown[] }>('/audit/verify');
  return { result, isFinding: result.findings.length > 0 };
}

function creationOf(name: string, options: Readonly<Record<string, unknown>>): object {
  const days = numberOf(options, 'days');
  return {
    name,
    class: options['class'],
    ...(options['scope'] === undefined ? {} : { scopes: options['scope'] }),
    ...(options['agent'] === undefined ? {} : { agentId: options['agent'] }),
    ...(days === undefined ? {} : { days }),
  };
}

function numberOf(options: Readonly<Record<string, unknown>>, name: string): number | undefined {
  const text = options[name];
  if (typeof text !== 'string') return undefined;
  if (!/^\d{1,9}$/.test(text)) throw new UsageError(`--${name} must be a whole number`);
  return Number(text);
}

function orderOf(text: string): { readonly channel: string; readonly order_id: string } {
  const colon = text.indexOf(':');
  if (colon < 1) throw new UsageError('an order is CHANNEL:ID');
  return { channel: text.slice(0, colon), order_id: text.slice(colon + 1) };
}
