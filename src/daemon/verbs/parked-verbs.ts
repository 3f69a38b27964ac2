import { shown, type Verb } from './verb.ts';

export const parkedVerb: Verb = {
  name: 'parked',
  usage: [
    ['parked [list]', 'what is set aside, and why'],
    ['parked retry ID', 'try a parked row again'],
    ['parked discard ID', 'drop a parked row'],
  ],
  run: ({ daemon, args: [action = 'list', id, ...more] }) => {
    if (action === 'list' && id === undefined) {
      return shown(daemon.get<{ rows: unknown }>('/parked?limit=1000').then(({ rows }) => rows));
    }
    if ((action !== 'retry' && action !== 'discard') || id === undefined || more.length > 0) return undefined;
    return shown(daemon.post(`/parked/${action}`, { id }));
  },
};
