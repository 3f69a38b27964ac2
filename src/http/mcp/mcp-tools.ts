import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { z } from 'zod';
import { StockmeshError } from '../../domain/errors.ts';
import { type Caller, isAllowed, type Scope } from '../api/caller.ts';
import { channel, holdId, reference } from '../reservations/fields.ts';
import {
  availabilityQuery,
  changeBody,
  commitBody,
  decisionQuery,
  extendBody,
  reserveBody,
} from '../reservations/requests.ts';
import type { Outcome, ReservationService } from '../reservations/service.ts';

/** What an agent's tool call is answered with: the body of the REST answer, as text and as structure. */
interface ToolAnswer {
  [key: string]: unknown;
  content: { type: 'text'; text: string }[];
  structuredContent: Record<string, unknown>;
  isError: boolean;
}

type Act = () => Outcome<object> | Promise<Outcome<object>>;

const idempotencyKey = z
  .string()
  .regex(/^[\x21-\x7e]{1,255}$/)
  .optional()
  .describe('Repeat a call that was not answered with the same key: it is carried out once');
const [, manyLines] = reserveBody.options;
const reserveInput = z.strictObject({ ...manyLines.shape, idempotency_key: idempotencyKey });
const availabilityInput = z.strictObject({
  skus: z.array(z.string().min(1).max(255)).min(1).max(200),
  fresh: z.boolean().default(false).describe('true: read from the ledger at this moment'),
  agent_id: availabilityQuery.shape.agent_id,
});
const ofHold = { hold_id: holdId, idempotency_key: idempotencyKey };
const [, manyChanged] = changeBody.options;
const changeInput = z.strictObject({ ...ofHold, ...manyChanged.shape });
const extendInput = z.strictObject({ ...ofHold, ...extendBody.shape });
const commitInput = z.strictObject({ ...ofHold, ...commitBody.shape });
const releaseInput = z.strictObject(ofHold);
const explainInput = z.strictObject({
  hold_id: holdId.optional(),
  order_id: reference.optional(),
  channel: channel.optional().describe('Of the order; absent: direct'),
  decision_id: decisionQuery.shape.decision_id,
});

/**
 * Tools over the service behind the REST routes: the same keys, scopes, limits and answers. A refusal of the business
 * (denied, run out) is an answer; `isError` is what REST would answer as a problem.
 */
export function mcpServer(service: ReservationService, caller: Caller, version: string): McpServer {
  const server = new McpServer(
    { name: 'stockmesh', version },
    {
      instructions:
        'Stock of one merchant. reserve_stock holds units before payment or denies, in one call: do not check first to decide. ' +
        'A hold ends at expires_at; extend it before, commit it when paid, release it when not bought. ' +
        'change puts other lines in its place; what it holds counts as there for them.',
    },
  );
  const readOnly = { readOnlyHint: true, openWorldHint: false };
  const writing = { readOnlyHint: false, destructiveHint: false, idempotentHint: true, openWorldHint: false };
  const guarded = (scope: Scope, act: Act): Promise<ToolAnswer> => answered(caller, scope, act);

  server.registerTool(
    'check_availability',
    {
      description: 'What could be had of SKUs, with age and sequence of the figure',
      inputSchema: availabilityInput.shape,
      annotations: readOnly,
    },
    ({ skus, fresh, agent_id }) =>
      guarded('availability', () => {
        const query = { sku: skus, fresh: String(fresh), agent_id };
        return service.availability(caller, checked(availabilityQuery, query));
      }),
  );
  server.registerTool(
    'reserve_stock',
    {
      description: 'Hold units of one or several SKUs, all or nothing, or be denied with advice',
      inputSchema: reserveInput.shape,
      annotations: writing,
    },
    ({ idempotency_key, ...body }) =>
      guarded('reserve', () => service.reserve(caller, checked(reserveBody, body), keyed(idempotency_key))),
  );
  server.registerTool(
    'change',
    {
      description:
        'Other lines in the place of those of a hold, all or nothing: a new hold id, or denied and the hold stays as it was',
      inputSchema: changeInput.shape,
      annotations: writing,
    },
    ({ hold_id, idempotency_key, ...body }) =>
      guarded('reserve', () =>
        service.change(caller, hold_id, checked(changeBody, body), keyed(idempotency_key)),
      ),
  );
  server.registerTool(
    'extend',
    {
      description: 'A later deadline for a hold that has not run out',
      inputSchema: extendInput.shape,
      annotations: writing,
    },
    ({ hold_id, idempotency_key, ...body }) =>
      guarded('reserve', () => service.extend(caller, hold_id, body, keyed(idempotency_key))),
  );
  server.registerTool(
    'commit',
    {
      description: 'The hold, or a part of it, was bought',
      inputSchema: commitInput.shape,
      annotations: writing,
    },
    ({ hold_id, idempotency_key, ...body }) =>
      guarded('reserve', () =>
        service.commit(caller, hold_id, checked(commitBody, body), keyed(idempotency_key)),
      ),
  );
  server.registerTool(
    'release',
    { description: 'Give the units of a hold back', inputSchema: releaseInput.shape, annotations: writing },
    ({ hold_id, idempotency_key }) =>
      guarded('reserve', () => service.release(caller, hold_id, keyed(idempotency_key))),
  );
  server.registerTool(
    'explain_decision',
    {
      description: 'What was known, shown and decided about a hold or an order',
      inputSchema: explainInput.shape,
      annotations: readOnly,
    },
    (query) => guarded('availability', () => service.explainDecision(caller, checked(decisionQuery, query))),
  );
  return server;
}

async function answered(caller: Caller, scope: Scope, act: Act): Promise<ToolAnswer> {
  try {
    if (!isAllowed(caller, scope)) throw new StockmeshError('HTTP_FORBIDDEN', { scope });
    const { body } = await act();
    return shown(body, 'code' in body && 'retryable' in body);
  } catch (error) {
    if (!(error instanceof StockmeshError)) throw error;
    const { code, message, retryable, fields } = error;
    const afterS = fields['retryAfterS'];
    return shown(
      { code, title: message, retryable, ...(afterS === undefined ? {} : { retry_after_seconds: afterS }) },
      true,
    );
  }
}

function shown(body: object, isError: boolean): ToolAnswer {
  const text = JSON.stringify(body);
  return { content: [{ type: 'text', text }], structuredContent: { ...body }, isError };
}

function keyed(key: string | undefined): { readonly idempotencyKey?: string } {
  return key === undefined ? {} : { idempotencyKey: key };
}

/** The rules of the REST schemas that the shape of a tool cannot say. */
function checked<T>(schema: z.ZodType<T>, input: unknown): T {
  const parsed = schema.safeParse(input);
  if (parsed.success) return parsed.data;
  const reason = parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; ');
  throw new StockmeshError('HTTP_REQUEST_INVALID', { reason: reason.slice(0, 500) });
}
