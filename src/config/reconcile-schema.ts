import { validate } from 'node-cron';
import { z } from 'zod';
import { spanMs, wholeNumber } from './fields.ts';

const dayMs = 86_400_000;

export const cron = z
  .string()
  .refine((text) => validate(text), 'must be a cron expression such as 0 4 * * *')
  .describe('When every listing is read and judged');

export const timeZone = z
  .string()
  .refine(isTimeZone, 'must be a time zone such as Europe/Berlin')
  .describe('Of the cron expression');

function isTimeZone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }).format(0) !== '';
  } catch {
    return false;
  }
}

/** What may be done about each verdict; what is not named is as in `reconcile`. */
const driftPolicy = z.strictObject({
  'lost-publication': z.enum(['report', 'park', 're-publish']).optional(),
  'missed-order': z.enum(['report', 'pull-orders']).optional(),
  'edited-on-channel': z
    .enum(['report', 'park', 're-publish', 'adopt'])
    .optional()
    .describe('re-publish: our number again; adopt: the ledger follows the channel'),
  'count-differs': z
    .enum(['report', 'park', 'adopt'])
    .optional()
    .describe('adopt: the count is asked for and applied'),
  unmapped: z.enum(['report', 'park']).optional(),
  untracked: z.enum(['report', 'park']).optional(),
  inactive: z.enum(['report', 'park']).optional(),
});

const fields = {
  mode: z
    .enum(['off', 'observe', 'repair'])
    .optional()
    .describe('observe: findings only; repair: what the policy says'),
  cron: cron.nullable().optional(),
  timeZone: timeZone.optional(),
  sweepSharePercent: wholeNumber(0, 100)
    .optional()
    .describe(
      'Part of the read budget of a channel that is spent on reading all of it, round and round; 0: never',
    ),
  policy: driftPolicy.optional(),
  maxCorrections: wholeNumber(0, 100)
    .optional()
    .describe('Of one listing within correctionsKeptMs; after that a person decides'),
  correctionsKeptMs: spanMs(1_000).optional(),
  pushGraceMs: spanMs(0, 3_600_000)
    .optional()
    .describe('How long a notice of an order may take before the order counts as not heard of'),
  spacingMs: spanMs(10, 3_600_000).optional().describe('Least time between two reads that count as two'),
  lookBackMs: spanMs(1_000)
    .optional()
    .describe('How far back orders are looked for when nothing else explains a difference'),
};

/** Of a channel: what differs from `reconcile`. */
export const channelReconcileSchema = z
  .strictObject(fields)
  .default({})
  .describe('What differs from reconcile');

export const reconcileSchema = z
  .strictObject({
    ...fields,
    keepRuns: wholeNumber(10, 100_000).default(2_000),
    keepDays: wholeNumber(1, 3_650).default(90).describe('Of runs and resolved findings'),
    keepFindings: wholeNumber(100, 1_000_000).default(50_000).describe('Resolved ones'),
    maxOpenFindings: wholeNumber(10, 100_000).default(10_000),
  })
  .prefault({});

type Fields = z.output<typeof channelReconcileSchema>;

/** How one channel is reconciled, every default filled in. */
export interface ReconcileConfig {
  readonly mode: 'off' | 'observe' | 'repair';
  /** Null: no scheduled run. */
  readonly cron: string | null;
  readonly timeZone: string;
  readonly sweepSharePercent: number;
  /** Verdict -> action, where it differs from the default of the domain. */
  readonly policy: NonNullable<Fields['policy']>;
  readonly maxCorrections: number;
  readonly correctionsKeptMs: number;
  readonly pushGraceMs: number;
  readonly spacingMs: number;
  readonly lookBackMs: number;
}

export function completeReconcile(channel: Fields, all: Fields): ReconcileConfig {
  const given = <Key extends keyof Fields>(key: Key): Fields[Key] => channel[key] ?? all[key];
  const nightly = '0 4 * * *';
  return {
    mode: given('mode') ?? 'repair',
    cron: channel.cron !== undefined ? channel.cron : all.cron !== undefined ? all.cron : nightly,
    timeZone: given('timeZone') ?? 'UTC',
    sweepSharePercent: given('sweepSharePercent') ?? 20,
    policy: { ...all.policy, ...channel.policy },
    maxCorrections: given('maxCorrections') ?? 3,
    correctionsKeptMs: given('correctionsKeptMs') ?? dayMs,
    pushGraceMs: given('pushGraceMs') ?? 30_000,
    spacingMs: given('spacingMs') ?? 10_000,
    lookBackMs: given('lookBackMs') ?? dayMs,
  };
}
