import { type DocumentNode, Kind, parse, TypeInfo, validate, visit, visitWithTypeInfo } from 'graphql';
import { describe, expect, test } from 'vitest';
import { adminSchema } from '../../../sandbox/shopify/graphql/schema.ts';
import { bulkCatalogue, documents } from '../../../src/connectors/shopify/documents.ts';

const schema = adminSchema();
const all = Object.values(documents).map(({ name, document }) => [name, document] as const);

function deprecatedFieldsOf(document: DocumentNode): string[] {
  const found: string[] = [];
  const typeInfo = new TypeInfo(schema);
  visit(
    document,
    visitWithTypeInfo(typeInfo, {
      Field() {
        const field = typeInfo.getFieldDef();
        if (field?.deprecationReason !== undefined && field.deprecationReason !== null)
          found.push(field.name);
      },
    }),
  );
  return found;
}

describe('against the official schema of 2026-10', () => {
  test.each([...all, ['the bulk catalogue', bulkCatalogue] as const])('%s is valid', (_name, document) => {
    expect(validate(schema, parse(document)).map((error) => error.message)).toEqual([]);
  });

  test.each([...all, ['the bulk catalogue', bulkCatalogue] as const])(
    '%s uses nothing deprecated',
    (_name, document) => {
      expect(deprecatedFieldsOf(parse(document))).toEqual([]);
    },
  );

  test('the schema tells an invalid document from a valid one', () => {
    expect(validate(schema, parse('{ orders(first: 1) { nodes { compareQuantity } } }'))).not.toEqual([]);
  });
});

test.each(all)('%s is one operation of its own name', (name, document) => {
  const operations = parse(document).definitions.filter((node) => node.kind === Kind.OPERATION_DEFINITION);
  expect(operations.map((node) => node.name?.value)).toEqual([name]);
});

test('every mutation of quantities carries an idempotency key', () => {
  for (const { document } of [documents.adjustAvailable, documents.setAvailable])
    expect(document).toContain('@idempotent(key: $idempotencyKey)');
});

test('no document writes on_hand', () => {
  for (const [, document] of all) expect(document).not.toMatch(/on_hand|OnHand/);
});

test('the bulk catalogue keeps the rules of bulk queries: edges only, two levels, an id on every parent', () => {
  expect(bulkCatalogue).not.toContain('nodes');
  expect(bulkCatalogue.match(/edges \{ node \{/g)?.length).toBeLessThanOrEqual(5);
  for (const piece of bulkCatalogue.split('edges { node {').slice(1))
    expect(piece).toMatch(/^\s*__typename id /);
});
