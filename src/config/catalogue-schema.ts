import { z } from 'zod';
import { channelId, skuPatterns, skuText, wholeNumber } from './fields.ts';
import { policySchema } from './policy-schema.ts';

const laterUnits = wholeNumber(1, 1_000_000).describe('Units that may be promised beyond what is there');
const shipsInDays = wholeNumber(0, 3_650).optional();
const shipsOn = z.iso.date().optional();

const terms = {
  consistency: z
    .enum(['strict', 'relaxed'])
    .optional()
    .describe('strict: deny when unsure; relaxed: answer from what is known. strict when absent'),
  lowStockUnits: wholeNumber(0, 1_000_000).optional().describe('low_stock at or below. 5 when absent'),
  backorder: z.strictObject({ maxUnits: laterUnits, shipsInDays, shipsOn }).optional(),
  preorder: z.strictObject({ maxUnits: laterUnits, shipsInDays, shipsOn }).optional(),
  discontinued: z.boolean().optional().describe('Sold off, never ordered again'),
  agents: z
    .strictObject({
      keepPercent: wholeNumber(0, 100).optional().describe('Per cent agents never see; rounds up'),
      keepUnits: wholeNumber(0, 1_000_000).optional(),
      poolCapUnits: wholeNumber(0, 1_000_000_000).optional().describe('All agents together'),
      agentCapUnits: wholeNumber(0, 1_000_000).optional().describe('One agent'),
    })
    .optional()
    .describe('What agents may take; people on the channels see all of it'),
};

export const catalogueSchema = z
  .strictObject({
    default: z.strictObject(terms).prefault({}),
    categories: z
      .array(
        z.strictObject({
          name: z.string().min(1).max(100),
          skus: skuPatterns,
          ...terms,
          policy: policySchema.optional().describe('What differs from the policy of the channels'),
        }),
      )
      .max(1_000)
      .default([])
      .describe('A SKU belongs to the first category that has a pattern for it'),
    skusFrom: channelId
      .optional()
      .describe(
        'The channel whose SKUs are yours: elsewhere another text is a SKU only by barcode or your word',
      ),
    substitutes: z
      .record(skuText, z.array(skuText).min(1).max(20))
      .default({})
      .describe('SKU -> what may be offered in its place, best first'),
    bundles: z
      .record(skuText, z.record(skuText, wholeNumber(1, 10_000)))
      .default({})
      .describe('SKU of the bundle -> its components and how many of each'),
  })
  .prefault({});
