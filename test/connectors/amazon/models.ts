import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { Ajv, type ValidateFunction } from 'ajv';
import type { Exchange } from '../../../sandbox/amazon/records.ts';

/** Amazon's Swagger models as the judge of requests and answers. Knows neither the connector nor the sandbox. */
const directory = join(import.meta.dirname, '../../fixtures/amazon');
const modelFiles = [
  'listingsItems_2021-08-01',
  'orders_2026-01-01',
  'fbaInventory',
  'feeds_2021-06-30',
  'reports_2021-06-30',
  'notifications',
];

interface Parameter {
  readonly name: string;
  readonly in: 'query' | 'path' | 'body' | 'header';
  readonly required?: boolean;
  readonly type?: string;
  readonly schema?: object;
  readonly items?: object;
}

interface ModelOperation {
  readonly file: string;
  readonly method: string;
  readonly template: string;
  readonly parameters: readonly Parameter[];
  readonly responses: Readonly<Record<string, { readonly schema?: object }>>;
}

export function fixture(name: string): unknown {
  return JSON.parse(gunzipSync(readFileSync(join(directory, `${name}.json.gz`))).toString('utf8')) as unknown;
}

const isoTime = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:Z|[+-]\d{2}:\d{2})$/;

export function newAjv(): Ajv {
  return new Ajv({
    strict: false,
    allErrors: true,
    formats: { 'date-time': isoTime, date: true, uri: true },
  });
}

const ajv = newAjv();
const operations = new Map<string, ModelOperation>();
const validators = new Map<string, ValidateFunction>();

for (const file of modelFiles) {
  const model = fixture(file) as {
    readonly paths: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  };
  ajv.addSchema({ ...model, $id: file });
  for (const [template, methods] of Object.entries(model.paths)) {
    const shared = Array.isArray(methods['parameters'])
      ? (methods['parameters'] as readonly Parameter[])
      : [];
    for (const [method, found] of Object.entries(methods)) {
      if (typeof found !== 'object' || found === null || !('operationId' in found)) continue;
      const operation = found as {
        operationId: string;
        parameters?: readonly Parameter[];
        responses: ModelOperation['responses'];
      };
      operations.set(operation.operationId, {
        file,
        method: method.toUpperCase(),
        template,
        parameters: [...shared, ...(operation.parameters ?? [])],
        responses: operation.responses,
      });
    }
  }
}

/** What Amazon's models say against a request and its answer; empty when both are right. */
export function problemsOf(exchange: Exchange): readonly string[] {
  const operation = operations.get(exchange.operation);
  if (operation === undefined) return [`${exchange.operation} is in no model`];
  const problems: string[] = [];
  if (operation.method !== exchange.method || operation.template !== exchange.template)
    problems.push(
      `${operation.method} ${operation.template} is asked as ${exchange.method} ${exchange.template}`,
    );
  problems.push(...requestProblems(operation, exchange));
  // A refused request may have been refused for its shape; what the answer looks like still counts.
  const response = operation.responses[String(exchange.status)];
  if (response === undefined) problems.push(`no answer has the status ${exchange.status}`);
  else if (response.schema !== undefined)
    problems.push(...schemaProblems(operation.file, response.schema, exchange.responseBody, 'answer'));
  return problems.map((problem) => `${exchange.operation}: ${problem}`);
}

function requestProblems(operation: ModelOperation, exchange: Exchange): string[] {
  const problems: string[] = [];
  const known = new Set(operation.parameters.filter((of) => of.in === 'query').map((of) => of.name));
  for (const name of Object.keys(exchange.query))
    if (!known.has(name)) problems.push(`the parameter ${name} is not known`);
  for (const parameter of operation.parameters) {
    const { name, required } = parameter;
    if (parameter.in === 'body') {
      if (exchange.requestBody === undefined) {
        if (required === true) problems.push('the body is missing');
      } else if (parameter.schema !== undefined)
        problems.push(...schemaProblems(operation.file, parameter.schema, exchange.requestBody, 'body'));
      continue;
    }
    if (parameter.in === 'header') continue;
    const text = parameter.in === 'path' ? exchange.path[name] : exchange.query[name];
    if (text === undefined || text === '') {
      if (required === true) problems.push(`the parameter ${name} is missing`);
      continue;
    }
    problems.push(...schemaProblems(operation.file, asSchema(parameter), valueOf(parameter, text), name));
  }
  if (exchange.requestBody !== undefined && !operation.parameters.some((of) => of.in === 'body'))
    problems.push('it has a body');
  return problems;
}

/** A parameter of Swagger 2.0 is nearly a schema: what only describes its place is left out. */
function asSchema(parameter: Parameter): object {
  const { name: _name, in: _in, required: _required, ...schema } = parameter;
  return schema;
}

function valueOf(parameter: Parameter, text: string): unknown {
  switch (parameter.type ?? '') {
    case 'array':
      return text.split(',');
    case 'integer':
    case 'number':
      return text.trim() === '' ? text : Number(text);
    case 'boolean':
      return text === 'true' ? true : text === 'false' ? false : text;
    default:
      return text;
  }
}

function schemaProblems(file: string, schema: object, value: unknown, what: string): string[] {
  const key = `${file} ${JSON.stringify(schema)}`;
  let validate = validators.get(key);
  if (validate === undefined) {
    // References of a model are relative to the model.
    validate = ajv.compile({ $ref: undefined, ...absolute(file, schema) });
    validators.set(key, validate);
  }
  if (validate(value)) return [];
  return (validate.errors ?? []).map((error) => `${what}${error.instancePath} ${error.message ?? ''}`);
}

function absolute(file: string, schema: object): object {
  const text = JSON.stringify(schema).replaceAll('"$ref":"#/', `"$ref":"${file}#/`);
  return JSON.parse(text) as object;
}
