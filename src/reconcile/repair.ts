import type { Logger } from 'pino';
import type { ListingId } from '../domain/ids.ts';
import { type DriftAction, correctionOf } from '../domain/verdict.ts';
import type { Ledger } from '../ledger/contract.ts';
import { formatPosition } from '../ledger/position.ts';
import type { MappedListing } from '../mesh/sku-map.ts';
import type { CorrectionGuard } from './correction-guard.ts';
import { type Finding, withStep } from './finding.ts';
import type { ReconciledChannel } from './reconciled-channel.ts';
import type { ReconcileMetrics } from './reconcile-metrics.ts';

export interface RepairOptions {
  readonly channel: ReconciledChannel;
  readonly ledger: Pick<Ledger, 'adjust' | 'peek' | 'nowMs'>;
  readonly metrics: ReconcileMetrics;
  readonly log: Logger;
  /** Holds corrections that come to too much; undefined: nobody watches. */
  readonly guard?: Pick<CorrectionGuard, 'hold'> | undefined;
}

const approvedForMs = 600_000;
const busyForMs = 30_000;

/**
 * Does what was decided about a finding, by asking: the publisher to look, the base builder to read, the order poll to
 * pull, the ledger to adjust. It writes to no channel itself.
 */
export class Repair {
  readonly #options: RepairOptions;
  /** Listings whose edited number may be written over, and until when. */
  readonly #approved = new Map<ListingId, number>();
  /** Not written while the ledger and what is believed of the channel are both being changed. */
  readonly #held = new Set<ListingId>();

  constructor(options: RepairOptions) {
    this.#options = options;
  }

  /** Asked by the publisher, which has proven the edit by reads of its own. */
  mayOverwrite(listingId: ListingId): boolean {
    const untilMs = this.#approved.get(listingId) ?? 0;
    return untilMs > this.#options.ledger.nowMs();
  }

  isHeld(listingId: ListingId): boolean {
    return this.#held.has(listingId);
  }

  /** By policy. What policy may not do any more (too often, too much at once) becomes a matter for a person: parked, or held. */
  async byPolicy(finding: Finding, listing: MappedListing | undefined, isDryRun: boolean): Promise<Finding> {
    const { channel } = this.#options;
    const { policy, maxCorrections, mode } = channel.settings;
    const wanted = policy[finding.verdict];
    const writers = [`stockmesh (${channel.id})`, `somebody else on ${channel.id}`] as const;
    const limited = correctionOf(wanted, finding.corrections, maxCorrections, writers);
    const rule = `${finding.verdict}: ${wanted}${limited.reason === undefined ? '' : ` (${limited.reason})`}`;
    if (isDryRun || mode !== 'repair') {
      return { ...finding, rule: `${isDryRun ? 'dry run' : 'observed only'}, would be ${rule}` };
    }
    const held = await this.#heldBy(finding, limited.action);
    if (held !== undefined) return { ...finding, rule: `${rule} (held: ${held}; see \`stockmesh guard\`)` };
    return this.act({ ...finding, rule }, listing, limited.action, 'reconcile', limited.reason ?? rule);
  }

  async act(
    finding: Finding,
    listing: MappedListing | undefined,
    action: DriftAction,
    actor: string,
    reason: string,
  ): Promise<Finding> {
    const { channel, ledger, metrics, log } = this.#options;
    metrics.actions.inc({ channel: channel.id, action });
    log.warn(
      {
        channel: channel.id,
        sku: finding.sku,
        verdict: finding.verdict,
        units: finding.units,
        action,
        actor,
      },
      'drift: acting on a finding',
    );
    const step = { atMs: ledger.nowMs(), what: action, actor, reason, position: finding.position };
    switch (action) {
      case 'report':
        return { ...finding, state: 'open' };
      case 'park':
        return withStep({ ...finding, state: 'parked' }, { ...step, from: null, to: null });
      case 'pull-orders':
        void channel.publishing.pullSince(ledger.nowMs() - channel.settings.lookBackMs);
        return withStep({ ...finding, state: 'acted' }, { ...step, from: null, to: null });
      case 're-publish': {
        if (listing === undefined) return finding;
        this.#approve(listing.listingId);
        if (finding.cause === 'not-published') channel.publishing.listingsChanged([listing]);
        // The publisher proves an edit by three quiet reads of its own. A listing that sells all the time has none: there
        // what is believed of it is dropped, and its next base, with the orders around it pulled, says what to write.
        else if (finding.corrections > 0 || (await this.#isBusy(listing)))
          await channel.publishing.forget([listing]);
        else channel.publishing.readAgain([listing]);
        const acted: Finding = { ...finding, state: 'acted', corrections: finding.corrections + 1 };
        return withStep(acted, { ...step, from: finding.shown, to: finding.target });
      }
      case 'adopt': {
        if (listing === undefined) return finding;
        const adopted = await this.adjust(finding, listing, finding.units, 'drift: adopted', actor, reason);
        return withStep(
          { ...finding, state: 'acted', corrections: finding.corrections + 1 },
          { ...step, from: finding.target, to: finding.shown, position: adopted },
        );
      }
    }
  }

  /**
   * Moves the ledger by so many units and drops what is believed of the listing, so that nothing writes the channel by
   * the old belief and the new figure. Answers the position of the movement.
   */
  async adjust(
    finding: Finding,
    listing: MappedListing,
    units: number,
    what: string,
    actor: string,
    reason: string,
  ): Promise<string> {
    const { channel, ledger } = this.#options;
    const location = listing.locations[0];
    if (location === undefined)
      throw new Error('a listing without a location of ours has no figure to adjust');
    this.#held.add(listing.listingId);
    try {
      const adjusted = await ledger.adjust({
        operationId: `drift:${finding.id}:${finding.steps.length}`,
        movement: 'adjusted',
        sku: listing.sku,
        location,
        units,
        reference: finding.id,
        reason: `${what}: ${reason}`.slice(0, 200),
        actor,
      });
      if (adjusted.kind !== 'adjusted') throw new Error('the finding was decided otherwise meanwhile');
      await channel.publishing.forget([listing]);
      const { position } = await ledger.peek([listing.sku]);
      return formatPosition({ ...position, seq: adjusted.seq });
    } finally {
      this.#held.delete(listing.listingId);
      channel.publishing.listingsChanged([listing]);
    }
  }

  async #heldBy(finding: Finding, action: DriftAction): Promise<string | undefined> {
    const { listingId, sku, shown, target } = finding;
    if (action !== 're-publish' && action !== 'adopt') return undefined;
    if (listingId === '' || shown === null || target === null) return undefined;
    const [from, to] = action === 'adopt' ? [target, shown] : [shown, target];
    return this.#options.guard?.hold({ listingId, sku, from, to });
  }

  async #isBusy(listing: MappedListing): Promise<boolean> {
    const { channel, ledger } = this.#options;
    const { rows } = await channel.publishing.views([listing]);
    const state = rows[0]?.state;
    if (state === undefined || channel.connector.capabilities.writes === 'absolute') return false;
    const sinceMs = ledger.nowMs() - busyForMs;
    return state.openWrites.length > 0 || state.rises.some(({ atMs }) => atMs >= sinceMs);
  }

  #approve(listingId: ListingId): void {
    const nowMs = this.#options.ledger.nowMs();
    for (const [id, untilMs] of this.#approved) if (untilMs <= nowMs) this.#approved.delete(id);
    this.#approved.set(listingId, nowMs + approvedForMs);
  }
}
