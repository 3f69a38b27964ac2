import { shown, type Verb } from './verb.ts';

export const reviewsVerb: Verb = {
  name: 'reviews',
  usage: [
    ['reviews [all]', 'orders sold beyond stock by an allowance; exit code 1 while one is overdue'],
    ['reviews resolve ID REASON', 'you have looked at it'],
  ],
  run: ({ daemon, args: [action = 'open', id, reason, ...more], actor }) => {
    if (action === 'resolve') {
      if (id === undefined || reason === undefined || more.length > 0) return undefined;
      return shown(daemon.post('/reviews/resolve', { id, reason, actor }));
    }
    if ((action !== 'open' && action !== 'all') || id !== undefined) return undefined;
    return daemon
      .get<{ reviews: readonly { state: string }[] }>(`/reviews?show=${action}&limit=10000`)
      .then(({ reviews }) => ({
        result: reviews,
        isFinding: reviews.some(({ state }) => state === 'overdue'),
      }));
  },
};
