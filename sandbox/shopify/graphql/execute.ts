import { Kind, execute } from 'graphql';
import type { DocumentNode, ExecutionResult, OperationDefinitionNode } from 'graphql';
import type { ThrottleStatus } from '../cost-bucket.ts';
import type { FaultKind } from '../faults.ts';
import type { SandboxShop } from '../shop.ts';
import type { RequestContext, SearchReport } from './context.ts';
import { actualCost, requestedCost } from './cost.ts';
import { checkDocument, operationsOf } from './documents.ts';
import type { ErrorBody } from './documents.ts';
import { idempotentCallsOf } from './idempotent-mutation.ts';
import { arraySizeErrors } from './input-limits.ts';
import { resolveField, resolveType } from './registry.ts';
import { adminSchema } from './schema.ts';
import { variableErrors } from './variables.ts';

export interface GraphqlRequest {
  readonly query: string;
  readonly variables: Readonly<Record<string, unknown>>;
  readonly operationName: string | null;
}

/** What a request asks for, before anything is executed or charged. */
export type PreparedOperation =
  | {
      readonly kind: 'runnable';
      readonly name: string;
      readonly document: DocumentNode;
      readonly operation: OperationDefinitionNode;
      readonly variables: Readonly<Record<string, unknown>>;
      readonly cost: number;
    }
  | {
      readonly kind: 'refused';
      readonly name: string;
      readonly errors: readonly ErrorBody[];
      readonly reason: string;
    };

export interface OperationAnswer {
  readonly body: Readonly<Record<string, unknown>>;
  readonly outcome: string;
  readonly requestedCost: number | null;
  readonly actualCost: number | null;
}

const MAX_QUERY_COST = 1_000;

export function prepareOperation(shop: SandboxShop, request: GraphqlRequest): PreparedOperation {
  const checked = checkDocument(request.query);
  const refuse = (
    name: string,
    kind: 'graphql-validation' | 'invalid-variable' | 'over-limit-array' | 'over-limit-cost',
    errors: readonly ErrorBody[],
  ): PreparedOperation => {
    for (const error of errors) shop.violate(kind, `${name}: ${String(error['message'])}`);
    return { kind: 'refused', name, errors, reason: kind };
  };
  if (checked.kind === 'invalid')
    return refuse(request.operationName ?? 'unknown', 'graphql-validation', checked.errors);

  const operations = operationsOf(checked.document);
  const operation =
    request.operationName === null
      ? operations[0]
      : operations.find((candidate) => candidate.name?.value === request.operationName);
  if (!operation || (request.operationName === null && operations.length > 1))
    return refuse('unknown', 'graphql-validation', [{ message: 'An operation name is required' }]);
  const name = nameOf(operation);

  const oversized = arraySizeErrors(operation, request.variables);
  if (oversized.length > 0) return refuse(name, 'over-limit-array', oversized);
  const misfits = variableErrors(operation, request.variables);
  if (misfits.length > 0) return refuse(name, 'invalid-variable', misfits);

  const cost = requestedCost(checked.document, operation, request.variables);
  if (cost > MAX_QUERY_COST)
    return refuse(name, 'over-limit-cost', [
      {
        message: `Query cost is ${cost}, which exceeds the single query max cost limit (${MAX_QUERY_COST}).`,
        extensions: {
          code: 'MAX_COST_EXCEEDED',
          cost,
          maxCost: MAX_QUERY_COST,
          documentation: 'https://shopify.dev/api/usage/limits#rate-limits',
        },
      },
    ]);
  return {
    kind: 'runnable',
    name,
    document: checked.document,
    operation,
    variables: request.variables,
    cost,
  };
}

/** Operation name, or the first root field of an unnamed operation. */
function nameOf(operation: OperationDefinitionNode): string {
  if (operation.name) return operation.name.value;
  const first = operation.selectionSet.selections[0];
  return first?.kind === Kind.FIELD ? first.name.value : 'unknown';
}

type Runnable = Extract<PreparedOperation, { kind: 'runnable' }>;

export interface Reservation {
  readonly owner: symbol;
  release(): void;
}

