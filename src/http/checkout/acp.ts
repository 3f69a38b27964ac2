import { z } from 'zod';
import { channel, quantity, reference, sku } from '../reservations/fields.ts';
import { maxReserveLines } from '../reservations/requests.ts';
import type { SessionView } from './checkout-desk.ts';
import type { Failure } from './failure.ts';
import type { Remark, SessionKind } from './session.ts';
import { acpFeedStatuses, acpLineStatus, acpLineStatuses } from './words.ts';

/** Agentic Commerce Protocol, specification of this date. */
export const acpVersion = '2026-04-17';

// Requests are the agent's own, which the merchant's server passes on: what is none of our business is not looked at.
// (The JSON schema of this version left `quantity` out of Item; the text and the examples of its carts have it.)
const item = z.looseObject({ id: sku, quantity: quantity.optional().describe('Absent: 1') });
const items = z.array(item).min(1).max(maxReserveLines);

export const acpSessionCreate = z.looseObject({ line_items: items });
export const acpSessionUpdate = z.looseObject({ line_items: items.optional() });
export const acpCart = z.looseObject({ line_items: items });
export const acpComplete = z.looseObject({
  order: z
    .looseObject({
      id: reference,
      channel: channel.optional().describe('Where the order will be seen; absent: direct'),
      permalink_url: z.url().max(2_000).optional(),
    })
    .optional()
    .describe(
      'Added by the merchant: the order it became. Absent: the session id. Send no payment data here',
    ),
});
export const acpCancel = z.union([z.undefined(), z.null(), z.looseObject({})]);

export const acpHeaders = z.looseObject({
  'idempotency-key': z
    .string()
    .min(1)
    .max(255)
    .optional()
    .describe('Required on every POST; a repeat is answered with the first answer'),
  'api-version': z.string().max(50).optional().describe(`Required: ${acpVersion}`),
  'request-id': z.string().max(255).optional().describe('Sent back'),
});
export type AcpHeaders = z.output<typeof acpHeaders>;

export const acpErrorCodes = [
  'out_of_stock',
  'quantity_exceeded',
  'maximum_exceeded',
  'expired',
  'conflict',
] as const;

const messageError = z.object({
  type: z.literal('error'),
  code: z.enum(acpErrorCodes),
  resolution: z.enum(['recoverable', 'requires_buyer_input', 'requires_buyer_review']),
  param: z.string().optional(),
  content_type: z.literal('plain'),
  content: z.string(),
});
const messageWarning = z.object({
  type: z.literal('warning'),
  code: z.literal('low_stock'),
  param: z.string().optional(),
  content_type: z.literal('plain'),
  content: z.string(),
});
const message = z.union([messageError, messageWarning]);
type AcpMessage = z.output<typeof message>;

const lineItem = z.object({
  id: z.string(),
  item: z.object({ id: z.string() }),
  quantity: z.int(),
  availability_status: z.enum(acpLineStatuses),
  available_quantity: z.int().min(0).optional(),
});

export const acpCartAnswer = z
  .object({
    id: z.string(),
    line_items: z.array(lineItem),
    messages: z.array(message),
    expires_at: z.string().optional(),
  })
  .describe('The stock part of an ACP Cart: put into the one you answer with');

export const acpSessionStatuses = [
  'not_ready_for_payment',
  'ready_for_payment',
  'completed',
  'canceled',
  'expired',
] as const;

export const acpSessionAnswer = z
  .object({
    id: z.string(),
    protocol: z.object({ version: z.string() }),
    status: z.enum(acpSessionStatuses),
    line_items: z.array(lineItem),
    messages: z.array(message),
    created_at: z.string(),
    updated_at: z.string(),
    expires_at: z.string().optional(),
    order: z
      .object({ id: z.string(), checkout_session_id: z.string(), permalink_url: z.string().optional() })
      .optional(),
    metadata: z.object({ stockmesh_hold_id: z.string(), stockmesh_sequence: z.string() }).optional(),
  })
  .describe('The stock part of an ACP CheckoutSession: put into the one you answer with');

export const acpError = z
  .object({
    type: z.enum(['invalid_request', 'processing_error', 'service_unavailable']),
    code: z.string(),
    message: z.string(),
    param: z.string().optional(),
    supported_versions: z.array(z.string()).optional(),
  })
  .describe('Error of ACP');
export type AcpError = z.output<typeof acpError>;

