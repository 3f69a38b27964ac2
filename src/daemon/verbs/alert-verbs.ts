import type { Verb, VerbAnswer, VerbContext } from './verb.ts';

export const alertsVerb: Verb = {
  name: 'alerts',
  usage: [
    ['alerts', 'what people were called for: open ones first; exit code 1 while one is open'],
    ['alerts test', 'a test notice through every webhook and by mail; exit code 1 unless all got through'],
  ],
  run: (context) => {
    const [action, ...more] = context.args;
    if (action === undefined) return listed(context);
    return action === 'test' && more.length === 0 ? tested(context) : undefined;
  },
};

async function listed({ daemon }: VerbContext): Promise<VerbAnswer> {
  const { alerts } = await daemon.get<{ alerts: readonly { state: string }[] }>('/alerts');
  return { result: alerts, isFinding: alerts.some(({ state }) => state === 'open') };
}

async function tested({ daemon, actor }: VerbContext): Promise<VerbAnswer> {
  const { senders } = await daemon.post<{ senders: readonly { outcome: string }[] }>('/alerts/test', {
    actor,
  });
  return {
    result: senders,
    isFinding: senders.length === 0 || senders.some(({ outcome }) => outcome !== 'sent'),
  };
}
