import { shown, type Verb } from './verb.ts';

export const channelsVerb: Verb = {
  name: 'channels',
  usage: [['channels', 'channels, what they wait for, when they were last heard']],
  run: ({ daemon, args }) =>
    args.length > 0
      ? undefined
      : shown(daemon.get<{ channels: unknown }>('/channels').then(({ channels }) => channels)),
};

export const stockVerb: Verb = {
  name: 'stock',
  usage: [['stock [SKU...]', 'levels as the running daemon has them']],
  run: ({ daemon, args }) => {
    const query = args.map((sku) => `sku=${encodeURIComponent(sku)}`).join('&');
    const path = `/stock?${query === '' ? 'limit=1000' : query}`;
    return shown(daemon.get<{ skus: unknown }>(path).then(({ skus }) => skus));
  },
};

export const positionVerb: Verb = {
  name: 'position',
  usage: [['position', 'epoch and sequence of the ledger']],
  run: ({ daemon, args }) => (args.length > 0 ? undefined : shown(daemon.get('/position'))),
};
