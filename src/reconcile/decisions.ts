import { availableOf } from '../domain/movement.ts';
import type { Ledger } from '../ledger/contract.ts';
import type { MappedListing } from '../mesh/sku-map.ts';
import type { FindingsDesk } from './findings-desk.ts';
import { type Finding, withStep } from './finding.ts';
import type { ReconciledChannel } from './reconciled-channel.ts';
import type { Repair } from './repair.ts';

/** What a person says about a finding. Actor and reason go into the ledger's log with whatever is changed. */
export type Decision = { readonly actor: string; readonly reason: string } & (
  | { readonly kind: 'accept' | 'reject' | 'freeze' | 'thaw' }
  /** So many units are there to sell. */
  | { readonly kind: 'set'; readonly units: number }
);

export type DecisionResult =
  | { readonly kind: 'done'; readonly finding: Finding }
  | { readonly kind: 'not-possible'; readonly reason: string };

export interface DecisionParts {
  readonly channel: ReconciledChannel;
  readonly desk: FindingsDesk;
  readonly repair: Repair;
  readonly ledger: Pick<Ledger, 'adjust' | 'peek' | 'nowMs'>;
  /** Whether the figure of the listing's place is the ledger's own. */
  readonly isOwnFigure: (listing: MappedListing) => boolean;
}

/**
 * accept: the channel is right, the ledger follows. reject: the ledger is right, the channel is written. set: neither is.
 * freeze: nothing is written to the listing until it is thawed.
 */
export async function decide(
  parts: DecisionParts,
  finding: Finding,
  decision: Decision,
): Promise<DecisionResult> {
  const { channel, repair } = parts;
  const { actor, reason } = decision;
  if (finding.state === 'resolved') return no('the finding is resolved');
  const listing = finding.listingId === '' ? undefined : channel.map.listing(finding.listingId);
  if (listing === undefined) return no('the listing is no longer in the map of the channel');
  if (decision.kind === 'freeze' || decision.kind === 'thaw')
    return frozen(parts, finding, listing, decision);
  if (!channel.publishing.isPublishing) return no('another daemon publishes the channel: ask that one');
  const hasNumber =
    finding.shown !== null && finding.verdict !== 'unmapped' && finding.verdict !== 'untracked';
  switch (decision.kind) {
    case 'accept': {
      // There is no number to follow: the person says that it is meant to be so.
      if (!hasNumber)
        return done(
          await parts.desk.resolve(
            finding,
            `accepted by ${actor}: ${reason}`,
            finding.shown,
            finding.position,
          ),
        );
      if (!parts.isOwnFigure(listing))
        return no('the figure of this place is a warehouse’s: only its count may change it');
      return done(await save(parts, await repair.act(finding, listing, 'adopt', actor, reason)));
    }
    case 'reject': {
      if (!hasNumber) return no('the platform shows no number that could be written over');
      const position = await note(parts, finding, listing, 'rejected', actor, reason);
      return done(
        await save(parts, await repair.act({ ...finding, position }, listing, 're-publish', actor, reason)),
      );
    }
    case 'set': {
      if (!parts.isOwnFigure(listing))
        return no('the figure of this place is a warehouse’s: only its count may change it');
      const { levels } = await parts.ledger.peek([listing.sku]);
      const places = levels.get(listing.sku);
      let available = 0;
      for (const location of listing.locations) {
        const level = places?.get(location);
        if (level !== undefined) available += availableOf(level);
      }
      const units = decision.units - available;
      const position = await repair.adjust(finding, listing, units, 'drift: set', actor, reason);
      const step = { atMs: parts.ledger.nowMs(), what: 'set', actor, reason, position } as const;
      return done(
        await save(
          parts,
          withStep({ ...finding, state: 'acted' }, { ...step, from: available, to: decision.units }),
        ),
      );
    }
  }
}

async function frozen(
  parts: DecisionParts,
  finding: Finding,
  listing: MappedListing,
  { kind, actor, reason }: Decision,
): Promise<DecisionResult> {
  if (kind === 'thaw' && finding.state !== 'frozen') return no('the listing is not frozen');
  const position = await note(
    parts,
    finding,
    listing,
    kind === 'freeze' ? 'frozen' : 'thawed',
    actor,
    reason,
  );
  const step = {
    atMs: parts.ledger.nowMs(),
    what: kind === 'freeze' ? 'freeze' : 'thaw',
    actor,
    reason,
  } as const;
  const state = kind === 'freeze' ? 'frozen' : 'open';
  const saved = await save(
    parts,
    withStep({ ...finding, state }, { ...step, from: null, to: null, position }),
  );
  await parts.desk.refresh();
  parts.channel.publishing.listingsChanged([listing]);
  return done(saved);
}

/** A movement of no units: the log says who decided what, and why, where everything else is told too. */
async function note(
  { ledger, channel }: DecisionParts,
  finding: Finding,
  listing: MappedListing,
  what: string,
  actor: string,
  reason: string,
): Promise<string> {
  const location = listing.locations[0];
  // A level without a figure must not get one by this.
  if (location === undefined || !channel.hasFigure(listing)) return finding.position;
  const noted = await ledger.adjust({
    operationId: `drift:${finding.id}:${what}:${finding.steps.length}`,
    movement: 'adjusted',
    sku: listing.sku,
    location,
    units: 0,
    reference: finding.id,
    reason: `drift: ${what}: ${reason}`.slice(0, 200),
    actor,
  });
  const { position } = await ledger.peek([]);
  return noted.kind === 'adjusted' ? `${position.epoch}-${noted.seq}` : finding.position;
}

async function save({ desk }: DecisionParts, finding: Finding): Promise<Finding> {
  await desk.save(finding);
  return finding;
}

function done(finding: Finding): DecisionResult {
  return { kind: 'done', finding };
}

function no(reason: string): DecisionResult {
  return { kind: 'not-possible', reason };
}
