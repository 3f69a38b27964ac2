import { GraphQLError } from 'graphql';
import type { ASTNode, GraphQLResolveInfo } from 'graphql';
import type { RequestContext } from './context.ts';

/** A top-level error at the field that is being resolved; graphql-js adds path and locations. */
export function topLevelError(code: string, message: string, nodes?: readonly ASTNode[]): GraphQLError {
  return new GraphQLError(message, { extensions: { code }, ...(nodes ? { nodes } : {}) });
}

export interface UserError {
  readonly field: readonly string[] | null;
  readonly message: string;
  readonly code: string | null;
}

export const userError = (
  field: readonly string[] | null,
  code: string | null,
  message: string,
): UserError => ({
  field,
  message,
  code,
});

export function requireScope(context: RequestContext, info: GraphQLResolveInfo, ...anyOf: string[]): void {
  const granted = context.shop.tokens.app.scopes;
  // A write scope implies the read scope of the same resource.
  if (anyOf.some((scope) => granted.includes(scope) || granted.includes(scope.replace(/^read_/, 'write_'))))
    return;
  const needed = anyOf.map((scope) => `\`${scope}\``).join(' or ');
  context.shop.violate('access-denied', `${info.fieldName} needs ${needed}`);
  throw topLevelError(
    'ACCESS_DENIED',
    `Access denied for ${info.fieldName} field. Required access: ${needed} access scope.`,
  );
}
