import {
  OperationTypeNode,
  Kind,
  getNamedType,
  isInterfaceType,
  isLeafType,
  isListType,
  isNonNullType,
  isObjectType,
  isUnionType,
} from 'graphql';
import type {
  DocumentNode,
  FieldNode,
  FragmentDefinitionNode,
  GraphQLNamedType,
  GraphQLOutputType,
  OperationDefinitionNode,
  SelectionSetNode,
} from 'graphql';
import { adminSchema } from './schema.ts';

/**
 * Query cost. Shopify documents the weights (scalar 0, object 1, mutation 10, connections sized by their page) but not
 * how a page counts. Fitted to 1,080 recorded (document, cost) pairs of API 2025-01 and 2026-04, of which it explains
 * 77 % exactly and the inventory, order and webhook documents all but one or two: a connection costs
 * 2 + max(1, floor(2 ln page)) x node. Lists count once, whatever their length, and so does `nodes(ids:)`.
 */
const CONNECTION_BASE = 2;
const MUTATION = 10;
/** Recorded as free. */
const FREE_TYPES = new Set(['MoneyBag', 'MoneyV2', 'PageInfo']);
const ROOT_COUNT = 10;

const pageFactor = (size: number): number => Math.max(1, Math.floor(2 * Math.log(Math.max(1, size))));

type Variables = Readonly<Record<string, unknown>>;
/** Absent when the requested cost is asked for: then the page arguments decide, not the rows. */
type Answer = { readonly value: unknown } | null;

class CostWalk {
  readonly #fragments = new Map<string, FragmentDefinitionNode>();
  readonly #variables: Variables;
  readonly #defaults = new Map<string, number>();

  constructor(document: DocumentNode, variables: Variables) {
    this.#variables = variables;
    for (const node of document.definitions) {
      if (node.kind === Kind.FRAGMENT_DEFINITION) this.#fragments.set(node.name.value, node);
      if (node.kind !== Kind.OPERATION_DEFINITION) continue;
      for (const { variable, defaultValue } of node.variableDefinitions ?? [])
        if (defaultValue?.kind === Kind.INT)
          this.#defaults.set(variable.name.value, Number(defaultValue.value));
    }
  }

