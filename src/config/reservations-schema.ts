import { z } from 'zod';
import { locationId, spanMs, wholeNumber } from './fields.ts';

const dayMs = 86_400_000;

const stage = (defaultTtlMs: number, maxTtlMs: number) =>
  z
    .strictObject({
      defaultTtlMs: spanMs(1_000, 30 * dayMs).default(defaultTtlMs),
      maxTtlMs: spanMs(1_000, 30 * dayMs).default(maxTtlMs),
    })
    .prefault({});

const percent = wholeNumber(0, 100);
const rate = wholeNumber(1, 1_000_000);
const ledgerAway = z.enum(['deny', 'cached', 'source']);

/** Holds of agents and checkouts (docs/reservations.md says why each default is what it is). */
export const reservationsSchema = z
  .strictObject({
    locations: z
      .array(locationId)
      .min(1)
      .max(64)
      .optional()
      .describe('Where holds take from, in this order; every location when absent'),
    stages: z
      .strictObject({
        intent: stage(5_000, 300_000).describe('An agent is about to buy'),
        checkout: stage(30_000, 1_800_000).describe('A buyer is paying'),
        cart: stage(900_000, 3_600_000).describe('A buyer has put it aside'),
        paymentPending: stage(3_600_000, 7 * dayMs).describe('The payment takes longer'),
      })
      .prefault({}),
    maxExtensions: wholeNumber(0, 10_000).default(100),
    agents: z
      .strictObject({
        keepPercent: percent
          .default(10)
          .describe('Of what is there: agents never see it. A category of the catalogue may say otherwise'),
        keepUnits: wholeNumber(0, 1_000_000).default(0),
        maxUnitsPerSku: wholeNumber(1, 1_000_000)
          .default(5)
          .describe('One agent: held, or bought within a day'),
        maxTransactionsPerSession: wholeNumber(1, 1_000_000).default(3),
        sessionMs: spanMs(1_000, 30 * dayMs)
          .default(1_800_000)
          .describe('From its first transaction on'),
        requestsPerSecond: rate.default(50).describe('One agent, at one daemon'),
        burst: rate.default(100),
      })
      .prefault({}),
    checkouts: z
      .strictObject({
        keepPercent: percent.default(0),
        keepUnits: wholeNumber(0, 1_000_000).default(0),
        oversellUnits: wholeNumber(0, 1_000_000)
          .default(0)
          .describe('Units of a SKU that may be held beyond what is there; each is parked for review'),
        requestsPerSecond: rate.default(2_000).describe('One key, at one daemon'),
        burst: rate.default(4_000),
      })
      .prefault({}),
    queue: z
      .strictObject({
        skus: z
          .array(z.string().min(1).max(255))
          .max(10_000)
          .default([])
          .describe('Hot SKUs; `*`: every one'),
        maxWaitMs: spanMs(1, 30_000).default(2_000),
        maxWaiting: wholeNumber(1, 10_000).default(200).describe('Per SKU'),
      })
      .prefault({}),
    idempotencyKeepMs: spanMs(60_000, 30 * dayMs)
      .default(dayMs)
      .describe('How long the answer to an Idempotency-Key is kept'),
    availability: z
      .strictObject({
        maxAgeMs: spanMs(50, 3_600_000)
          .default(1_000)
          .describe('A copy older than this is not shown without saying so'),
        ledgerAway: z
          .strictObject({
            strict: ledgerAway.default('deny'),
            relaxed: ledgerAway.default('cached'),
          })
          .prefault({})
          .describe('Per consistency of the category: what reads are answered with meanwhile'),
        cachedPercent: percent.default(50).describe('cached: this share of the last figure, rounded down'),
        sourceTimeoutMs: spanMs(50, 30_000).default(5_000),
      })
      .prefault({}),
    audit: z
      .strictObject({
        denialsPercent: percent.default(100),
        readsPercent: percent.default(5).describe('Of availability answers'),
        segmentBytes: wholeNumber(4_096, 1_073_741_824).default(16_777_216),
        maxSegments: wholeNumber(2, 100_000).default(64).describe('Older ones are deleted'),
      })
      .prefault({}),
  })
  .prefault({});