export const acpAvailability = z.object({
  items: z.array(
    z.object({
      id: z.string(),
      availability: z.object({ available: z.boolean(), status: z.enum(acpFeedStatuses) }),
    }),
  ),
});

const statuses: Readonly<Record<SessionView['phase'], (typeof acpSessionStatuses)[number]>> = {
  held: 'ready_for_payment',
  unmet: 'not_ready_for_payment',
  expired: 'expired',
  completed: 'completed',
  canceled: 'canceled',
};
const errorCodes: Readonly<Record<Exclude<Remark['reason'], 'low-stock'>, (typeof acpErrorCodes)[number]>> = {
  'sold-out': 'out_of_stock',
  'too-many': 'quantity_exceeded',
  limit: 'maximum_exceeded',
  expired: 'expired',
  'not-open': 'conflict',
  refused: 'conflict',
};

export function acpSession(view: SessionView): z.output<typeof acpSessionAnswer> {
  const { hold, phase } = view;
  const order = phase === 'completed' ? (hold?.order ?? undefined) : undefined;
  return {
    id: view.id,
    protocol: { version: acpVersion },
    status: statuses[phase],
    line_items: lineItemsOf(view),
    messages: view.remarks.map(messageOf),
    created_at: new Date(view.createdMs).toISOString(),
    updated_at: new Date(view.changedMs).toISOString(),
    ...expiryOf(view),
    ...(order === undefined
      ? {}
      : {
          order: {
            id: order.order_id,
            checkout_session_id: view.id,
            ...(view.permalinkUrl === undefined ? {} : { permalink_url: view.permalinkUrl }),
          },
        }),
    ...(hold === undefined
      ? {}
      : { metadata: { stockmesh_hold_id: hold.hold_id, stockmesh_sequence: hold.sequence } }),
  };
}

/** Carts have no status: one that has ended does not exist any more. */
export function acpCartOf(view: SessionView): z.output<typeof acpCartAnswer> {
  return {
    id: view.id,
    line_items: lineItemsOf(view),
    messages: view.remarks.map(messageOf),
    ...expiryOf(view),
  };
}

function expiryOf({ hold, phase }: SessionView): { expires_at?: string } {
  const isLive = hold !== undefined && (phase === 'held' || phase === 'unmet');
  return isLive ? { expires_at: hold.expires_at } : {};
}

function lineItemsOf({ lines }: SessionView): z.output<typeof lineItem>[] {
  return lines.map(({ id, sku: itemId, quantity: units, status, available }) => ({
    id,
    item: { id: itemId },
    quantity: units,
    availability_status: acpLineStatus(status),
    ...(available === null ? {} : { available_quantity: Math.max(0, available) }),
  }));
}

function messageOf({ reason, line, text }: Remark): AcpMessage {
  if (reason === 'low-stock') {
    const param = line === undefined ? {} : { param: `$.line_items[${line}]` };
    return { type: 'warning', code: 'low_stock', ...param, content_type: 'plain', content: text };
  }
  const member = reason === 'sold-out' ? 'item.id' : 'quantity';
  return {
    type: 'error',
    code: errorCodes[reason],
    resolution: 'recoverable',
    ...(line === undefined ? {} : { param: `$.line_items[${line}].${member}` }),
    content_type: 'plain',
    content: text,
  };
}

/** Codes of ours that ACP has words for; others are told as they are, in its spelling. */
const failureCodes: Partial<Record<Failure['code'], string>> = {
  IDEMPOTENCY_IN_FLIGHT: 'idempotency_in_flight',
  IDEMPOTENCY_KEY_REUSED: 'idempotency_conflict',
  HTTP_REQUEST_INVALID: 'invalid',
  HTTP_UNAUTHENTICATED: 'unauthorized',
  HTTP_FORBIDDEN: 'forbidden',
  HTTP_RATE_LIMITED: 'rate_limited',
};

export function acpFailure(failure: Failure): AcpError {
  const { status, code } = failure;
  return {
    type: status === 503 ? 'service_unavailable' : status >= 500 ? 'processing_error' : 'invalid_request',
    code: failureCodes[code] ?? code.toLowerCase(),
    message: failure.message,
    ...(failure.path === undefined ? {} : { param: failure.path }),
  };
}

/** Ends of a cart that ACP tells by 404. */
export function isGone(kind: SessionKind, { phase }: SessionView): boolean {
  return kind === 'cart' && (phase === 'expired' || phase === 'canceled');
}
