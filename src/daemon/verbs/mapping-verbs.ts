import { readFile } from 'node:fs/promises';
import { UsageError, type Verb, type VerbAnswer, type VerbContext } from './verb.ts';

const shows = ['all', 'open', 'unmapped', 'ambiguous'];

export const mappingVerb: Verb = {
  name: 'mapping',
  usage: [
    [
      'mapping [SHOW]',
      'items of the channels that wait for your word; SHOW: open, unmapped, ambiguous or all (--channel ID: one)',
    ],
    ['mapping export', 'every item and its SKU as CSV (--channel ID: one)'],
    [
      'mapping import FILE',
      'the same CSV back, with SKUs filled in; all of it or, when a row is wrong, nothing\n' +
        '(--dry-run: only tell; --new-skus: SKUs nobody knows yet; --shared: two items of a channel may be one SKU)',
    ],
  ],
  options: {
    channel: { type: 'string' },
    'dry-run': { type: 'boolean', default: false },
    'new-skus': { type: 'boolean', default: false },
    shared: { type: 'boolean', default: false },
  },
  run: (context) => {
    const { daemon, args, options } = context;
    const [what = 'open', file, ...more] = args;
    const query = new URLSearchParams();
    if (typeof options['channel'] === 'string') query.set('channel', options['channel']);
    if (what === 'import' && file !== undefined && more.length === 0) return importFile(context, file);
    if (file !== undefined) return undefined;
    if (what === 'export')
      return daemon
        .stream(`/mapping/export?${query.toString()}`)
        .then((text) => ({ result: undefined, text }));
    if (!shows.includes(what)) return undefined;
    query.set('show', what);
    query.set('limit', '10000');
    return daemon
      .get<{ rows: readonly unknown[] }>(`/mapping?${query.toString()}`)
      .then(({ rows }) => ({ result: rows }));
  },
};

async function importFile({ daemon, options, actor }: VerbContext, file: string): Promise<VerbAnswer> {
  const csv = await readFile(file, 'utf8').catch((error: unknown) => {
    throw new UsageError(`${file} cannot be read`, { cause: error });
  });
  const result = await daemon.post('/mapping/import', {
    csv,
    actor,
    dryRun: options['dry-run'] === true,
    newSkus: options['new-skus'] === true,
    shared: options['shared'] === true,
  });
  return { result };
}