  operation(operation: OperationDefinitionNode, answer: Answer): number {
    const schema = adminSchema();
    const root =
      operation.operation === OperationTypeNode.MUTATION ? schema.getMutationType() : schema.getQueryType();
    if (!root) return 0;
    return this.#selection(
      operation.selectionSet,
      root,
      answer,
      operation.operation === OperationTypeNode.MUTATION ? 'mutation' : 'query',
    );
  }

  #selection(
    set: SelectionSetNode,
    type: GraphQLNamedType,
    answer: Answer,
    place: 'query' | 'mutation' | 'payload' | 'inner',
  ): number {
    let own = 0;
    let largestFragment = 0;
    for (const selection of set.selections) {
      if (selection.kind === Kind.FIELD) {
        own += this.#field(selection, type, answer, place);
        continue;
      }
      const fragment =
        selection.kind === Kind.FRAGMENT_SPREAD ? this.#fragments.get(selection.name.value) : selection;
      const condition = fragment?.typeCondition?.name.value;
      const target = condition === undefined ? type : adminSchema().getType(condition);
      // A union or interface costs its most expensive branch.
      if (fragment && target)
        largestFragment = Math.max(
          largestFragment,
          this.#selection(fragment.selectionSet, target, answer, place),
        );
    }
    return own + largestFragment;
  }

  #field(field: FieldNode, parent: GraphQLNamedType, answer: Answer, place: string): number {
    if (!isObjectType(parent) && !isInterfaceType(parent)) return 0;
    const definition = parent.getFields()[field.name.value];
    if (!definition) return 0;
    const type = getNamedType(definition.type);
    const inner = answer === null ? null : valueAt(answer.value, field);
    if (inner?.value === undefined && answer !== null) return 0;
    if (place === 'mutation')
      return MUTATION + (inner?.value === null ? 0 : this.#children(field, type, inner, 'payload'));
    if (isLeafType(type) || FREE_TYPES.has(type.name)) return 0;
    if (type.name === 'Count' && place === 'query') return ROOT_COUNT;
    if (type.name.endsWith('Connection') && isObjectType(type)) return this.#connection(field, type, inner);
    const isFreePayloadField = place === 'payload';
    const base = isFreePayloadField ? 0 : 1;
    if (inner?.value === null) return base;
    return base + this.#children(field, type, firstOf(definition.type, inner), 'inner');
  }

  #children(field: FieldNode, type: GraphQLNamedType, answer: Answer, place: 'payload' | 'inner'): number {
    if (!field.selectionSet) return 0;
    if (!isObjectType(type) && !isInterfaceType(type) && !isUnionType(type)) return 0;
    return this.#selection(field.selectionSet, type, answer, place);
  }

  #connection(field: FieldNode, type: GraphQLNamedType, answer: Answer): number {
    const page = this.#pageSize(field);
    const rows = field.selectionSet?.selections.find(
      (node) => node.kind === Kind.FIELD && (node.name.value === 'nodes' || node.name.value === 'edges'),
    );
    if (page === null || rows?.kind !== Kind.FIELD || !isObjectType(type)) return CONNECTION_BASE;
    const rowType = getNamedType(type.getFields()[rows.name.value]?.type);
    const rowsAnswer = answer === null ? null : valueAt(answer.value, rows);
    const returned = Array.isArray(rowsAnswer?.value) ? (rowsAnswer.value as unknown[]) : null;
    if (answer !== null && (returned === null || returned.length === 0)) return CONNECTION_BASE + 1;
    const sample = returned === null ? null : { value: returned[0] };
    const node =
      rows.name.value === 'nodes'
        ? 1 + this.#children(rows, rowType as GraphQLNamedType, sample, 'inner')
        : this.#edge(rows, rowType, sample);
    return CONNECTION_BASE + pageFactor(returned === null ? page : Math.min(page, returned.length)) * node;
  }

  #edge(edges: FieldNode, edgeType: GraphQLNamedType | undefined, answer: Answer): number {
    const node = edges.selectionSet?.selections.find(
      (inner) => inner.kind === Kind.FIELD && inner.name.value === 'node',
    );
    if (node?.kind !== Kind.FIELD || !edgeType || !isObjectType(edgeType)) return 0;
    const type = getNamedType(edgeType.getFields()['node']?.type);
    if (!type) return 0;
    return 1 + this.#children(node, type, answer === null ? null : valueAt(answer.value, node), 'inner');
  }

  #pageSize(field: FieldNode): number | null {
    for (const argument of field.arguments ?? []) {
      if (argument.name.value !== 'first' && argument.name.value !== 'last') continue;
      if (argument.value.kind === Kind.INT) return Number(argument.value.value);
      if (argument.value.kind === Kind.VARIABLE) {
        const value =
          this.#variables[argument.value.name.value] ?? this.#defaults.get(argument.value.name.value);
        if (typeof value === 'number') return value;
      }
    }
    return null;
  }
}

function valueAt(value: unknown, field: FieldNode): { readonly value: unknown } {
  const key = (field.alias ?? field.name).value;
  return {
    value: typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[key] : undefined,
  };
}

/** A list is charged once: its first element stands for all. */
function firstOf(type: GraphQLOutputType, answer: Answer): Answer {
  const unwrapped = isNonNullType(type) ? type.ofType : type;
  if (answer === null || !isListType(unwrapped) || !Array.isArray(answer.value)) return answer;
  return { value: answer.value.find((element: unknown) => element !== null) ?? {} };
}

export const requestedCost = (
  document: DocumentNode,
  operation: OperationDefinitionNode,
  variables: Variables,
): number => new CostWalk(document, variables).operation(operation, null);

/** Never above the requested cost: the bucket only gives back. */
export const actualCost = (
  document: DocumentNode,
  operation: OperationDefinitionNode,
  variables: Variables,
  data: unknown,
  requested: number,
): number => Math.min(requested, new CostWalk(document, variables).operation(operation, { value: data }));
