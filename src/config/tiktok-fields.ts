import { z } from 'zod';
import { locationId, spanMs } from './fields.ts';
import { type SecretSources, secretReference } from './secret-reference.ts';

const id = z.string().regex(/^[A-Za-z0-9_-]{1,64}$/);

/** What a TikTok Shop channel has besides the fields of every channel. */
export function tiktokFields(sources: SecretSources) {
  const secret = secretReference(sources);
  const app = { appKey: z.string().min(1), appSecret: secret };
  return {
    shop: id.describe('The id of the shop, in quotes (Seller Center, or `shop_id` of a webhook)'),
    credentials: z.discriminatedUnion('kind', [
      z.strictObject({
        kind: z.literal('refresh-token'),
        ...app,
        refreshToken: secret,
        accessToken: secret.optional(),
      }),
      z.strictObject({
        kind: z.literal('auth-code'),
        ...app,
        authCode: secret.describe('From the callback of the authorisation; good once, for 30 minutes'),
      }),
    ]),
    locations: z
      .record(z.union([z.literal('*'), id]), z.array(locationId).min(1).max(20))
      .optional()
      .describe('Warehouse id (or * for every one) -> our locations, in the order orders use them'),
    otherWarehouses: z
      .enum(['refuse', 'echo'])
      .default('refuse')
      .describe(
        'SKUs that also lie in a warehouse not named above: left alone, or its figure repeated as read',
      ),
    soldOut: z
      .enum(['zero', 'deactivate'])
      .default('zero')
      .describe(
        'How nothing left is shown; deactivate: where TikTok refuses quantity 0, the product is taken off sale',
      ),
    unpaidTakesStock: z
      .union([z.boolean(), z.literal('unknown')])
      .default('unknown')
      .describe(
        'Whether TikTok takes the units of an unpaid order off the available quantity; unknown: the listing is read after each',
      ),
    pace: z
      .strictObject({
        writesPerS: z.number().min(0.2).max(1_000).default(2),
        readsPerS: z.number().min(0.2).max(1_000).default(5),
      })
      .prefault({})
      .describe(
        'Requests per second and operation to begin with; refusals lower the rate, successes raise it',
      ),
    timing: z
      .strictObject({
        readLagMs: spanMs(0, 600_000).default(2_000),
        applyGraceMs: spanMs(0, 600_000).default(3_000),
        longestApplyMs: spanMs(0, 3_600_000).default(120_000),
      })
      .prefault({})
      .describe('How late TikTok shows things; it documents none of this'),
  };
}
