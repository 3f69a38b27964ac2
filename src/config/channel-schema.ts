import { z } from 'zod';
import { amazonFields } from './amazon-fields.ts';
import { channelId, locationId, spanMs, webOrigin } from './fields.ts';
import { policyRules, policySchema } from './policy-schema.ts';
import { channelReconcileSchema } from './reconcile-schema.ts';
import { type SecretSources, secretReference } from './secret-reference.ts';
import { stalenessSchema } from './staleness-schema.ts';
import { tiktokFields } from './tiktok-fields.ts';
import { wmsFields } from './wms-schema.ts';

function credentialsSchema(sources: SecretSources) {
  const secret = secretReference(sources);
  return z.discriminatedUnion('kind', [
    z.strictObject({
      kind: z.literal('client-credentials'),
      clientId: z.string().min(1),
      clientSecret: secret,
    }),
    z.strictObject({
      kind: z.literal('refresh-token'),
      clientId: z.string().min(1),
      clientSecret: secret,
      accessToken: secret.optional(),
      refreshToken: secret,
    }),
    z.strictObject({ kind: z.literal('static'), accessToken: secret }),
  ]);
}

/** What every platform's channel has, whatever the platform. */
function commonFields(sources: SecretSources) {
  return {
    id: channelId,
    mode: z
      .enum(['off', 'observe', 'dry-run', 'live'])
      .default('observe')
      .describe(
        'observe: orders in, nothing written; dry-run: writes are computed and logged only; live: written',
      ),
    baseUrl: webOrigin.optional().describe("The platform's API, when it is not at its usual address"),
    authUrl: webOrigin.optional().describe('Where tokens are asked for; baseUrl when absent'),
    webhookSecrets: z
      .array(secretReference(sources))
      .max(2)
      .default([])
      .describe('The current secret and, while it is being replaced, the one before'),
    sourceRules: z
      .record(z.string().min(1).max(255), z.enum(['sale', 'import']))
      .default({})
      .describe('Orders by where they came from; import: copied from another channel, commits nothing'),
    aliases: z.record(z.string().min(1), z.string().min(1)).default({}).describe('Platform SKU -> our SKU'),
    accessEndsOn: z.iso
      .date()
      .optional()
      .describe(
        'When a person must renew the access (Amazon: yearly; a client secret): alert token-expiring',
      ),
    timeouts: z
      .strictObject({
        requestMs: spanMs(100, 60_000).default(10_000),
        bulkMs: spanMs(1_000, 6 * 3_600_000)
          .default(1_800_000)
          .describe('A whole bulk reading, submission to last row'),
      })
      .prefault({}),
    poll: z
      .strictObject({
        intervalMs: spanMs(100, 86_400_000)
          .default(30_000)
          .describe('Rest between two polls while pushes are silent or there are none'),
        fallbackMs: spanMs(100, 86_400_000)
          .default(300_000)
          .describe('Longest rest: while pushes arrive, and of a failing platform'),
        overlapMs: spanMs(0, 86_400_000).default(300_000),
        indexLagMs: spanMs(0, 3_600_000)
          .default(10_000)
          .describe("How late the platform's order search may show a change; raises wait for it"),
      })
      .prefault({}),
    policy: policySchema.default({}).describe('What differs from policies.default'),
    rules: policyRules,
    staleness: stalenessSchema,
    reconcile: channelReconcileSchema,
    openingFigure: z
      .enum(['on-hand', 'available'])
      .default('available')
      .describe('What the opening figure of a level contains when the channel is connected'),
  };
}

const shopDomain = /^[a-z0-9][a-z0-9-]*(?:\.[a-z0-9-]+)+$/;

function shopifyChannel(sources: SecretSources) {
  return z.strictObject({
    platform: z.literal('shopify'),
    ...commonFields(sources),
    shop: z.string().regex(shopDomain).describe('The shop, e.g. acme.myshopify.com'),
    credentials: credentialsSchema(sources),
    locations: z
      .record(
        z.union([z.literal('*'), z.string().regex(/^(?:gid:\/\/shopify\/Location\/)?\d+$/)]),
        z.array(locationId).min(1).max(20),
      )
      .transform((places) => {
        // A merchant sees the bare number in the admin's address bar, an API user the global id; connectors use digits.
        const entries = Object.entries(places).map(([place, ours]) => {
          return [place.replace('gid://shopify/Location/', ''), ours] as const;
        });
        return Object.fromEntries(entries);
      })
      .optional()
      .describe('Shopify location id (or * for every one) -> our locations, in the order orders use them'),
  });
}

function tiktokChannel(sources: SecretSources) {
  return z.strictObject({
    platform: z.literal('tiktok'),
    ...commonFields(sources),
    ...tiktokFields(sources),
  });
}

function amazonChannel(sources: SecretSources) {
  return z.strictObject({
    platform: z.literal('amazon'),
    ...commonFields(sources),
    ...amazonFields(sources),
  });
}

function wmsChannel(sources: SecretSources) {
  return z.strictObject({
    platform: z.literal('wms'),
    ...commonFields(sources),
    ...wmsFields(sources),
  });
}

/** One member per platform: another platform adds its own here and in the composition. */
export function channelSchema(sources: SecretSources) {
  return z.discriminatedUnion('platform', [
    shopifyChannel(sources),
    amazonChannel(sources),
    tiktokChannel(sources),
    wmsChannel(sources),
  ]);
}