/** Holds the operation's idempotency keys while it waits, so that a repeat meets a running request. */
export function reserveKeys(shop: SandboxShop, prepared: Runnable): Reservation {
  const owner = Symbol(prepared.name);
  const calls = idempotentCallsOf(prepared.operation, prepared.variables);
  for (const call of calls) shop.idempotency.reserve(call, owner, shop.settings.idempotencyWindowMs);
  return { owner, release: () => shop.idempotency.release(calls, owner) };
}

/** An attempt that died inside the platform: nothing was applied and its keys are spent. */
export function failKeys(shop: SandboxShop, prepared: Runnable): void {
  for (const call of idempotentCallsOf(prepared.operation, prepared.variables))
    shop.idempotency.fail(call, Symbol(prepared.name));
}

export function runOperation(
  shop: SandboxShop,
  prepared: Runnable,
  fault: FaultKind | null,
  reservation: symbol = Symbol(prepared.name),
): OperationAnswer {
  const { document, operation, variables, cost } = prepared;
  const taken = fault === 'throttled' ? 'throttled' : shop.bucket.take(cost);
  if (taken !== 'taken') {
    if (taken === 'ignored')
      shop.violate('ignored-throttle', `${prepared.name} keeps calling while throttled`);
    return {
      body: { errors: [THROTTLED], extensions: { cost: costBody(cost, null, shop.bucket.status()) } },
      outcome: 'THROTTLED',
      requestedCost: cost,
      actualCost: null,
    };
  }
  const context: RequestContext = {
    shop,
    operation: prepared.name,
    rawVariables: variables,
    searchReports: [],
    bulkWindow: null,
    fault,
    reservation,
  };
  const result = executeNow(document, operation, variables, context);
  const spent = actualCost(document, operation, variables, result.data, cost);
  shop.bucket.giveBack(cost - spent);
  return {
    body: answerBody(result, costBody(cost, spent, shop.bucket.status()), context.searchReports),
    outcome: outcomeOf(result),
    requestedCost: cost,
    actualCost: spent,
  };
}

/** Resolvers never wait, so an operation is one indivisible step between two others. */
function executeNow(
  document: DocumentNode,
  operation: OperationDefinitionNode,
  variables: Readonly<Record<string, unknown>>,
  context: RequestContext,
): ExecutionResult {
  const result = execute({
    schema: adminSchema(),
    document,
    operationName: operation.name?.value ?? null,
    variableValues: variables,
    contextValue: context,
    fieldResolver: resolveField,
    typeResolver: resolveType,
  });
  if (result instanceof Promise) throw new TypeError('a sandbox resolver returned a promise');
  return result;
}

/** Reads a slice of a bulk query: no cost, no page limit. */
export function readBulkSlice(
  shop: SandboxShop,
  document: DocumentNode,
  operation: OperationDefinitionNode,
  bulkWindow: NonNullable<RequestContext['bulkWindow']>,
): ExecutionResult {
  return executeNow(
    document,
    operation,
    {},
    {
      shop,
      operation: 'bulk',
      rawVariables: {},
      searchReports: [],
      bulkWindow,
      fault: null,
      reservation: Symbol('bulk'),
    },
  );
}

function outcomeOf(result: ExecutionResult): string {
  const [error] = result.errors ?? [];
  if (!error) return 'ok';
  return typeof error.extensions['code'] === 'string' ? error.extensions['code'] : 'error';
}

const THROTTLED = {
  message: 'Throttled',
  extensions: { code: 'THROTTLED', documentation: 'https://shopify.dev/api/usage/rate-limits' },
};

const costBody = (requested: number, actual: number | null, throttleStatus: ThrottleStatus) => ({
  requestedQueryCost: requested,
  actualQueryCost: actual,
  throttleStatus,
});

function answerBody(
  result: ExecutionResult,
  cost: ReturnType<typeof costBody>,
  searchReports: readonly SearchReport[],
): Record<string, unknown> {
  const extensions = searchReports.length > 0 ? { cost, search: searchReports } : { cost };
  return { ...(result.errors ? { errors: result.errors } : {}), data: result.data ?? null, extensions };
}
