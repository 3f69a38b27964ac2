import { maxInputRows } from './options.ts';

/** A read of 250 levels, as recorded. */
const pointsPerRead = 60;
/** Of the smallest plan; larger ones restore up to twenty times as many. */
const pointsPerS = 100;

/** How long the sweep reads so many listings when all of the shop's points are its own. A bulk operation costs none. */
export function fullReadMs(listings: number): number {
  return (Math.ceil(listings / maxInputRows) * pointsPerRead * 1_000) / pointsPerS;
}
