import { STATUS_CODES } from 'node:http';
import { z } from 'zod';
import type { Route } from '../api/route.ts';

export type JsonSchema = Readonly<Record<string, unknown>>;

export interface OpenApiDocument {
  readonly openapi: '3.1.1';
  readonly info: Readonly<Record<string, unknown>>;
  readonly tags: readonly { readonly name: string }[];
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: Readonly<Record<string, unknown>>;
}

export interface Parameter {
  readonly name: string;
  readonly in: 'path' | 'query' | 'header';
  readonly required: boolean;
  readonly description?: string;
  readonly schema: JsonSchema;
}

export interface Operation {
  readonly operationId: string;
  readonly summary: string;
  readonly description: string;
  readonly tags: readonly string[];
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: {
    readonly required: boolean;
    readonly content: Readonly<Record<string, { readonly schema: JsonSchema }>>;
  };
  readonly responses: Readonly<Record<string, object>>;
  readonly security: readonly object[];
}

/**
 * OpenAPI 3.1 from the table of routes: what it says of a request is the schema that checks the request. Rules a JSON
 * Schema cannot express (characters an identifier may not hold) are checked all the same and answered 400.
 */
export function openApiDocument(routes: readonly Route[], version: string): OpenApiDocument {
  const shown = routes.filter(({ isHidden }) => isHidden !== true);
  const paths: Record<string, Record<string, Operation>> = {};
  for (const route of shown) {
    const path = route.url.replaceAll(/:(\w+)/g, '{$1}');
    (paths[path] ??= {})[route.method.toLowerCase()] = operationOf(route, path);
  }
  return {
    openapi: '3.1.1',
    info: {
      title: 'stockmesh',
      version,
      summary: 'Availability and reservations of one merchant',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    tags: [...new Set(shown.map(({ tag }) => tag))].map((name) => ({ name })),
    paths,
    components: {
      securitySchemes: {
        apiKey: {
          type: 'http',
          scheme: 'bearer',
          description: 'An API key; the scope an operation needs stands in it',
        },
      },
    },
  };
}

function operationOf(route: Route, path: string): Operation {
  const { params, query, headers, body, answers } = route.schemas;
  const parameters = [
    ...parametersOf('path', params),
    ...parametersOf('query', query),
    ...parametersOf('header', headers),
  ];
  return {
    operationId: `${route.method.toLowerCase()}${path.replaceAll(/[^A-Za-z0-9]+(\w?)/g, (_, next: string) => next.toUpperCase())}`,
    summary: route.summary,
    description: route.scope === 'open' ? 'Needs no API key.' : `Needs the scope \`${route.scope}\`.`,
    tags: [route.tag],
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(body === undefined
      ? {}
      : {
          requestBody: {
            required: !body.safeParse(undefined).success,
            content: { 'application/json': { schema: schemaOf(body, 'input') } },
          },
        }),
    responses: Object.fromEntries(
      Object.entries(answers ?? { 200: z.unknown() }).map(([status, schema]) => [
        status,
        responseOf(Number(status), schema),
      ]),
    ),
    security: route.scope === 'open' ? [] : [{ apiKey: [] }],
  };
}

function responseOf(status: number, schema: z.ZodType): object {
  const description = STATUS_CODES[status] ?? 'Answer';
  const json = schemaOf(schema, 'output');
  // A stream is text whatever its schema says of it.
  if (json['type'] === 'string') return { description, content: { 'text/event-stream': { schema: json } } };
  const type = isProblem(json) ? 'application/problem+json' : 'application/json';
  return { description, content: { [type]: { schema: json } } };
}

function isProblem(json: JsonSchema): boolean {
  const properties = json['properties'] as Readonly<Record<string, unknown>> | undefined;
  return properties !== undefined && 'requestId' in properties && 'retryable' in properties;
}

function parametersOf(place: Parameter['in'], schema: z.ZodType | undefined): readonly Parameter[] {
  if (schema === undefined) return [];
  const json = schemaOf(schema, 'input') as {
    readonly properties?: Readonly<Record<string, JsonSchema>>;
    readonly required?: readonly string[];
  };
  return Object.entries(json.properties ?? {}).map(([name, property]) => {
    const { description, ...rest } = property;
    return {
      name,
      in: place,
      required: place === 'path' || (json.required ?? []).includes(name),
      ...(typeof description === 'string' ? { description } : {}),
      schema: rest,
    };
  });
}

function schemaOf(schema: z.ZodType, io: 'input' | 'output'): JsonSchema {
  // `undefined` (no body) has no JSON Schema; everything else of ours has.
  const { $schema: _, ...json } = z.toJSONSchema(schema, { io, unrepresentable: 'any', reused: 'inline' });
  return withoutIds(json) as JsonSchema;
}

/** Ids name definitions of a document; here every schema stands in its place. */
function withoutIds(json: unknown): unknown {
  if (Array.isArray(json)) return json.map(withoutIds);
  if (typeof json !== 'object' || json === null) return json;
  return Object.fromEntries(
    Object.entries(json)
      .filter(([key, value]) => !((key === 'id' || key === '$id') && typeof value === 'string'))
      .map(([key, value]) => [key, withoutIds(value)]),
  );
}
