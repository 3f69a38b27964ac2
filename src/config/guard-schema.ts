import { z } from 'zod';
import { spanMs, wholeNumber } from './fields.ts';

/** Limits of what one run of changes that are no sales may do to a channel before a person is asked. */
export const guardSchema = z
  .strictObject({
    windowMs: spanMs(1_000, 86_400_000).default(600_000),
    maxZeroedPercent: wholeNumber(0, 100).default(20).describe("Of the channel's listings"),
    minZeroedListings: wholeNumber(1, 1_000_000).default(20).describe('Fewer than this are never too many'),
    maxMovedUnits: wholeNumber(1, 1_000_000_000).default(100_000).describe('Up and down'),
  })
  .prefault({});
