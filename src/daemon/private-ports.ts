import type { Sku } from '../domain/ids.ts';
import { availableOf, type Movement } from '../domain/movement.ts';
import type { PrivatePorts } from '../http/private-server.ts';
import { checkReadiness } from '../http/readiness.ts';
import type { LostAnswer } from '../http/routes/ledger-routes.ts';
import type { StockAnswer } from '../http/routes/stock-routes.ts';
import type { ChannelStates } from '../mesh/channel-state.ts';
import type { ForeignStock } from '../mesh/foreign-stock.ts';
import type { Inbox } from '../mesh/inbox.ts';
import { jobOfParked } from '../mesh/inbox-job.ts';
import { allParked, parkedOrderOf } from '../mesh/parked-rows.ts';
import type { ChannelPart } from './channel-part.ts';
import type { LedgerPart } from './ledger-part.ts';
import type { RedisPart } from './redis-part.ts';
import type { VaultPart } from './vault-part.ts';

export interface DaemonParts {
  readonly redis: RedisPart;
  readonly ledger: LedgerPart;
  readonly vault: VaultPart;
  readonly inbox: Inbox;
  /** False: this process takes no deliveries, and its inbox does no work. */
  readonly ingests: boolean;
  readonly channels: readonly ChannelPart[];
  readonly states: ChannelStates;
  readonly foreign: ForeignStock;
}

const pingMs = 1_000;

/** The running daemon behind the private listener. */
export function privatePorts({
  redis,
  ledger,
  vault,
  inbox,
  ingests,
  channels,
  states,
  foreign,
}: DaemonParts): PrivatePorts {
  const { projection, reader, mesh } = ledger;
  const stockOf = (sku: Sku): StockAnswer | undefined => {
    const levels = projection.levelsOf(sku);
    const elsewhere = foreign.of(sku);
    if (levels === undefined && elsewhere.length === 0) return undefined;
    const locations = [...(levels ?? [])].map(([location, level]) => ({
      location,
      ...level,
      available: availableOf(level),
    }));
    const available = locations.reduce((sum, level) => sum + level.available, 0);
    return { sku, available, locations, foreign: elsewhere };
  };
  const ordered = sortedSkus(
    () => projection.size,
    () => projection.skus(),
  );

  return {
    readiness: () =>
      checkReadiness({
        pingRedis: () => pingInTime(redis),
        redisProblem: () => {
          const health = redis.health();
          return health.kind === 'wrong' || health.kind === 'away' ? health.error.message : undefined;
        },
        logReaderSilentMs: () => reader.ageMs(),
        queueSilentMs: () => (ingests ? inbox.sinceProgressMs : 0),
        haltedReason: () => ledger.halted(),
      }),
    position: () => ({ ...projection.position, ageMs: ageOf(projection.ageMs()) }),
    stock: (skus) => skus.flatMap((sku) => stockOf(sku as Sku) ?? []),
    stockPage: (after, limit) => {
      const skus = ordered();
      const from = after === undefined ? 0 : skus.findIndex((sku) => sku > after);
      return from < 0 ? [] : skus.slice(from, from + limit).flatMap((sku) => stockOf(sku) ?? []);
    },
    channels: () =>
      channels.flatMap(({ id, publishing, counting, settled }) => {
        const view = states.view(id);
        if (view === undefined) return [];
        const { isPublishing, backlog, planned, exposure } = publishing;
        const { circuit } = counting ?? publishing;
        return [{ ...view, isPublishing, backlog, circuit, planned, settled, exposure }];
      }),
    async ledgerState() {
      const lost = await ledger.lostEntries();
      const { epoch, seq } = projection.position;
      const ageMs = ageOf(projection.ageMs());
      return { epoch, seq, ageMs, halted: ledger.halted() ?? null, lost: lost.map(lostAnswer) };
    },
    verifyLedger: () => ledger.verify(),
    vaultState: () => vault.state(),
    rotateVault: () => vault.rotate(),
    async confirmLoss(actor) {
      const report = await ledger.confirmLoss(actor);
      return report.map(({ entry, outcome, detail }) => ({ ...lostAnswer(entry), outcome, detail }));
    },
    parked: (limit, after) => mesh.parked(limit, after),
    parkedCount: () => mesh.parkedCount(),
    async retryParked(id) {
      const jobId = jobOfParked(id);
      if (jobId !== undefined) return inbox.retry(jobId);
      for await (const entry of allParked(mesh)) {
        if (entry.id !== id) continue;
        const part = channels.find((channel) => channel.id === entry.channel);
        const order = parkedOrderOf(entry);
        if (order !== undefined) part?.replay((waiting) => waiting.id === id);
        else {
          await mesh.unpark(id);
          part?.rediscover();
        }
        return 'retried';
      }
      return 'gone';
    },
    async discardParked(id) {
      const jobId = jobOfParked(id);
      if (jobId === undefined) await mesh.unpark(id);
      else await inbox.discard(jobId);
    },
  };
}

function lostAnswer({ id, kind, sku, location, units, channel, reference }: Movement): LostAnswer {
  return { id, kind, sku, location, units, channel, reference };
}

/** JSON has no infinity: an age never known is told as -1. */
function ageOf(ms: number): number {
  return Number.isFinite(ms) ? Math.round(ms) : -1;
}

/** Sorted anew only when a SKU was added. */
function sortedSkus(size: () => number, skus: () => Iterable<Sku>): () => readonly Sku[] {
  let known: readonly Sku[] = [];
  return () => {
    if (known.length !== size()) known = [...skus()].toSorted((a, b) => (a < b ? -1 : 1));
    return known;
  };
}

async function pingInTime({ commands }: RedisPart): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`Redis did not answer within ${pingMs} ms`)), pingMs);
  });
  try {
    await Promise.race([commands.ping(), late]);
  } finally {
    clearTimeout(timer);
  }
}
