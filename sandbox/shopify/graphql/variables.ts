import {
  getLocation,
  isEnumType,
  isInputObjectType,
  isListType,
  isNonNullType,
  isRequiredInputField,
  print,
  typeFromAST,
} from 'graphql';
import type { GraphQLInputType, OperationDefinitionNode, VariableDefinitionNode } from 'graphql';
import type { ErrorBody } from './documents.ts';
import { adminSchema } from './schema.ts';

interface Problem {
  /** From the value that was judged. */
  readonly path: readonly (string | number)[];
  readonly explanation: string;
  /** Ids carry their explanation a second time. */
  readonly message?: string;
}

type Variables = Readonly<Record<string, unknown>>;

/** Errors in the shape Shopify answers for variables that do not fit their types; empty when all fit. */
export function variableErrors(operation: OperationDefinitionNode, variables: Variables): ErrorBody[] {
  const errors: ErrorBody[] = [];
  for (const definition of operation.variableDefinitions ?? []) {
    const type = typeFromAST(adminSchema(), definition.type) as GraphQLInputType | undefined;
    if (!type) continue;
    const value = variables[definition.variable.name.value];
    if (value === undefined && (definition.defaultValue || !isNonNullType(type))) continue;
    const problems = problemsOf(type, value ?? null);
    if (problems.length > 0) errors.push(errorBody(definition, value ?? null, problems));
  }
  return errors;
}

function errorBody(
  definition: VariableDefinitionNode,
  value: unknown,
  problems: readonly Problem[],
): ErrorBody {
  const details = problems
    .filter((problem) => problem.path.length > 0)
    .map((problem) => `${problem.path.join('.')} (${problem.explanation})`);
  const suffix = details.length > 0 ? ` for ${details.join(', ')}` : '';
  const name = definition.variable.name.value;
  return {
    message: `Variable $${name} of type ${print(definition.type)} was provided invalid value${suffix}`,
    locations: definition.loc ? [getLocation(definition.loc.source, definition.loc.start)] : [],
    extensions: { code: 'INVALID_VARIABLE', value, problems },
  };
}

function problemsOf(type: GraphQLInputType, value: unknown): readonly Problem[] {
  if (isNonNullType(type)) {
    if (value === null) return problem('Expected value to not be null');
    return problemsOf(type.ofType, value);
  }
  if (value === null) return [];
  if (isListType(type)) {
    // A single value is accepted as a list of one, as everywhere in GraphQL.
    if (!Array.isArray(value)) return problemsOf(type.ofType, value);
    return value.flatMap((element: unknown, index) => below(index, problemsOf(type.ofType, element ?? null)));
  }
  if (isInputObjectType(type)) {
    if (typeof value !== 'object' || Array.isArray(value))
      return problem(`Expected ${JSON.stringify(value)} to be a key-value object.`);
    const fields = type.getFields();
    const given = value as Record<string, unknown>;
    const problems: Problem[] = [];
    for (const key of Object.keys(given))
      if (!fields[key]) problems.push(...below(key, problem(`Field is not defined on ${type.name}`)));
    for (const field of Object.values(fields)) {
      const inner = given[field.name];
      if (inner === undefined && !isRequiredInputField(field)) continue;
      problems.push(...below(field.name, problemsOf(field.type, inner ?? null)));
    }
    return problems;
  }
  if (isEnumType(type)) {
    if (typeof value === 'string' && type.getValue(value)) return [];
    const names = type.getValues().map((known) => known.name);
    return problem(`Expected ${JSON.stringify(value)} to be one of: ${names.join(', ')}`);
  }
  return scalarProblems(type.name, value);
}

const problem = (explanation: string): readonly Problem[] => [{ path: [], explanation }];

/** Nearly every value fits: the way to it is put together only when it does not. */
const below = (key: string | number, problems: readonly Problem[]): readonly Problem[] =>
  problems.map((inner) => ({ ...inner, path: [key, ...inner.path] }));

const INT_LIMIT = 2 ** 31;

function scalarProblems(name: string, value: unknown): readonly Problem[] {
  switch (name) {
    case 'ID': {
      if (typeof value === 'string' && /^gid:\/\/shopify\/\w+\/[^/]+$/.test(value)) return [];
      const explanation = `Invalid global id '${String(value)}'`;
      return [{ path: [], explanation, message: explanation }];
    }
    case 'Int':
      return isInt(value) ? [] : misfit(name, value);
    case 'Float':
      return typeof value === 'number' ? [] : misfit(name, value);
    case 'Boolean':
      return typeof value === 'boolean' ? [] : misfit(name, value);
    case 'String':
    case 'URL':
      return typeof value === 'string' ? [] : misfit(name, value);
    default:
      return [];
  }
}

const isInt = (value: unknown): boolean =>
  typeof value === 'number' && Number.isInteger(value) && value >= -INT_LIMIT && value < INT_LIMIT;

const misfit = (name: string, value: unknown): readonly Problem[] =>
  problem(`Could not coerce value ${JSON.stringify(value)} to ${name}`);
