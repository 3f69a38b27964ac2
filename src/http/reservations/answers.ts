import { z } from 'zod';
import { moment, sequence } from './fields.ts';

/** The words of UCP and ACP (src/domain/availability-status.ts); `unknown` while nothing may be said. */
export const availabilityStatus = z.enum([
  'in_stock',
  'low_stock',
  'backorder',
  'preorder',
  'out_of_stock',
  'discontinued',
  'unknown',
]);

export const receipt = z.object({
  sequence,
  shown_at: moment,
  sha256: z.string().describe('Hex, of the JSON text of this answer without its receipt'),
  token: z.string().describe('The three above, sealed by us; a commit may present it'),
});
export type Receipt = z.output<typeof receipt>;

export const backorder = z.object({
  kind: z.enum(['backorder', 'preorder']),
  units: z.int().describe('That may still be promised'),
  ships_in_days: z.int().nullable(),
  ships_on: z.string().nullable().describe('ISO date'),
});

export type LaterTermsAnswer = z.output<typeof backorder>;

export const retryAdvice = z.object({
  advice: z.enum(['do_not_retry', 'retry_later', 'wait_in_queue', 'ask_for_less', 'choose_alternative']),
  after_seconds: z.number().nullable(),
});
export type RetryAdvice = z.output<typeof retryAdvice>;

export const holdStates = ['held', 'payment_pending', 'committed', 'released', 'expired'] as const;

export const holdLine = z.object({
  sku: z.string(),
  quantity: z.int(),
  locations: z.array(z.object({ location: z.string(), quantity: z.int() })),
});

export const held = z.object({
  outcome: z.literal('held'),
  hold_id: z.string(),
  state: z.enum(holdStates),
  lines: z.array(holdLine),
  agent_id: z.string().nullable(),
  settles_on: z.string().nullable(),
  expires_at: moment,
  expires_in_ms: z.int(),
  sequence,
  data_age_ms: z.int().describe('0: decided by the ledger itself'),
  decision_id: z.string(),
  receipt: receipt.optional(),
});
export type Held = z.output<typeof held>;

export const denialCodes = [
  'OUT_OF_STOCK',
  'UNKNOWN_SKU',
  'POOL_LIMIT',
  'AGENT_LIMIT',
  'SESSION_LIMIT',
  'QUEUE_FULL',
  'QUEUE_TIMEOUT',
] as const;

export const denied = z.object({
  outcome: z.literal('denied'),
  code: z.enum(denialCodes),
  message: z.string(),
  sku: z.string().describe('The line that could not be had'),
  requested: z.int(),
  available: z.int().describe('Units the caller could have had'),
  status: availabilityStatus,
  alternatives: z.array(z.object({ sku: z.string(), available: z.int(), status: availabilityStatus })),
  backorder: backorder.nullable(),
  retry: retryAdvice,
  sequence,
  data_age_ms: z.int(),
  decision_id: z.string(),
  receipt: receipt.optional(),
});
export type Denied = z.output<typeof denied>;

export const refusalCodes = [
  'HOLD_UNKNOWN',
  'HOLD_EXPIRED',
  'HOLD_ENDED',
  'EXTENSIONS_USED_UP',
  'PART_EXCEEDS_HOLD',
  'COMMIT_DIFFERS',
  'SESSION_LIMIT',
  'RECEIPT_INVALID',
] as const;

/** The hold is not in a state for it; nothing was changed. */
export const refused = z.object({
  outcome: z.literal('refused'),
  code: z.enum(refusalCodes),
  message: z.string(),
  hold_id: z.string(),
  state: z.enum(holdStates).nullable(),
  sku: z.string().nullable(),
  denial: denied.optional().describe('Of `reserve_again`: why the units could not be had once more'),
  retry: retryAdvice,
  sequence,
  decision_id: z.string(),
});
export type Refused = z.output<typeof refused>;

export const holdView = held.omit({ outcome: true, receipt: true, decision_id: true }).extend({
  order: z.object({ channel: z.string(), order_id: z.string() }).nullable(),
});
export type HoldAnswer = z.output<typeof holdView>;

export const committed = z.object({
  outcome: z.literal('committed'),
  hold_id: z.string(),
  order: z.object({ channel: z.string(), order_id: z.string() }),
  was_repeated: z.boolean(),
  took_again: z.boolean().describe('The hold had run out and its units were taken once more'),
  receipt_check: z
    .object({
      shown_sequence: sequence,
      shown_at: moment,
      decided_sequence: sequence,
    })
    .nullable(),
  sequence,
  decision_id: z.string(),
});
export type Committed = z.output<typeof committed>;

export const released = z.object({
  outcome: z.literal('released'),
  hold_id: z.string(),
  was_repeated: z.boolean(),
  sequence,
  decision_id: z.string(),
});
export type Released = z.output<typeof released>;

export const availabilityItem = z.object({
  sku: z.string(),
  available: z.int().nullable().describe('Units this caller could have; null: not known'),
  status: availabilityStatus,
  source: z.enum(['copy', 'ledger', 'old_copy', 'channel', 'none']),
  policy: z
    .enum(['deny', 'cached', 'source'])
    .nullable()
    .describe('While the ledger cannot be read: the rule of the category that was used'),
  age_ms: z.int().describe('How old the figure may be; -1: never known'),
  backorder: backorder.nullable(),
  pace: z
    .enum(['proceed', 'slow-down', 'redirect-to-backorder', 'stop'])
    .describe('What a buyer that is a machine ought to do'),
});
export type AvailabilityItem = z.output<typeof availabilityItem>;

export const availability = z.object({
  items: z.array(availabilityItem),
  sequence,
  as_of: moment,
  age_ms: z.int(),
  max_age_ms: z.int().describe('The bound: older than that the policy of the category decides'),
  decision_id: z.string().nullable().describe('Null: this answer was not sampled into the audit log'),
  receipt: receipt.optional(),
});
export type Availability = z.output<typeof availability>;

const record = z.record(z.string(), z.unknown());
export const explanation = z.object({
  decisions: z.array(record).describe('Records of the audit log: what was asked, known, shown and decided'),
  movements: z
    .array(record)
    .describe('Entries of the log that belong to it, with the level before and after each'),
  summary: z.array(z.string()).describe('The same in sentences, oldest first'),
});
export type Explanation = z.output<typeof explanation>;

export const problem = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    code: z.string(),
    retryable: z.boolean(),
    requestId: z.string(),
  })
  .describe('application/problem+json (RFC 9457); codes in docs/errors.md');
