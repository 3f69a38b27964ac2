import { beliefOf, possibleRangeOf } from '../domain/belief.ts';
import type { ChannelId, ListingId, Sku } from '../domain/ids.ts';
import type { ListingState } from '../domain/listing.ts';
import { availableOf, type Movement } from '../domain/movement.ts';
import type { PolicyStep, Target } from '../domain/policy.ts';
import type { Staleness } from '../domain/staleness.ts';
import type { ListingView, PublisherLedger } from '../ledger/contract.ts';
import type { ChannelView } from '../mesh/channel-state.ts';
import { defaultPublishTimes } from '../mesh/publish-rules.ts';
import { isWritable, type MappedListing } from '../mesh/sku-map.ts';
import { stalenessText } from '../mesh/staleness-watch.ts';
import type { SyncJournal, SyncRecord } from '../mesh/sync-journal.ts';
import { type OpenClaim, type SkuStory, type StoryEnd, skuStory } from './sku-story.ts';

/** One channel as `explain` sees it. */
export interface ExplainedChannel {
  readonly id: ChannelId;
  view(): ChannelView | undefined;
  readonly circuit: string;
  listingsOf(sku: Sku): readonly MappedListing[];
  /** Further SKUs whose levels decide its target. */
  skusBeside(sku: Sku): readonly Sku[];
  targetOf(listing: MappedListing, view: ListingView): Target;
  readonly staleness?: Staleness | undefined;
}

export interface ExplainOptions {
  readonly ledger: Pick<PublisherLedger, 'readListings'>;
  /** Entries of the SKU, archive and log, oldest first. */
  readonly historyOf: (sku: Sku) => AsyncIterable<readonly Movement[]>;
  readonly journal: SyncJournal;
  readonly channels: readonly ExplainedChannel[];
  /** Ledger clock. */
  readonly nowMs: () => number;
}

export interface ExplainRequest {
  readonly sku: Sku;
  readonly channel?: ChannelId | undefined;
  readonly end: StoryEnd;
}

export interface ExplainedListing {
  readonly listingId: ListingId;
  /** What it ought to show by policy, rule by rule in the order they apply; computed from the levels of now. */
  readonly target: number;
  readonly steps: readonly PolicyStep[];
  /** What we think it shows; null: it was never read. */
  readonly belief: number | null;
  /** Between which numbers it can be while writes are open. */
  readonly range: { readonly lowest: number; readonly highest: number } | null;
  readonly lastReading: {
    readonly value: number;
    readonly atMs: number;
    readonly ageMs: number;
    readonly settled: boolean;
  } | null;
  /** Units the platform took through orders since that reading. */
  readonly takenSince: number;
  readonly provisional: number;
  readonly openWrites: ListingState['openWrites'];
  /** Why nothing may be raised, or written at all, in plain words; empty: nothing stands in the way. */
  readonly hindrances: readonly string[];
  /** Newest first. */
  readonly lastWrites: readonly SyncRecord[];
}

export interface Explanation {
  readonly sku: Sku;
  /** The newest entry of the SKU it speaks of; null: the ledger never heard of the SKU. */
  readonly sequence: string | null;
  readonly atMs: number | null;
  readonly isPast: boolean;
  readonly available: number;
  readonly levels: readonly {
    readonly location: string;
    readonly onHand: number;
    readonly committed: number;
    readonly reserved: number;
    readonly available: number;
  }[];
  readonly orders: readonly OpenClaim[];
  readonly holds: readonly OpenClaim[];
  readonly provisional: readonly OpenClaim[];
  readonly movements: readonly Movement[];
  readonly entries: number;
  /** Of a moment in the past only the writes up to it are told: what was believed then is not kept. */
  readonly channels: readonly {
    readonly channel: ChannelId;
    readonly mode: string;
    readonly status: string;
    readonly circuit: string;
    readonly attention: string;
    readonly listings: readonly ExplainedListing[];
    readonly lastWrites: readonly SyncRecord[];
  }[];
}

const maxWrites = 10;
const keepNewest = 20;
const maxClaims = 200;

