import { z } from 'zod';
import { spanMs, wholeNumber } from './fields.ts';

/** What a channel does while what its stock is made from is old. */
export const stalenessSchema = z
  .strictObject({
    afterMs: spanMs(0, 30 * 86_400_000)
      .default(3_600_000)
      .describe('Orders or counts not read to the end for this long (and four intervals) are old; 0: never'),
    raises: z.enum(['stop', 'go']).default('stop').describe('stop: nothing is raised while they are'),
    bufferUnits: wholeNumber(0, 1_000_000).default(0).describe('Kept back while they are, beside the buffer'),
  })
  .prefault({});
