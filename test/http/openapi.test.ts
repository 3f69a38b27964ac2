import { Ajv2020 } from 'ajv/dist/2020.js';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { acpTable } from '../../src/http/checkout/acp-routes.ts';
import type { AnswerStore } from '../../src/http/checkout/answered-once.ts';
import type { CheckoutDesk } from '../../src/http/checkout/checkout-desk.ts';
import { ucpTable } from '../../src/http/checkout/ucp-routes.ts';
import { MovementFeed } from '../../src/http/movements/movement-feed.ts';
import { movementStream } from '../../src/http/movements/movement-stream.ts';
import { openApiDocument } from '../../src/http/openapi/document.ts';
import { openApiPage } from '../../src/http/openapi/page.ts';
import { reservationRoutes } from '../../src/http/reservations/routes.ts';
import type { ReservationService } from '../../src/http/reservations/service.ts';
import type { Route } from '../../src/http/api/route.ts';

const never = (): never => {
  throw new Error('nothing is called');
};
const history = { after: never, head: never };
const routes: readonly Route[] = [
  // The table alone is read: no route is called.
  ...reservationRoutes({} as ReservationService),
  ...acpTable({} as CheckoutDesk, {} as ReservationService, {} as AnswerStore),
  ...ucpTable({} as CheckoutDesk, {} as ReservationService, {} as AnswerStore),
  movementStream({ feed: new MovementFeed({ history }) }).route,
];
const document = openApiDocument(routes, '1.2.3');

/** The objects of OpenAPI 3.1.1 that we use, strictly: https://spec.openapis.org/oas/v3.1.1.html, section 4.8. */
const schemaObject = z.record(z.string(), z.unknown());
const content = z.record(z.string().regex(/^[\w.+-]+\/[\w.+*-]+$/), z.strictObject({ schema: schemaObject }));
const operation = z.strictObject({
  operationId: z.string().regex(/^\w+$/),
  summary: z.string().min(1),
  description: z.string().min(1),
  tags: z.array(z.string()).min(1),
  parameters: z
    .array(
      z
        .strictObject({
          name: z.string().min(1),
          in: z.enum(['path', 'query', 'header']),
          required: z.boolean(),
          description: z.string().optional(),
          schema: schemaObject,
        })
        .refine((row) => row.in !== 'path' || row.required, 'a path parameter is required'),
    )
    .optional(),
  requestBody: z.strictObject({ required: z.boolean(), content }).optional(),
  responses: z.record(z.string().regex(/^[1-5]\d\d$/), z.strictObject({ description: z.string(), content })),
  security: z.array(z.record(z.string(), z.array(z.string()))),
});
const openApi = z.strictObject({
  openapi: z.string().regex(/^3\.1\.\d+$/),
  info: z.strictObject({
    title: z.string(),
    version: z.string(),
    summary: z.string(),
    license: z.strictObject({ name: z.string(), identifier: z.string() }),
  }),
  tags: z.array(z.strictObject({ name: z.string() })),
  paths: z.record(
    z.string().startsWith('/'),
    z.partialRecord(z.enum(['get', 'post', 'put', 'patch', 'delete']), operation),
  ),
  components: z.strictObject({
    securitySchemes: z.record(
      z.string(),
      z.strictObject({ type: z.literal('http'), scheme: z.string(), description: z.string() }),
    ),
  }),
});

const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, row]) => ({ path, method, row })),
);

test('the document has the form of OpenAPI 3.1 and survives JSON', () => {
  const sent = JSON.parse(JSON.stringify(document)) as unknown;
  expect(openApi.parse(sent)).toEqual(sent);
  const ids = operations.map(({ row }) => row.operationId);
  expect(new Set(ids).size).toBe(ids.length);
});

test('every route of the table is in it, with its parameters, and no other', () => {
  const declared = routes
    .filter((route) => route.isHidden !== true)
    .map(({ method, url }) => `${method} ${url}`);
  const described = operations.map(
    ({ path, method }) => `${method.toUpperCase()} ${path.replaceAll(/\{(\w+)\}/g, ':$1')}`,
  );
  expect(described.toSorted()).toEqual(declared.toSorted());
  for (const { path, row } of operations) {
    const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
    const named = (row.parameters ?? [])
      .filter((parameter) => parameter.in === 'path')
      .map(({ name }) => name);
    expect(named).toEqual(inPath);
  }
});

test('every schema in it is JSON Schema 2020-12, the dialect of 3.1', () => {
  for (const { row } of operations) {
    const schemas = [
      ...(row.parameters ?? []).map(({ schema }) => schema),
      ...Object.values(row.requestBody?.content ?? {}).map(({ schema }) => schema),
      ...Object.values(row.responses).flatMap((response) =>
        Object.values((response as { content: Record<string, { schema: object }> }).content).map(
          ({ schema }) => schema,
        ),
      ),
    ];
    for (const schema of schemas) {
      const ajv = new Ajv2020({ strict: false, validateFormats: false });
      expect(ajv.validateSchema(schema), JSON.stringify(ajv.errors)).toBe(true);
      expect(() => ajv.compile(schema)).not.toThrow();
    }
  }
});

test('what the schemas refuse, the document refuses', () => {
  const ajv = new Ajv2020({ strict: false, validateFormats: false });
  const body =
    document.paths['/inventory/v1/reservations']?.['post']?.requestBody?.content['application/json']?.schema;
  const isGood = ajv.compile(body ?? false);
  expect(isGood({ sku: 'TEE', quantity: 1, agent_id: 'a-1', ttl_seconds: 300 })).toBe(true);
  expect(isGood({ lines: [{ sku: 'TEE', quantity: 1 }] })).toBe(true);
  for (const bad of [
    {},
    { sku: 'TEE', quantity: 0 },
    { sku: 'TEE', quantity: 1.5 },
    { sku: 'TEE', quantity: 1, x: 1 },
  ])
    expect(isGood(bad), JSON.stringify(bad)).toBe(false);
});

test('the page shows every operation and loads nothing', () => {
  const page = openApiPage(document);
  for (const { row } of operations) expect(page).toContain(`id="${row.operationId}"`);
  expect(page).not.toMatch(/<script|https?:\/\/|src=|@import|url\(/);
});
