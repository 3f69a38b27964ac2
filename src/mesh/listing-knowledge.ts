import type { ListingState } from '../domain/listing.ts';

/** Whether both say the same about what the listing shows; versions, and what only orders move, aside. */
export function isSameKnowledge(a: ListingState, b: ListingState): boolean {
  return (
    a === b ||
    (isSameBase(a.base, b.base) &&
      a.suspect === b.suspect &&
      a.suspectAtMs === b.suspectAtMs &&
      a.provisional === b.provisional &&
      a.walkAwaitedMs === b.walkAwaitedMs &&
      isSameResidue(a.residue, b.residue) &&
      a.openWrites === b.openWrites)
  );
}

function isSameBase(a: ListingState['base'], b: ListingState['base']): boolean {
  if (a === undefined || b === undefined) return a === b;
  return a.value === b.value && a.takenAt === b.takenAt && a.asOfMs === b.asOfMs && a.settled === b.settled;
}

function isSameResidue(a: ListingState['residue'], b: ListingState['residue']): boolean {
  if (a === undefined || b === undefined) return a === b;
  return (
    a.units === b.units &&
    a.reads === b.reads &&
    a.readAtMs === b.readAtMs &&
    a.pulled === b.pulled &&
    a.takenThen === b.takenThen
  );
}
