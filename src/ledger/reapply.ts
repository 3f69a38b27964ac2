import type { ChannelId, Sku } from '../domain/ids.ts';
import type { Movement } from '../domain/movement.ts';
import type { Ledger, ReserveLine } from './contract.ts';
import { readAdjust, readCommit, readCount, readDeadline } from './entry-extra.ts';

export type ReappliedEntry = {
  readonly entry: Movement;
  readonly outcome: 'reapplied' | 'refused' | 'left-to-channel';
  readonly detail: string;
};

type Commands = Pick<
  Ledger,
  'adjust' | 'applyCount' | 'transfer' | 'reserve' | 'commit' | 'release' | 'nowMs'
>;

/**
 * Gives lost entries that no platform can send again (API, CSV) back to the ledger, under their own operation and hold
 * ids: running it twice changes nothing. Orders are left to their channels, which are polled again from the cursors
 * that rolled back with the log. Run it only when an operator has confirmed the loss and read the list.
 */
export async function reapplyLost(
  lost: readonly Movement[],
  ledger: Commands,
  actor: string,
): Promise<readonly ReappliedEntry[]> {
  const report: ReappliedEntry[] = [];
  const holds = holdsOf(lost);
  for (const entry of lost) {
    const detail = await reapplyOne(entry, lost, holds, ledger, actor);
    if (detail === undefined) report.push({ entry, outcome: 'left-to-channel', detail: '' });
    else report.push({ entry, outcome: accepted.has(detail) ? 'reapplied' : 'refused', detail });
  }
  return report;
}

const accepted = new Set(['adjusted', 'counted', 'held', 'committed', 'released', 'with the other side']);

interface LostHold {
  readonly lines: ReserveLine[];
  readonly committed: { readonly sku: Sku; units: number }[];
  order: { readonly channel: ChannelId; readonly orderId: string } | undefined;
}

/** What the lost range says about each hold: its lines where it began there, and what a commit kept. */
function holdsOf(lost: readonly Movement[]): ReadonlyMap<string, LostHold> {
  const holds = new Map<string, LostHold>();
  for (const entry of lost) {
    if (entry.kind !== 'held' && entry.kind !== 'hold-committed') continue;
    const hold = holds.get(entry.reference) ?? { lines: [], committed: [], order: undefined };
    holds.set(entry.reference, hold);
    if (entry.kind === 'held') {
      hold.lines.push({ sku: entry.sku, units: entry.units, locations: [entry.location] });
      continue;
    }
    const kept = hold.committed.find((part) => part.sku === entry.sku);
    if (kept === undefined) hold.committed.push({ sku: entry.sku, units: entry.units });
    else kept.units += entry.units;
    const { channel, orderId } = readCommit(entry);
    hold.order = { channel, orderId };
  }
  return holds;
}

async function reapplyOne(
  entry: Movement,
  lost: readonly Movement[],
  holds: ReadonlyMap<string, LostHold>,
  ledger: Commands,
  actor: string,
): Promise<string | undefined> {
  const { sku, location, units, operationId, reference } = entry;
  switch (entry.kind) {
    case 'received':
    case 'adjusted':
    case 'shipped':
    case 'returned':
      // Those of an order name its channel: the channel tells them again.
      if (entry.channel !== '' || operationId === '') return undefined;
      return kindOf(
        await ledger.adjust({
          operationId,
          movement: entry.kind,
          sku,
          location,
          units,
          effectiveAtMs: readAdjust(entry).effectiveAtMs ?? entry.atMs,
          reference,
          reason: readAdjust(entry).reason,
          actor,
        }),
      );
    case 'counted': {
      const { asOfMs, count, skewMs } = readCount(entry);
      const result = await ledger.applyCount({
        operationId,
        sku,
        location,
        onHand: count,
        asOfMs,
        pickLagMs: 0,
        skewMs,
        source: reference,
        actor,
      });
      return kindOf(result);
    }
    case 'transferred': {
      if (units < 0) return 'with the other side';
      const from = lost.find((other) => other.operationId === operationId && other.units === -units);
      if (from === undefined) return 'the side it came from was not mirrored';
      const sides = { from: from.location, to: location, units };
      return kindOf(await ledger.transfer({ operationId, sku, ...sides, reference, actor }));
    }
    case 'held':
      return reserveAgain(entry, holds.get(reference), ledger, actor);
    case 'hold-committed': {
      const hold = holds.get(reference);
      if (hold?.order === undefined) return 'not mirrored';
      const part = hold.committed;
      return kindOf(await ledger.commit({ holdId: reference, actor, order: hold.order, part }));
    }
    case 'released':
      // The rest of a commit is released by the commit.
      if (holds.get(reference)?.order !== undefined) return 'with the other side';
      return kindOf(await ledger.release({ holdId: reference, actor }));
    case 'ordered':
    case 'cancelled':
    case 'unshipped':
    case 'written-off':
    case 'reassigned':
    case 'provisioned':
    case 'provision-resolved':
    case 'extended':
    case 'expired':
    case 'epoch':
      return undefined;
  }
}

async function reserveAgain(
  entry: Movement,
  hold: LostHold | undefined,
  ledger: Commands,
  actor: string,
): Promise<string> {
  if (hold === undefined) return 'not mirrored';
  const first = hold.lines[0];
  if (first?.sku !== entry.sku || first.locations[0] !== entry.location) return 'held';
  const { ttlMs: lastsMs, agent, pool } = readDeadline(entry);
  // A hold that was committed was paid for: it must not fail because its time is over by now.
  const ttlMs = Math.max(entry.atMs + lastsMs - ledger.nowMs(), hold.order === undefined ? 0 : 60_000);
  if (ttlMs <= 0) return 'expired meanwhile';
  const settlesOn = entry.line === '' ? undefined : (entry.line as ChannelId);
  const lines = hold.lines;
  return kindOf(
    await ledger.reserve({ holdId: entry.reference, lines, ttlMs, actor, agent, pool, settlesOn }),
  );
}

function kindOf(result: { readonly kind: string }): string {
  return result.kind === 'ended' ? 'the hold has ended' : result.kind;
}
