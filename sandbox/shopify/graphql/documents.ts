import { Kind, GraphQLError, parse, validate, visit } from 'graphql';
import type { ASTNode, DocumentNode, OperationDefinitionNode } from 'graphql';
import { adminSchema } from './schema.ts';

export type ErrorBody = Readonly<Record<string, unknown>>;

export type CheckedDocument =
  | { readonly kind: 'valid'; readonly document: DocumentNode }
  | { readonly kind: 'invalid'; readonly errors: readonly ErrorBody[] };

const MAX_CACHED = 2_000;
const cache = new Map<string, CheckedDocument>();

/** Parsed and validated once per source text: clients send the same few documents over and over. */
export function checkDocument(source: string): CheckedDocument {
  const known = cache.get(source);
  if (known) return known;
  const checked = check(source);
  if (cache.size >= MAX_CACHED) cache.delete(cache.keys().next().value ?? '');
  cache.set(source, checked);
  return checked;
}

function check(source: string): CheckedDocument {
  let document: DocumentNode;
  try {
    document = parse(source);
  } catch (error) {
    if (!(error instanceof GraphQLError)) throw error;
    const message = source.trim() === '' ? 'syntax error, unexpected end of file' : error.message;
    return { kind: 'invalid', errors: [{ message, locations: error.locations ?? [] }] };
  }
  const errors = validate(adminSchema(), document, undefined, { maxErrors: 20 });
  if (errors.length === 0) return { kind: 'valid', document };
  return { kind: 'invalid', errors: errors.map((error) => shaped(document, error)) };
}

export function operationsOf(document: DocumentNode): readonly OperationDefinitionNode[] {
  return document.definitions.filter((node) => node.kind === Kind.OPERATION_DEFINITION);
}

/** Shopify's wording (graphql-ruby) for the mistakes that were recorded; others keep the validator's message. */
const WORDINGS: readonly {
  readonly pattern: RegExp;
  readonly shape: (match: readonly string[]) => { message: string; extensions: Record<string, unknown> };
}[] = [
  {
    pattern: /^Cannot query field "(\w+)" on type "(\w+)"/,
    shape: ([, fieldName = '', typeName = '']) => ({
      message: `Field '${fieldName}' doesn't exist on type '${typeName}'`,
      extensions: { code: 'undefinedField', typeName, fieldName },
    }),
  },
  {
    pattern: /^Unknown argument "(\w+)" on field "\w+\.(\w+)"/,
    shape: ([, argumentName = '', name = '']) => ({
      message: `Field '${name}' doesn't accept argument '${argumentName}'`,
      extensions: { code: 'argumentNotAccepted', name, typeName: 'Field', argumentName },
    }),
  },
  {
    pattern: /^Field "(\w+)" argument "(\w+)" of type ".*" is required/,
    shape: ([, name = '', argument = '']) => ({
      message: `Field '${name}' is missing required arguments: ${argument}`,
      extensions: { code: 'missingRequiredArguments', className: 'Field', name, arguments: argument },
    }),
  },
];

function shaped(document: DocumentNode, error: GraphQLError): ErrorBody {
  const base = { locations: error.locations ?? [], path: pathTo(document, error.nodes?.[0]) };
  for (const { pattern, shape } of WORDINGS) {
    const match = pattern.exec(error.message);
    if (match) return { ...shape(match), ...base };
  }
  return { message: error.message, ...base, extensions: { code: 'invalid' } };
}

/** e.g. ["mutation Name", "inventoryActivate", "userErrors", "code"] */
function pathTo(document: DocumentNode, target: ASTNode | undefined): string[] {
  let found: string[] = [];
  if (!target) return found;
  const open: string[] = [];
  const label = (node: ASTNode): string | null => {
    if (node.kind === Kind.OPERATION_DEFINITION)
      return node.name ? `${node.operation} ${node.name.value}` : node.operation;
    if (node.kind === Kind.FRAGMENT_DEFINITION) return `fragment ${node.name.value}`;
    return node.kind === Kind.FIELD ? (node.alias ?? node.name).value : null;
  };
  visit(document, {
    enter(node) {
      const text = label(node);
      if (text !== null) open.push(text);
      if (node === target) found = [...open];
    },
    leave(node) {
      if (label(node) !== null) open.pop();
    },
  });
  return found;
}
