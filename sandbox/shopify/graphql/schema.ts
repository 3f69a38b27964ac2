import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { buildASTSchema, parse } from 'graphql';
import type { GraphQLSchema } from 'graphql';

const SCHEMA_FILE = new URL('../schema/admin_2026-10.graphql.gz', import.meta.url);

let schema: GraphQLSchema | null = null;

/** Shopify's own schema, built once per process (about 0.15 s); validation of the SDL itself is skipped. */
export function adminSchema(): GraphQLSchema {
  schema ??= buildASTSchema(parse(gunzipSync(readFileSync(SCHEMA_FILE)).toString(), { noLocation: true }), {
    assumeValid: true,
    assumeValidSDL: true,
  });
  return schema;
}
