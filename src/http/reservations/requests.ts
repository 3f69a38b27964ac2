import { z } from 'zod';
import { readQuickly } from '../api/validators.ts';
import { agentId, channel, holdId, quantity, reference, sku } from './fields.ts';
import { readPlainReserve } from './plain-reserve.ts';

/** What a hold is for; decides its default and longest time to live. `payment_pending` is reached, never asked for. */
export const askedStages = ['intent', 'checkout', 'cart'] as const;

const common = {
  agent_id: agentId.optional().describe('Who it is for; needed from agents whose key stands for many'),
  session_id: agentId.optional().describe('Transactions are counted per agent and session'),
  ttl_seconds: z.int().min(1).max(86_400).optional().describe('Absent: the default of the stage'),
  stage: z.enum(askedStages).optional().describe('Absent: intent for agents, checkout for the others'),
  wait_seconds: z
    .number()
    .min(0)
    .max(60)
    .optional()
    .describe('Of a hot SKU that is sold out: how long to stand in the queue'),
  settles_on: channel
    .optional()
    .describe('The channel on which the held units will be bought: its number does not hide them'),
};

export const reserveLine = z.strictObject({ sku, quantity });
export const maxReserveLines = 200;

export const reserveBody = readQuickly(
  z.union([
    z.strictObject({ sku, quantity, ...common }),
    z.strictObject({ lines: z.array(reserveLine).min(1).max(maxReserveLines), ...common }),
  ]),
  readPlainReserve,
);
export type ReserveBody = z.output<typeof reserveBody>;

const changed = { ttl_seconds: common.ttl_seconds };
export const changeBody = z.union([
  z.strictObject({ sku, quantity, ...changed }),
  z.strictObject({ lines: z.array(reserveLine).min(1).max(maxReserveLines), ...changed }),
]);
export type ChangeBody = z.output<typeof changeBody>;

export const extendBody = z.strictObject({
  ttl_seconds: z.int().min(1).max(86_400).optional().describe('From now; absent: the default of the stage'),
});
export type ExtendBody = z.output<typeof extendBody>;

export const commitBody = z.strictObject({
  order: z.strictObject({ channel, order_id: reference }).optional().describe('The order it became'),
  lines: z
    .array(z.strictObject({ sku, quantity: z.int().min(0).max(1_000_000) }))
    .min(1)
    .max(maxReserveLines)
    .optional()
    .describe('Units to keep per SKU; the rest is given back. Absent: all of it'),
  session_id: agentId.optional(),
  receipt: z.string().max(400).optional().describe('`receipt.token` of the answer the buyer decided on'),
  if_expired: z
    .enum(['refuse', 'reserve_again'])
    .optional()
    .describe(
      'Absent: refuse. reserve_again: a hold that has run out is taken once more, if its units are still there',
    ),
});
export type CommitBody = z.output<typeof commitBody>;

export const pendingBody = z.strictObject({
  reference: reference.optional().describe('Of the payment, for whoever resolves it'),
  ttl_seconds: z
    .int()
    .min(1)
    .max(30 * 86_400)
    .optional(),
});
export type PendingBody = z.output<typeof pendingBody>;

export const holdParams = z.strictObject({ hold_id: holdId });

/** Empty bodies are taken where nothing has to be said. */
export const nothing = z.union([z.undefined(), z.null(), z.strictObject({})]);

export const idempotencyHeaders = z.looseObject({
  'idempotency-key': z
    .string()
    .regex(/^[\x21-\x7e]{1,255}$/)
    .optional()
    .describe('A repeat with the same key is answered with the first answer'),
});

export const availabilityQuery = z.strictObject({
  sku: z.union([sku, z.array(sku).min(1).max(200)]).describe('One or, repeated, many'),
  fresh: z
    .enum(['true', 'false'])
    .default('false')
    .describe('true: read from the ledger at this moment instead of the copy'),
  agent_id: agentId.optional(),
});
export type AvailabilityQuery = z.output<typeof availabilityQuery>;

export const decisionQuery = z.strictObject({
  hold_id: holdId.optional(),
  order_id: reference.optional(),
  channel: channel.optional().describe('Of the order; absent: direct'),
  decision_id: reference.optional(),
});
export type DecisionQuery = z.output<typeof decisionQuery>;
