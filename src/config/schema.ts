import { z } from 'zod';
import { alertsSchema } from './alerts-schema.ts';
import { catalogueSchema } from './catalogue-schema.ts';
import { channelSchema } from './channel-schema.ts';
import { locationId, merchantId, spanMs, webOrigin, wholeNumber } from './fields.ts';
import { guardSchema } from './guard-schema.ts';
import { policySchema } from './policy-schema.ts';
import { reconcileSchema } from './reconcile-schema.ts';
import { reservationsSchema } from './reservations-schema.ts';
import { reportsSchema } from './reports-schema.ts';
import { type SecretSources, secretReference, textFile } from './secret-reference.ts';
import { webhooksSchema } from './webhook-schema.ts';

/** `ingest`: webhooks, queues, inbox; `publish`: polls, counts, writes; `reconcile`: runs, reports; `api`: reservations. */
export const daemonRoles = ['ingest', 'publish', 'reconcile', 'api'] as const;
export type DaemonRole = (typeof daemonRoles)[number];

const listener = (host: string, port: number) =>
  z
    .strictObject({
      host: z.string().min(1).default(host),
      port: wholeNumber(0, 65_535).default(port).describe('0: any free port, printed at start'),
    })
    .prefault({});

function redisSchema(sources: SecretSources) {
  const path = z.string().min(1);
  return z
    .strictObject({
      url: z
        .string()
        .regex(
          /^rediss?:\/\/(?![^/]*@)[^\s]+$/,
          'must be redis://HOST:PORT or rediss://HOST:PORT, without password',
        )
        .optional()
        .describe('A Redis or Valkey of your own; without it the daemon runs one itself'),
      username: z.string().min(1).optional(),
      password: secretReference(sources).optional(),
      tls: z
        .strictObject({
          caFile: textFile(sources).optional(),
          certFile: textFile(sources).optional(),
          keyFile: textFile(sources).optional(),
          serverName: z.string().min(1).optional(),
        })
        .optional()
        .describe('For rediss:// with a private authority or a client certificate'),
      durability: z
        .enum(['always', 'everysec'])
        .default('always')
        .describe('always: a power cut loses nothing acknowledged; everysec: up to about a second'),
      serverPath: path.optional().describe('The redis-server program to run; found on PATH when absent'),
    })
    .prefault({});
}

/** `channel:<id>`: a WMS channel owns the on-hand figure of the location. */
const authority = z
  .string()
  .regex(/^(?:ledger|channel:[a-z0-9-]+)$/, 'must be ledger or channel:<id>')
  .default('ledger');

/**
 * The whole configuration. Every object is strict: a misspelt key is a start error, never a silent default.
 * `configuration.ts` adds what must hold between keys.
 */
export function configSchema(sources: SecretSources) {
  return z.strictObject({
    merchant: merchantId.describe('Short name; part of every Redis key'),
    dataDir: z
      .string()
      .min(1)
      .optional()
      .describe('Relative to this file; .stockmesh/<merchant> when absent'),
    allowLooseSecretFiles: z.boolean().default(false).describe('Accept secret files that others may read'),
    masterKey: secretReference(sources)
      .optional()
      .describe('Seals the vault, at least 32 characters; made and kept in dataDir when absent'),
    otherMasterKeys: z
      .array(secretReference(sources))
      .max(4)
      .default([])
      .describe('While the master key is replaced: open what they sealed, seal nothing'),
    roles: z
      .array(z.enum(daemonRoles))
      .min(1)
      .default([...daemonRoles])
      .describe('What this process does; several daemons of a merchant share the rest (docs/operations.md)'),
    redis: redisSchema(sources),
    http: z
      .strictObject({
        public: listener('0.0.0.0', 8080).describe('Webhooks only'),
        private: z
          .strictObject({
            host: z.string().min(1).default('127.0.0.1'),
            port: wholeNumber(0, 65_535).default(8081).describe('0: any free port, printed at start'),
            tls: z
              .strictObject({ certFile: textFile(sources), keyFile: textFile(sources) })
              .optional()
              .describe('Needed to listen beyond this machine'),
            allowPlainHttp: z
              .boolean()
              .default(false)
              .describe('true: another machine may call without TLS (a proxy in front has it)'),
          })
          .prefault({})
          .describe('API, health, metrics'),
        publicUrl: webOrigin
          .optional()
          .describe('How platforms reach the public listener; needed to subscribe'),
      })
      .prefault({}),
    locations: z
      .array(
        z.strictObject({
          id: locationId,
          name: z.string().min(1).max(200).optional(),
          authority,
          pickLagMs: spanMs(0)
            .default(0)
            .describe('How long after a fulfilment the owner of the figure may still count the units'),
        }),
      )
      .min(1)
      .max(1_000)
      .prefault([{ id: 'main' }]),
    channels: z.array(channelSchema(sources)).max(100).default([]),
    reports: reportsSchema(sources).describe('What a merchant reads of drift and oversells'),
    reconcile: reconcileSchema.describe('Whether every channel still agrees: read, judged, repaired'),
    policies: z
      .strictObject({
        default: policySchema.default({}),
        reviewWithinMs: spanMs(60_000, 30 * 86_400_000)
          .default(86_400_000)
          .describe('Orders sold beyond stock by oversellUnits are to be looked at within this'),
      })
      .prefault({}),
    catalogue: catalogueSchema,
    guard: guardSchema,
    alerts: alertsSchema(sources),
    webhooks: webhooksSchema(sources).describe('What happened, told to systems of your own'),
    reservations: reservationsSchema,
    limits: z
      .strictObject({
        maxBodyBytes: wholeNumber(1_024, 16_777_216).default(1_048_576).describe('Of a webhook'),
        maxApiBodyBytes: wholeNumber(1_024, 16_777_216).default(262_144),
        maxInboxJobs: wholeNumber(100, 10_000_000).default(100_000).describe('Above it webhooks get 503'),
        inboxConcurrency: wholeNumber(1, 256).default(8),
        maxSyncRecords: wholeNumber(1_000, 10_000_000)
          .default(200_000)
          .describe('Newest writes to channels kept for exports and explanations'),
        maxApiConnections: wholeNumber(10, 100_000).default(2_500).describe('Of the private listener'),
      })
      .prefault({}),
    schedules: z
      .strictObject({
        redisCheckMs: spanMs(100, 3_600_000).default(10_000),
        sweepMs: spanMs(10, 60_000).default(250),
        subscriptionCheckMs: spanMs(1_000, 86_400_000).default(900_000),
        accessCheckMs: spanMs(1_000, 86_400_000).default(300_000),
        fullReadMs: spanMs(1_000, 7 * 86_400_000).default(21_600_000),
      })
      .prefault({}),
    logLevel: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal']).default('info'),
  });
}
