import { z } from 'zod';
import { availableOf, type Movement, movementCodes, type MovementKind } from '../../domain/movement.ts';

const kinds = Object.keys(movementCodes) as [MovementKind, ...MovementKind[]];

/** One movement as it is shown outside. Counts are units; the levels are those of SKU and location after it. */
export const movementAnswer = z
  .object({
    id: z
      .string()
      .describe('`<epoch>-<seq>`: the one order of everything, and what `Last-Event-ID` resumes from'),
    kind: z.enum(kinds),
    at: z.string().describe('ISO 8601; order is by `id`, never by this'),
    sku: z.string().describe('Empty for the entry that begins an epoch'),
    location: z.string(),
    units: z.int(),
    onHand: z.int(),
    committed: z.int(),
    reserved: z.int(),
    available: z.int().describe('onHand - committed - reserved; negative means oversold'),
    channel: z.string(),
    reference: z.string().describe('Order id, hold id, listing id or document'),
    line: z.string(),
    actor: z.string(),
  })
  .meta({ id: 'Movement' });

export type MovementAnswer = z.output<typeof movementAnswer>;

export function movementAnswerOf(movement: Movement): MovementAnswer {
  const { id, kind, sku, location, units, onHand, committed, reserved } = movement;
  const { channel, reference, line, actor } = movement;
  const at = new Date(movement.atMs).toISOString();
  const available = availableOf(movement);
  return {
    id,
    kind,
    at,
    sku,
    location,
    units,
    onHand,
    committed,
    reserved,
    available,
    channel,
    reference,
    line,
    actor,
  };
}
