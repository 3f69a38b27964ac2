import { shown, type Verb } from './verb.ts';

export const endpointsVerb: Verb = {
  name: 'endpoints',
  usage: [
    ['endpoints', 'where webhooks go, and how each endpoint fares'],
    ['endpoints dead ID', 'what could not be delivered to it'],
    ['endpoints enable ID', 'call it again, and send what could not be delivered'],
  ],
  run: ({ daemon, args: [action = 'list', id, ...more] }) => {
    if (action === 'list' && id === undefined) {
      return shown(daemon.get<{ endpoints: unknown }>('/endpoints').then(({ endpoints }) => endpoints));
    }
    if (id === undefined || more.length > 0) return undefined;
    if (action === 'enable') return shown(daemon.post('/endpoints/enable', { endpoint: id }));
    if (action !== 'dead') return undefined;
    const path = `/endpoints/dead?limit=1000&endpoint=${encodeURIComponent(id)}`;
    return shown(daemon.get<{ rows: unknown }>(path).then(({ rows }) => rows));
  },
};
