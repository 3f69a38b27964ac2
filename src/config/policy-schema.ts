import { z } from 'zod';
import { skuPatterns, wholeNumber } from './fields.ts';

/** No defaults in the fields: each layer says only what differs from the one before (docs/policies.md). */
export const policySchema = z
  .strictObject({
    sharePercent: wholeNumber(0, 100)
      .optional()
      .describe('Share of the available units a channel may show; rounds down. 100 when absent'),
    bufferUnits: wholeNumber(0, 1_000_000).optional().describe('Units kept back. 0 when absent'),
    bufferPercent: wholeNumber(0, 100)
      .optional()
      .describe('Per cent of the shared units kept back; rounds up. 0 when absent'),
    capUnits: wholeNumber(0, 1_000_000_000).optional().describe('Never show more than this'),
    endWhenUnits: wholeNumber(0, 1_000_000)
      .optional()
      .describe('Show 0 when no more than this many are left'),
    oversellUnits: wholeNumber(0, 1_000_000)
      .optional()
      .describe('Sell up to so many units that are not there. 0 when absent'),
  })
  .meta({ id: 'policy' });

/** A channel's own word on some SKUs. */
export const policyRules = z
  .array(z.strictObject({ skus: skuPatterns, policy: policySchema }))
  .max(1_000)
  .default([])
  .describe('The first rule with a pattern for a SKU counts, over everything else');
