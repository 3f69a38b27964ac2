import { type LineSnapshot, type LocatedUnits, type OrderSnapshot, counterNames } from '../domain/order.ts';
import { maxUnits } from '../domain/quantity.ts';
import type { ApplyOrderResult, Ledger, OrderRouting } from './contract.ts';
import { checkOptionalText, checkText, checkWhole, invalid } from './request-checks.ts';
import type { ScriptCaller } from './script-caller.ts';

/** Lines of one script call: a longer script would keep every other caller waiting. */
const maxLinesPerCall = 200;
const defaultSkewMs = 2_000;

/**
 * Applies order snapshots. An order is written in calls of at most 200 lines. Each line carries its own applied state,
 * so a crash between two calls loses nothing: applying the snapshot again changes only the lines that were missed.
 */
export class OrderCommands implements Pick<Ledger, 'applyOrder'> {
  readonly #caller: ScriptCaller;

  constructor(caller: ScriptCaller) {
    this.#caller = caller;
  }

  async applyOrder(order: OrderSnapshot, routing: OrderRouting): Promise<ApplyOrderResult> {
    if (routing.locations.length === 0) throw invalid('an order needs at least one location');
    const head = headOf(order, routing);
    let seq = 0;
    let movements = 0;
    let refusedFalls = 0;
    let isFirstSeen = false;
    for (let start = 0; start === 0 || start < order.lines.length; start += maxLinesPerCall) {
      const lines = order.lines.slice(start, start + maxLinesPerCall).map(packLine);
      const reply = await this.#caller.call('apply-order', [JSON.stringify({ ...head, isFirstSeen, lines })]);
      seq = reply.seq;
      movements += Number(reply.fields[0]);
      refusedFalls += Number(reply.fields[1]);
      isFirstSeen = reply.fields[2] === 1;
    }
    return { kind: 'applied', seq, movements, refusedFalls };
  }
}

function headOf(order: OrderSnapshot, routing: OrderRouting): Readonly<Record<string, unknown>> {
  return {
    channel: checkText('channel', order.channel),
    id: checkText('order id', order.orderId),
    placedAt: checkWhole('placedAtMs', order.placedAtMs, 0, maxUnits),
    changedAt: checkWhole('changedAtMs', order.changedAtMs, 0, maxUnits),
    isFetch: order.source === 'fetch',
    beganAt: checkWhole('beganAtMs', Math.trunc(order.beganAtMs), 0, maxUnits),
    locations: routing.locations.map(({ location, wmsOwned }) => [
      checkText('location', location),
      wmsOwned ? 1 : 0,
    ]),
    isAbsolute: routing.listingKind === 'absolute',
    skew: routing.skewMs ?? defaultSkewMs,
    adopt: routing.adopt ?? '',
    actor: checkOptionalText('actor', routing.actor),
  };
}

function packLine(line: LineSnapshot): readonly unknown[] {
  return [
    checkText('line id', line.lineId),
    checkText('sku', line.sku),
    checkOptionalText('listing id', line.listingId),
    counterNames.map((name) => checkWhole(name, line.counters[name], 0, maxUnits)),
    line.takenIsKnown ? 1 : 0,
    packPlaces(line.committedAt),
    packPlaces(line.shippedFrom),
    packPlaces(line.lostFrom),
  ];
}

/** JSON null would be a userdata in the script, hence 0 for "the platform does not say". */
function packPlaces(places: readonly LocatedUnits[] | undefined): unknown {
  if (places === undefined) return 0;
  return places.map(({ location, units }) => [
    checkText('location', location),
    checkWhole('units', units, 0, maxUnits),
  ]);
}
