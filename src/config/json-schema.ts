import { z } from 'zod';
import { configSchema } from './schema.ts';

/** The configuration as a JSON Schema, for editors. Checked in as config/stockmesh.schema.json. */
export function configJsonSchema(): Record<string, unknown> {
  const schema = configSchema({ env: {}, directory: '.', allowLooseFiles: false });
  return { ...z.toJSONSchema(schema, { io: 'input' }), title: 'stockmesh configuration' };
}
