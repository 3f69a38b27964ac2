import { shown, UsageError, type Verb } from './verb.ts';

const formats = ['html', 'json', 'csv', 'shortfalls'];

export const reportVerb: Verb = {
  name: 'report',
  usage: [
    ['report [list]', 'reports that are kept'],
    ['report make', 'a report of now (--hours N: of the last N hours)'],
    [
      'report show ID',
      'one report (--format html, json, csv: every step of every difference; shortfalls: refunds and backorders as CSV)',
    ],
  ],
  options: { hours: { type: 'string' }, format: { type: 'string' } },
  run: ({ daemon, args: [action = 'list', id, ...rest], options: { hours, format = 'json' } }) => {
    if (rest.length > 0) return undefined;
    if (action === 'list' && id === undefined)
      return shown(daemon.get<{ reports: unknown }>('/reports').then(({ reports }) => reports));
    if (action === 'make' && id === undefined) {
      const wanted = hours === undefined ? undefined : Number(hours);
      if (wanted !== undefined && !Number.isInteger(wanted))
        throw new UsageError('--hours is a whole number');
      return shown(daemon.post('/reports', wanted === undefined ? {} : { hours: wanted }));
    }
    if (action !== 'show' || id === undefined) return undefined;
    if (typeof format !== 'string' || !formats.includes(format))
      throw new UsageError(`--format is one of ${formats.join(', ')}`);
    return daemon
      .stream(`/reports/${encodeURIComponent(id)}?format=${format}`)
      .then((text) => ({ result: undefined, text }));
  },
};
