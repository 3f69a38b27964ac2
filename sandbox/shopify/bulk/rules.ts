import { OperationTypeNode, Kind, getNamedType, isListType, isNonNullType, isObjectType } from 'graphql';
import type { FieldNode, GraphQLObjectType, OperationDefinitionNode, SelectionSetNode } from 'graphql';
import { checkDocument, operationsOf } from '../graphql/documents.ts';
import { adminSchema } from '../graphql/schema.ts';

const MAX_CONNECTIONS = 5;
const MAX_DEPTH = 2;

interface Findings {
  connections: number;
  depth: number;
  readonly usingNodes: string[];
  readonly withoutId: string[];
  hasConnectionInList: boolean;
}

/** Shopify's refusals of a bulk query, in the wording of the recorded answers; empty when the query may run. */
export function checkBulkQuery(source: string): string[] {
  const checked = checkDocument(source);
  if (checked.kind === 'invalid') {
    const message = String(checked.errors[0]?.['message']);
    return [`Invalid bulk query: ${message}`];
  }
  const operation = operationsOf(checked.document)[0];
  if (operation?.operation !== OperationTypeNode.QUERY)
    return ['Invalid operation type. Only `query` operations are supported.'];
  const problems: string[] = [];
  for (const selection of operation.selectionSet.selections)
    if (selection.kind === Kind.FIELD && /^nodes?$/.test(selection.name.value))
      problems.push(`Bulk queries cannot contain a top level \`${selection.name.value}\` field.`);
  const findings = inspect(operation);
  if (findings.connections === 0) problems.push('Bulk queries must contain at least one connection.');
  if (findings.connections > MAX_CONNECTIONS)
    problems.push(`Bulk queries cannot contain more than ${MAX_CONNECTIONS} connections.`);
  if (findings.depth > MAX_DEPTH)
    problems.push(`Bulk queries cannot contain connections with a nesting depth greater than ${MAX_DEPTH}.`);
  if (findings.hasConnectionInList)
    problems.push('Queries that contain a connection field within a list field are not currently supported.');
  const [first] = findings.usingNodes;
  if (first !== undefined)
    problems.push(
      `All connection fields in a bulk query must select their contents using 'edges' > 'node', e.g: '${first} { edges { node {'. Selecting via 'nodes' is not supported. Invalid connection fields: '${findings.usingNodes.join("', '")}'.`,
    );
  if (findings.withoutId.length > 0)
    problems.push(
      `The parent 'node' field for a nested connection must select the 'id' field without an alias and must be of 'ID' return type. Connection fields without 'id': ${findings.withoutId.join(', ')}.`,
    );
  return problems;
}

function inspect(operation: OperationDefinitionNode): Findings {
  const findings: Findings = {
    connections: 0,
    depth: 0,
    usingNodes: [],
    withoutId: [],
    hasConnectionInList: false,
  };
  const root = adminSchema().getQueryType();
  if (root) walk(operation.selectionSet, root, { depth: 0, inList: false }, findings);
  return findings;
}

interface Place {
  readonly depth: number;
  readonly inList: boolean;
}

/** True when the selection holds a connection at any depth. */
function walk(set: SelectionSetNode, type: GraphQLObjectType, place: Place, findings: Findings): boolean {
  let hasConnection = false;
  for (const field of set.selections) {
    if (field.kind !== Kind.FIELD || !field.selectionSet) continue;
    const definition = type.getFields()[field.name.value];
    if (!definition) continue;
    const inner = getNamedType(definition.type);
    if (!isObjectType(inner)) continue;
    if (inner.name.endsWith('Connection')) {
      hasConnection = true;
      walkConnection(field, inner, place, findings);
      continue;
    }
    const outer = isNonNullType(definition.type) ? definition.type.ofType : definition.type;
    const inList = place.inList || (isListType(outer) && field.name.value !== 'edges');
    if (walk(field.selectionSet, inner, { ...place, inList }, findings)) hasConnection = true;
  }
  return hasConnection;
}

function walkConnection(field: FieldNode, type: GraphQLObjectType, place: Place, findings: Findings): void {
  findings.connections += 1;
  findings.depth = Math.max(findings.depth, place.depth + 1);
  if (place.inList) findings.hasConnectionInList = true;
  const named = (set: SelectionSetNode | undefined, name: string): FieldNode | undefined =>
    set?.selections.find((node): node is FieldNode => node.kind === Kind.FIELD && node.name.value === name);
  if (named(field.selectionSet, 'nodes')) findings.usingNodes.push(field.name.value);
  const node = named(named(field.selectionSet, 'edges')?.selectionSet, 'node');
  const nodeType = nodeTypeOf(type);
  if (!node?.selectionSet || !nodeType) return;
  const hasChild = walk(node.selectionSet, nodeType, { depth: place.depth + 1, inList: false }, findings);
  const id = named(node.selectionSet, 'id');
  if (hasChild && (!id || id.alias)) findings.withoutId.push(field.name.value);
}

export function nodeTypeOf(connection: GraphQLObjectType): GraphQLObjectType | null {
  const edge = getNamedType(connection.getFields()['edges']?.type);
  if (!edge || !isObjectType(edge)) return null;
  const node = getNamedType(edge.getFields()['node']?.type);
  return node && isObjectType(node) ? node : null;
}
