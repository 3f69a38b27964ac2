import type { BulkOperation } from '../bulk/operations.ts';
import { checkBulkQuery } from '../bulk/rules.ts';
import { idNumber, isoSeconds } from '../ids.ts';
import { paginate } from './connection.ts';
import type { PageArguments } from './connection.ts';
import type { RequestContext, Resolver, TypeResolvers } from './context.ts';
import { topLevelError, userError } from './failures.ts';
import { search } from './search.ts';
import type { SearchSpec } from './search.ts';

export const BULK_MUTATIONS: TypeResolvers = {
  bulkOperationRunQuery: ((_source, { query }, { shop }) => {
    const problems = checkBulkQuery(query);
    if (problems.length > 0)
      return {
        bulkOperation: null,
        userErrors: problems.map((message) => userError(['query'], 'INVALID', message)),
      };
    const started = shop.bulk.start(query);
    if (started.kind === 'started') return { bulkOperation: started.operation, userErrors: [] };
    const message = `A bulk query operation for this app and shop is already in progress: ${started.running.join(', ')}.`;
    return { bulkOperation: null, userErrors: [userError(null, 'OPERATION_IN_PROGRESS', message)] };
  }) satisfies Resolver<unknown, { query: string }>,

  bulkOperationCancel: ((_source, { id }, { shop }) => {
    const operation = shop.bulk.get(id);
    if (!operation)
      return { bulkOperation: null, userErrors: [userError(['id'], null, 'Bulk operation does not exist')] };
    if (shop.bulk.cancel(operation)) return { bulkOperation: operation, userErrors: [] };
    const status = operation.status.toLowerCase();
    const message = `A bulk operation cannot be canceled when it is ${status}`;
    return { bulkOperation: operation, userErrors: [userError(null, null, message)] };
  }) satisfies Resolver<unknown, { id: string }>,
};

const SPEC: SearchSpec<BulkOperation> = {
  fields: {
    id: { kind: 'id', of: (operation) => [idNumber(operation.id) ?? '0'] },
    created_at: { kind: 'time', of: (operation) => operation.createdAt },
    operation_type: { kind: 'choice', choices: ['query', 'mutation'], of: () => ['query'] },
    status: {
      kind: 'choice',
      choices: ['canceled', 'canceling', 'completed', 'created', 'failed', 'running'],
      of: (operation) => [operation.status.toLowerCase()],
    },
  },
};

interface ListArguments extends PageArguments {
  readonly query?: string | null;
  readonly sortKey?: string | null;
}

function byId(context: RequestContext, id: string): BulkOperation | null {
  if (!id.startsWith('gid://shopify/BulkOperation/'))
    throw topLevelError('RESOURCE_NOT_FOUND', `Invalid id: ${id}`);
  return context.shop.bulk.get(id);
}

export const BULK_QUERIES: TypeResolvers = {
  bulkOperation: ((_source, { id }, context) => byId(context, id)) satisfies Resolver<
    unknown,
    { id: string }
  >,
  bulkOperations: ((_source, args, context, info) => {
    const rows = search(context.shop.bulk.all(), args.query, SPEC, context, info);
    const at = (operation: BulkOperation) =>
      args.sortKey === 'COMPLETED_AT' ? (operation.completedAt ?? 0) : operation.createdAt;
    const order = { key: at, id: (operation: BulkOperation) => idNumber(operation.id) ?? '0' };
    // Newest first unless reversed.
    return paginate(rows, { ...args, reverse: args.reverse !== true }, order, context, info);
  }) satisfies Resolver<unknown, ListArguments>,
};

export const BULK_TYPES: Readonly<Record<string, TypeResolvers>> = {
  BulkOperation: {
    type: (() => 'QUERY') satisfies Resolver,
    createdAt: ((operation) => isoSeconds(operation.createdAt)) satisfies Resolver<BulkOperation>,
    completedAt: ((operation) =>
      operation.completedAt === null
        ? null
        : isoSeconds(operation.completedAt)) satisfies Resolver<BulkOperation>,
    objectCount: ((operation) => String(operation.objectCount)) satisfies Resolver<BulkOperation>,
    rootObjectCount: ((operation) => String(operation.rootObjectCount)) satisfies Resolver<BulkOperation>,
    fileSize: ((operation) =>
      operation.fileSize === null ? null : String(operation.fileSize)) satisfies Resolver<BulkOperation>,
  },
};
