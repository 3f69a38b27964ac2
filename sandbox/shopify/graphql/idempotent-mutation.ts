import { OperationTypeNode, Kind, valueFromASTUntyped } from 'graphql';
import type { FieldNode, GraphQLResolveInfo, OperationDefinitionNode } from 'graphql';
import type { RequestContext } from './context.ts';
import { topLevelError, userError } from './failures.ts';
import type { UserError } from './failures.ts';
import { fingerprintOf } from './idempotency.ts';
import type { IdempotencyEntry, IdempotentCall } from './idempotency.ts';

type Variables = Readonly<Record<string, unknown>>;

export interface Payload {
  readonly userErrors: readonly UserError[];
}

const MESSAGES = {
  IDEMPOTENCY_CONCURRENT_REQUEST: 'This request is currently in progress, please try again.',
  IDEMPOTENCY_KEY_PARAMETER_MISMATCH:
    'The same idempotency key cannot be used with different operation parameters.',
  IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED:
    'A previous request with this idempotency key failed. Retry with a new idempotency key.',
  SERVICE_UNAVAILABLE: 'The service is temporarily unavailable. Try again later.',
} as const;

const FAULT_CODES = {
  'idempotency-concurrent': 'IDEMPOTENCY_CONCURRENT_REQUEST',
  'idempotency-previous-failed': 'IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED',
  'service-unavailable': 'SERVICE_UNAVAILABLE',
} as const;

/** The call behind `field @idempotent(key:)`, or null when the directive (or its key) is missing. */
export function idempotentCallOf(field: FieldNode, variables: Variables): IdempotentCall | null {
  const directive = field.directives?.find((node) => node.name.value === 'idempotent');
  const argument = directive?.arguments?.find((node) => node.name.value === 'key');
  if (!argument) return null;
  const key: unknown = valueFromASTUntyped(argument.value, variables);
  if (typeof key !== 'string' || key.trim() === '') return null;
  const parameters = (field.arguments ?? []).map((node) => [
    node.name.value,
    valueFromASTUntyped(node.value, variables),
  ]);
  return { mutation: field.name.value, key, fingerprint: fingerprintOf(parameters) };
}

/** Every idempotent call of an operation. */
export function idempotentCallsOf(
  operation: OperationDefinitionNode,
  variables: Variables,
): IdempotentCall[] {
  if (operation.operation !== OperationTypeNode.MUTATION) return [];
  const calls: IdempotentCall[] = [];
  for (const field of operation.selectionSet.selections) {
    const call = field.kind === Kind.FIELD ? idempotentCallOf(field, variables) : null;
    if (call) calls.push(call);
  }
  return calls;
}

/**
 * Runs a mutation that requires the directive (since 2026-04). Same key and same parameters answer with the first
 * result and change nothing.
 */
export function idempotently<Result extends Payload>(
  context: RequestContext,
  info: GraphQLResolveInfo,
  refused: (errors: readonly UserError[]) => Result,
  run: (idempotencyKey: string) => Result,
): Result {
  const { shop } = context;
  const field = info.fieldNodes[0];
  const call = field ? idempotentCallOf(field, context.rawVariables) : null;
  if (!call) {
    shop.violate('missing-idempotent-directive', `${context.operation}: ${info.fieldName}`);
    throw topLevelError(
      'BAD_REQUEST',
      'The @idempotent directive is required for this mutation but was not provided.',
    );
  }
  const refuse = (code: keyof typeof MESSAGES) => refused([userError(null, code, MESSAGES[code])]);
  const faultCode = FAULT_CODES[context.fault as keyof typeof FAULT_CODES] as
    | keyof typeof MESSAGES
    | undefined;
  if (faultCode) {
    shop.idempotency.release([call], context.reservation);
    return refuse(faultCode);
  }
  const outcome = shop.idempotency.begin(call, context.reservation, shop.settings.idempotencyWindowMs);
  switch (outcome.kind) {
    case 'replay':
      return outcome.payload as Result;
    case 'concurrent':
      return refuse('IDEMPOTENCY_CONCURRENT_REQUEST');
    case 'previous-attempt-failed':
      return refuse('IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED');
    case 'mismatch':
      shop.violate('idempotency-key-reused', `${info.fieldName}: key ${call.key} with other parameters`);
      return refuse('IDEMPOTENCY_KEY_PARAMETER_MISMATCH');
    case 'new':
      return remembered(context, call, outcome.entry, run(call.key));
    default:
      throw new TypeError('unknown idempotency outcome');
  }
}

/** What a repeat of the key will get. */
function remembered<Result extends Payload>(
  { shop }: RequestContext,
  call: IdempotentCall,
  entry: IdempotencyEntry,
  payload: Result,
): Result {
  const policy = payload.userErrors.length > 0 ? shop.settings.afterUserErrors : 'replay';
  if (policy === 'reexecute') shop.idempotency.forget(call);
  else entry.state = policy === 'replay' ? { kind: 'done', payload } : { kind: 'failed' };
  return payload;
}