/** Which entries, holds, policy and writes made a number, and what stands in the way of another one. Changes nothing. */
export async function explain(options: ExplainOptions, request: ExplainRequest): Promise<Explanation> {
  const { sku, channel, end } = request;
  const story = await skuStory(options.historyOf(sku), end, keepNewest);
  const wanted = options.channels.filter(({ id }) => channel === undefined || id === channel);
  const untilMs = end.kind === 'now' ? Number.POSITIVE_INFINITY : (story.last?.atMs ?? 0);
  const records = await options.journal.newest(
    (record) => record.sku === sku && record.atMs <= untilMs,
    maxWrites * Math.max(1, wanted.length) * 4,
  );
  const channels: Explanation['channels'][number][] = [];
  for (const one of wanted) {
    const own = records.filter((record) => record.channel === one.id);
    const view = one.view();
    channels.push({
      channel: one.id,
      mode: view?.mode ?? 'off',
      status: view?.status ?? 'off',
      circuit: one.circuit,
      attention: view?.attention?.reason ?? '',
      listings: end.kind === 'now' ? await listingsOf(options, one, sku, own) : [],
      lastWrites: own.slice(0, maxWrites),
    });
  }
  return { ...toldStory(sku, story, end), channels };
}

function toldStory(sku: Sku, story: SkuStory, end: StoryEnd): Omit<Explanation, 'channels'> {
  return {
    sku,
    sequence: story.last?.id ?? null,
    atMs: story.last?.atMs ?? null,
    isPast: end.kind !== 'now',
    available: story.available,
    levels: [...story.levels].map(([location, level]) => {
      return { location, ...level, available: availableOf(level) };
    }),
    orders: story.orders.slice(-maxClaims),
    holds: story.holds.slice(-maxClaims),
    provisional: story.provisional.slice(-maxClaims),
    movements: story.newest.toReversed(),
    entries: story.entries,
  };
}

async function listingsOf(
  { ledger, nowMs }: ExplainOptions,
  channel: ExplainedChannel,
  sku: Sku,
  records: readonly SyncRecord[],
): Promise<readonly ExplainedListing[]> {
  const mapped = channel.listingsOf(sku);
  if (mapped.length === 0) return [];
  const { rows } = await ledger.readListings(
    channel.id,
    mapped.map(({ listingId }) => ({ listingId, sku, components: channel.skusBeside(sku) })),
  );
  const views = new Map(rows.map((row) => [row.listingId, row]));
  return mapped.flatMap((listing) => {
    const view = views.get(listing.listingId);
    if (view === undefined) return [];
    const { state } = view;
    const { units, steps } = channel.targetOf(listing, view);
    const { base } = state;
    return [
      {
        listingId: listing.listingId,
        target: units,
        steps,
        belief: beliefOf(state) ?? null,
        range: possibleRangeOf(state, defaultPublishTimes.skewMs) ?? null,
        lastReading:
          base === undefined
            ? null
            : {
                value: base.value,
                atMs: base.asOfMs,
                ageMs: Math.max(0, nowMs() - base.asOfMs),
                settled: base.settled,
              },
        takenSince: base === undefined ? 0 : state.taken - base.takenAt,
        provisional: state.provisional,
        openWrites: state.openWrites,
        hindrances: [...hindrancesOf(listing, state, channel.view()), ...staleHindrance(channel)],
        lastWrites: records.filter(({ listingId }) => listingId === listing.listingId).slice(0, maxWrites),
      },
    ];
  });
}

function staleHindrance({ staleness }: ExplainedChannel): readonly string[] {
  if (staleness?.kind !== 'stale') return [];
  const { stopsRaises, bufferUnits, because } = staleness;
  const what = [
    ...(stopsRaises ? ['nothing is raised'] : []),
    ...(bufferUnits > 0 ? [`${bufferUnits} units are kept back`] : []),
  ];
  return what.length === 0 ? [] : [`${what.join(' and ')}: ${stalenessText(because)}`];
}

function hindrancesOf(
  listing: MappedListing,
  state: ListingState,
  channel: ChannelView | undefined,
): readonly string[] {
  const found: string[] = [];
  if (channel === undefined || channel.mode !== 'live')
    found.push(`the channel is in mode ${channel?.mode ?? 'off'}: nothing is written`);
  if (channel?.status === 'needs-attention')
    found.push(`the channel needs attention: ${channel.attention?.reason ?? ''}`);
  if (channel?.status === 'connecting') found.push('the channel is still being connected');
  for (const problem of listing.problems) found.push(`the listing is ${problem}`);
  if (!isWritable(listing) && listing.problems.length === 0)
    found.push('the stock of the listing is not ours');
  if (state.base === undefined) found.push('it was never read: only lowerings could go out');
  else if (!state.base.settled)
    found.push('orders placed before the last reading may be missing: lowerings only');
  if (state.suspect) found.push('it must be read again before it may be raised');
  if (state.residue !== undefined)
    found.push(
      `it shows ${state.residue.units > 0 ? '+' : ''}${state.residue.units} against what orders explain (${state.residue.reads} readings)`,
    );
  if (state.openWrites.length > 0) found.push(`${state.openWrites.length} writes have no final outcome`);
  return found;
}
