import type { GraphQLResolveInfo } from 'graphql';
import type { FaultKind } from '../faults.ts';
import type { SandboxShop } from '../shop.ts';

export interface SearchReport {
  readonly path: readonly (string | number)[];
  readonly query: string;
  readonly parsed: unknown;
  readonly warnings: readonly { readonly field: string; readonly message: string; readonly code: string }[];
}

/** State of one GraphQL operation. */
export interface RequestContext {
  readonly shop: SandboxShop;
  readonly operation: string;
  readonly rawVariables: Readonly<Record<string, unknown>>;
  readonly searchReports: SearchReport[];
  /** Set inside a bulk operation: connections are unbounded and the root one shows rows [from, to). */
  readonly bulkWindow: { readonly from: number; readonly to: number } | null;
  readonly fault: FaultKind | null;
  /** Owner of the idempotency keys this request reserved before it started to execute. */
  readonly reservation: symbol;
}

export type Resolver<Source = unknown, Args = Record<string, unknown>> = (
  source: Source,
  args: Args,
  context: RequestContext,
  info: GraphQLResolveInfo,
) => unknown;

/** Resolvers of one type. Source and argument types are the author's claim; the schema checks the arguments. */
export type TypeResolvers = Readonly<Record<string, Resolver<never, never>>>;
