import { parse } from 'csv-parse/sync';
import { z } from 'zod';
import { Secret } from '../domain/secret.ts';
import { channelId, webAddress, wholeNumber } from './fields.ts';
import { cron, timeZone } from './reconcile-schema.ts';
import { type SecretSources, secretReference, textFile } from './secret-reference.ts';

const maxValues = 1_000_000;

/** `SKU,value` per line; a heading is skipped when its second cell is no number. */
function readValues(text: string): ReadonlyMap<string, number> | string {
  let rows: string[][];
  try {
    rows = parse(text, { relax_column_count: true, skip_empty_lines: true, bom: true });
  } catch {
    return 'is not a CSV file';
  }
  const values = new Map<string, number>();
  for (const [index, [sku = '', value = '']] of rows.slice(0, maxValues).entries()) {
    const amount = Number(value);
    if (sku !== '' && value !== '' && Number.isFinite(amount) && amount >= 0) values.set(sku, amount);
    else if (index > 0) return `line ${index + 1} is not SKU,value`;
  }
  return values;
}

/** Reports of drift and oversells for the merchant. */
export function reportsSchema(sources: SecretSources) {
  return z
    .strictObject({
      cron: cron.nullable().default('0 6 * * *').describe('When a report is made; null: only by command'),
      timeZone: timeZone.default('UTC').describe('Of the cron expression and of the times in reports'),
      coverHours: wholeNumber(1, 24 * 366)
        .default(24)
        .describe('How far back a report looks'),
      mailTo: z.array(z.email()).max(50).default([]).describe('Needs alerts.mail'),
      webhook: z
        .strictObject({
          url: z.union([secretReference(sources), webAddress.transform((text) => new Secret(text))]),
          signingSecret: secretReference(sources).optional(),
        })
        .optional()
        .describe('Gets the figures of the report as JSON, signed by the rules of Standard Webhooks'),
      keepReports: wholeNumber(1, 10_000).default(400),
      keepDays: wholeNumber(1, 3_650).default(400),
      currency: z
        .string()
        .regex(/^[A-Z]{3}$/)
        .default('EUR'),
      unitValues: textFile(sources)
        .transform((text, context) => {
          const values = readValues(text.reveal());
          if (typeof values !== 'string') return values;
          context.addIssue(values);
          return z.NEVER;
        })
        .optional()
        .describe('CSV file of SKU,value: what an oversold unit is worth'),
      refundOrder: z
        .enum(['newest-first', 'tier'])
        .default('newest-first')
        .describe('Who is refunded when goods are missing: the newest orders, or those of the lowest tier'),
      tiers: z.array(channelId).max(100).default([]).describe('Channels, most important customers first'),
    })
    .prefault({});
}
