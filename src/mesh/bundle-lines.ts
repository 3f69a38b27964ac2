import { createHash } from 'node:crypto';
import type { BundleComponent } from '../domain/catalogue.ts';
import { type LineCounters, type LineSnapshot, type LocatedUnits, noUnits } from '../domain/order.ts';

/** The platform took the units from its listing whoever sold them; the sale itself is counted elsewhere. */
export function takenOnly(counters: LineCounters): LineCounters {
  return { ...noUnits, takenOut: counters.takenOut, givenBack: counters.givenBack };
}

/**
 * A line that sold a bundle, as lines of its components: their levels move. What the platform took it took from the
 * bundle's own listing and from no component's (A7 of the known sequences), so that stays with the bundle's line.
 */
export function bundleLines(
  line: LineSnapshot,
  components: readonly BundleComponent[],
): { readonly own: LineSnapshot; readonly components: readonly LineSnapshot[] } {
  const { counters, lineId, listingId, takenIsKnown } = line;
  return {
    own: { lineId, sku: line.sku, counters: takenOnly(counters), listingId, takenIsKnown },
    components: components.map(({ sku, units }): LineSnapshot => ({
      // Stable whatever the order of the components, and short enough whatever their SKUs.
      lineId: `${lineId}#${createHash('sha256').update(sku).digest('hex').slice(0, 16)}`,
      sku,
      counters: {
        ordered: counters.ordered * units,
        cancelled: counters.cancelled * units,
        writtenOff: counters.writtenOff * units,
        shipped: counters.shipped * units,
        restocked: counters.restocked * units,
        takenOut: 0,
        givenBack: 0,
      },
      takenIsKnown: true,
      committedAt: timesUnits(line.committedAt, units),
      shippedFrom: timesUnits(line.shippedFrom, units),
      lostFrom: timesUnits(line.lostFrom, units),
    })),
  };
}

function timesUnits(
  places: readonly LocatedUnits[] | undefined,
  factor: number,
): readonly LocatedUnits[] | undefined {
  return places?.map(({ location, units }) => ({ location, units: units * factor }));
}
