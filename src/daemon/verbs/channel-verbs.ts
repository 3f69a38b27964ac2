import { shown, UsageError, type Verb, type VerbAnswer, type VerbContext } from './verb.ts';

const modes = ['off', 'observe', 'dry-run', 'live'];

export const modeVerb: Verb = {
  name: 'mode',
  usage: [
    ['mode CHANNEL', 'off, observe, dry-run or live, and who said so'],
    ['mode CHANNEL MODE', 'change it now; it counts until the configuration says another mode'],
  ],
  run: ({ daemon, args: [channel, mode, ...more], actor }) => {
    if (channel === undefined || more.length > 0) return undefined;
    const path = `/channels/${encodeURIComponent(channel)}/mode`;
    if (mode === undefined) return shown(daemon.get(path));
    if (!modes.includes(mode)) throw new UsageError(`${mode} is none of ${modes.join(', ')}`);
    return shown(daemon.post(path, { mode, actor }));
  },
};

export const circuitVerb: Verb = {
  name: 'circuit',
  usage: [
    ['circuit CHANNEL', 'whether requests to the channel are let through, and who said so'],
    ['circuit CHANNEL open', 'hold it open: no requests, by whichever daemon, until it is closed'],
    ['circuit CHANNEL close', 'close it now, whatever opened it'],
  ],
  run: ({ daemon, args: [channel, action, ...more], actor }) => {
    if (channel === undefined || more.length > 0) return undefined;
    const path = `/channels/${encodeURIComponent(channel)}/circuit`;
    if (action === undefined) return shown(daemon.get(path));
    if (action !== 'open' && action !== 'close') return undefined;
    return shown(daemon.post(path, { state: action === 'open' ? 'open' : 'closed', actor }));
  },
};

export const guardVerb: Verb = {
  name: 'guard',
  usage: [
    ['guard', 'runs of changes that were stopped because they would do too much, and what they would do'],
    ['guard confirm CHANNEL', 'it is meant: write it'],
  ],
  run: ({ daemon, args: [action, channel, ...more], actor }) => {
    if (action === undefined)
      return shown(daemon.get<{ channels: unknown }>('/guard').then(({ channels }) => channels));
    if (action !== 'confirm' || channel === undefined || more.length > 0) return undefined;
    return shown(daemon.post(`/channels/${encodeURIComponent(channel)}/guard/confirm`, { actor }));
  },
};

export const planVerb: Verb = {
  name: 'plan',
  usage: [['plan CHANNEL', 'what would be written to a channel that only watches, units at risk first']],
  run: (context) => (context.args.length === 1 ? plan(context) : undefined),
};

async function plan({ daemon, args }: VerbContext): Promise<VerbAnswer> {
  const path = `/channels/${encodeURIComponent(args[0] ?? '')}/plan?limit=10000`;
  const { writes, ...totals } = await daemon.get<{ writes: readonly object[] }>(path);
  return { result: [totals, ...writes] };
}
