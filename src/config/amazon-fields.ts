import { z } from 'zod';
import { locationId, spanMs, webOrigin } from './fields.ts';
import { type SecretSources, secretReference } from './secret-reference.ts';

const code = z.string().regex(/^[A-Z0-9]{2,40}$/);

/** What an Amazon channel has besides, or instead of, the fields of every channel. */
export function amazonFields(sources: SecretSources) {
  const secret = secretReference(sources);
  return {
    sellerId: code.describe('Merchant token of the selling account (Seller Central, Account info)'),
    marketplaceIds: z
      .array(code)
      .min(1)
      .max(50)
      .describe(
        'Marketplaces of one region; listings are read and written in the first, stock is the region’s',
      ),
    region: z.enum(['na', 'eu', 'fe']),
    credentials: z
      .strictObject({ clientId: z.string().min(1), clientSecret: secret, refreshToken: secret })
      .describe('Login with Amazon: of the application, and of the authorisation by the seller'),
    queue: z
      .strictObject({
        url: webOrigin.describe('https://sqs.REGION.amazonaws.com/ACCOUNT/NAME'),
        arn: z
          .string()
          .regex(/^arn:aws:sqs:[^\s:]+:[^\s:]+:[^\s:]+$/)
          .refine((arn) => !arn.endsWith('.fifo'), 'must be a standard queue: Amazon sends nothing to FIFO'),
        endpoint: webOrigin.optional().describe('When SQS is not at its usual address'),
        access: z
          .strictObject({
            accessKeyId: z.string().min(1),
            secretAccessKey: secret,
            sessionToken: secret.optional(),
          })
          .optional()
          .describe('Absent: the role, profile or environment of the machine'),
      })
      .optional()
      .describe(
        'SQS queue of this seller alone, for notifications; without it orders are found minutes late',
      ),
    eventBridge: z
      .strictObject({ region: z.string().min(1), accountId: z.string().regex(/^\d{12}$/) })
      .optional()
      .describe('AWS account whose event bus gets changes of listings; a rule there sends them to the queue'),
    webhookHeader: z
      .string()
      .regex(/^(?!x-|webhook-|content-type$)[a-z][a-z0-9-]*$/)
      .default('authorization')
      .describe('Header of an EventBridge API destination that carries a secret of webhookSecrets'),
    locations: z
      .array(locationId)
      .min(1)
      .max(20)
      .transform((ours) => ({ DEFAULT: ours }))
      .optional()
      .describe('Our locations whose stock the seller ships, in the order orders use them'),
    restoreOnCancel: z
      .enum(['always', 'never', 'byReason'])
      .default('byReason')
      .describe(
        'Whether Amazon puts cancelled units back on the listing; byReason: unless the seller cancelled',
      ),
    readFba: z
      .boolean()
      .default(true)
      .describe('Show the stock in Amazon warehouses; it is never written and never counted'),
    poll: z
      .strictObject({
        intervalMs: spanMs(100, 86_400_000).default(180_000),
        fallbackMs: spanMs(100, 86_400_000)
          .default(300_000)
          .describe('Longest rest: while notifications arrive, and of a failing platform'),
        overlapMs: spanMs(0, 86_400_000).default(300_000),
        indexLagMs: spanMs(0, 3_600_000)
          .default(150_000)
          .describe('How late searches show an order, the two minutes that Amazon keeps back included'),
      })
      .prefault({})
      .describe('Amazon allows one search for orders in three minutes; the queue is the fast way'),
    timing: z
      .strictObject({
        readLagMs: spanMs(0, 600_000).default(30_000),
        applyGraceMs: spanMs(0, 7_200_000).default(900_000),
        longestApplyMs: spanMs(0, 86_400_000).default(14_400_000),
      })
      .prefault({})
      .describe('How late Amazon shows an accepted quantity; it documents none of them'),
  };
}
