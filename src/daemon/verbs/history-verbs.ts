import { type ExplanationAnswer, explanationText } from './explanation-text.ts';
import { UsageError, type Verb } from './verb.ts';

export const explainVerb: Verb = {
  name: 'explain',
  usage: [
    [
      'explain SKU',
      'which entries, orders, holds, policy rules and writes made its numbers, and what stands in the way\n' +
        '(--channel ID: one channel; --at SEQUENCE or TIME: as it was then)',
    ],
  ],
  options: { channel: { type: 'string' }, at: { type: 'string' } },
  run: ({ daemon, args: [sku, ...rest], options }) => {
    if (sku === undefined || rest.length > 0) return undefined;
    const query = new URLSearchParams({ sku });
    for (const name of ['channel', 'at'] as const) {
      const value = options[name];
      if (typeof value === 'string') query.set(name, value);
    }
    return daemon
      .get<ExplanationAnswer>(`/explain?${query.toString()}`)
      .then((answer) => ({ result: answer, text: explanationText(answer) }));
  },
};

export const exportVerb: Verb = {
  name: 'export',
  usage: [
    ['export history', 'every movement with old and new figures as CSV (--sku SKU: one; --format jsonl)'],
    ['export sync', 'every write to a channel with old and new number, rule, reason and sequence'],
  ],
  options: { sku: { type: 'string' }, format: { type: 'string' } },
  run: ({ daemon, args: [what, ...rest], options }) => {
    if ((what !== 'history' && what !== 'sync') || rest.length > 0) return undefined;
    const { sku, format = 'csv' } = options;
    if (format !== 'csv' && format !== 'jsonl') throw new UsageError('--format is csv or jsonl');
    if (what === 'sync' && sku !== undefined) throw new UsageError('--sku belongs to export history');
    const query = new URLSearchParams({ format, ...(typeof sku === 'string' ? { sku } : {}) });
    return daemon
      .stream(`/exports/${what}?${query.toString()}`)
      .then((text) => ({ result: undefined, text }));
  },
};
