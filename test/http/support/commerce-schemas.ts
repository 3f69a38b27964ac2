import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { Ajv2020 } from 'ajv/dist/2020.js';

type Json = Readonly<Record<string, unknown>>;

const folder = new URL('../../fixtures/commerce-protocols/', import.meta.url);

function read(file: string): ReadonlyMap<string, Json> {
  const text = gunzipSync(readFileSync(new URL(file, folder))).toString('utf8');
  return new Map(Object.entries(JSON.parse(text) as Record<string, Json>));
}

/**
 * Holds values against the schemas of a protocol. `merchants`: members a schema asks for that are not ours to say (prices,
 * links), left out of its `required`; a name that no schema asks for is an error of the test.
 */
function holderOf(schemas: ReadonlyMap<string, Json>, merchants: readonly string[]) {
  const left = new Set(merchants);
  const relaxed = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(relaxed);
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(
      Object.entries(value).map(([name, member]) => {
        if (name !== 'required' || !Array.isArray(member)) return [name, relaxed(member)];
        return [
          name,
          member.filter((of: string) => {
            if (!merchants.includes(of)) return true;
            left.delete(of);
            return false;
          }),
        ];
      }),
    );
  };
  const ajv = new Ajv2020({ strict: false, validateFormats: false, allErrors: true });
  for (const [file, schema] of schemas) {
    const { $id = file, ...rest } = relaxed(schema) as { $id?: string };
    ajv.addSchema({ ...rest, $id }, $id);
  }
  if (left.size > 0) throw new Error(`nobody asks for ${[...left].join(', ')}`);
  /** What is wrong with the value; empty: nothing. */
  return (schema: string, value: unknown): readonly string[] => {
    const validate = ajv.getSchema(schema);
    if (validate === undefined) throw new Error(`no schema ${schema}`);
    void validate(value);
    return (validate.errors ?? []).map(
      ({ instancePath, message, params }) => `${instancePath} ${message ?? ''} ${JSON.stringify(params)}`,
    );
  };
}

export function acpSchemas(): (name: string, value: unknown) => readonly string[] {
  const files = read('acp-2026-04-17.json.gz');
  const named = new Map(
    [...files].map(([file, schema]) => [file, { ...schema, $id: `https://acp.test/${file}` }]),
  );
  const hold = holderOf(named, ['currency', 'totals', 'fulfillment_options', 'links', 'capabilities']);
  return (name, value) => {
    const [file = '', def = ''] = name.split('#');
    return hold(`https://acp.test/schema.${file}.json#/$defs/${def}`, value);
  };
}

export function ucpSchemas(): (file: string, value: unknown) => readonly string[] {
  const hold = holderOf(read('ucp-fdcf893.json.gz'), [
    'currency',
    'totals',
    'links',
    'title',
    'price',
    'payment_handlers',
  ]);
  return (file, value) => hold(`https://ucp.dev/schemas/${file}`, value);
}
