import { Kind, getLocation, valueFromASTUntyped } from 'graphql';
import type { FieldNode, OperationDefinitionNode } from 'graphql';
import type { ErrorBody } from './documents.ts';

const MAX_ARRAY = 250;

type Variables = Readonly<Record<string, unknown>>;

/** Any input array above 250 elements is refused before execution, with no data at all. */
export function arraySizeErrors(operation: OperationDefinitionNode, variables: Variables): ErrorBody[] {
  const errors: ErrorBody[] = [];
  for (const field of operation.selectionSet.selections) {
    if (field.kind !== Kind.FIELD) continue;
    for (const argument of field.arguments ?? []) {
      const value: unknown = valueFromASTUntyped(argument.value, variables);
      const responseKey = (field.alias ?? field.name).value;
      for (const oversized of oversizedArrays(value, [responseKey, argument.name.value]))
        errors.push(errorBody(field, oversized));
    }
  }
  return errors;
}

interface Oversized {
  readonly path: readonly string[];
  readonly size: number;
}

function oversizedArrays(value: unknown, path: readonly string[]): Oversized[] {
  if (Array.isArray(value)) {
    if (value.length > MAX_ARRAY) return [{ path, size: value.length }];
    // Only objects can hold a deeper array; most arrays here are flat rows.
    return value.flatMap((element, index) => oversizedArrays(element, [...path, String(index)]));
  }
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) =>
    typeof inner === 'object' && inner !== null ? oversizedArrays(inner, [...path, key]) : [],
  );
}

function errorBody(field: FieldNode, { path, size }: Oversized): ErrorBody {
  return {
    message: `The input array size of ${size} is greater than the maximum allowed of ${MAX_ARRAY}.`,
    locations: field.loc ? [getLocation(field.loc.source, field.loc.start)] : [],
    path,
    extensions: { code: 'MAX_INPUT_SIZE_EXCEEDED' },
  };
}
