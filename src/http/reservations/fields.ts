import { z } from 'zod';
import { parseChannelId, parseReference, parseSku, type Parsed } from '../../domain/ids.ts';

/** Text that the domain accepts; its branded type is applied where the ledger is called. */
function accepted(parse: (text: string) => Parsed<unknown>) {
  return (text: string, context: z.RefinementCtx): void => {
    const parsed = parse(text);
    if (parsed.kind === 'bad') context.addIssue(parsed.reason);
  };
}

export const sku = z.string().min(1).max(255).superRefine(accepted(parseSku)).meta({ example: 'TEE-M-BLUE' });
export const reference = z
  .string()
  .min(1)
  .max(255)
  .superRefine(accepted((text) => parseReference('reference', text)));
export const channel = z
  .string()
  .min(1)
  .max(64)
  .superRefine(accepted(parseChannelId))
  .meta({ example: 'acme-eu' });
export const agentId = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._:@-]{0,99}$/)
  .meta({ example: 'shopper-7' });
export const holdId = z
  .string()
  .regex(/^[A-Za-z0-9._-]{1,120}$/)
  .meta({ example: 'local.9mQ4n0c1hZ5kVtY2' });
export const quantity = z.int().min(1).max(1_000_000).meta({ example: 1 });
export const sequence = z
  .string()
  .describe('<epoch>-<seq>: where in the log the answer stands')
  .meta({ example: '1795237479-3367' });
export const moment = z.string().describe('ISO 8601, UTC, by the clock of the ledger');
