import { z } from 'zod';
import type { ChannelId, ListingId, LocationId, Sku } from '../domain/ids.ts';
import type { DriftAction, DriftCause, DriftVerdict, OddOne } from '../domain/verdict.ts';

/**
 * A difference that was proven, of one listing of a channel (or of one SKU at one location, for a warehouse).
 *
 *   open --policy or a person acts--> acted --a later read agrees--> resolved
 *   open, acted --policy says so, or corrected too often--> parked --a person decides--> acted | frozen
 *   acted --still different--> open (one more correction)          any --a later read agrees--> resolved
 *   frozen: a person stopped all writes of the listing; ends when a person thaws it
 */
export type FindingState = 'open' | 'acted' | 'parked' | 'frozen' | 'resolved';

/** One line of a finding's history: who did what, and what it changed. */
export interface FindingStep {
  readonly atMs: number;
  readonly what: 'found' | DriftAction | 'accept' | 'reject' | 'set' | 'freeze' | 'thaw' | 'resolved';
  /** `reconcile`, or who asked for it. */
  readonly actor: string;
  readonly reason: string;
  /** Value shown or held before, and after. Null where no number changed. */
  readonly from: number | null;
  readonly to: number | null;
  /** `<epoch>-<seq>` it was decided at, or that its movement has. */
  readonly position: string;
}

export interface Finding {
  /** Stable while it is open: one subject has at most one open finding. */
  readonly id: string;
  readonly runId: string;
  readonly channel: ChannelId;
  /** Empty: a level of a warehouse. */
  readonly listingId: ListingId | '';
  readonly sku: Sku | '';
  readonly location: LocationId | '';
  readonly verdict: DriftVerdict;
  readonly cause: DriftCause;
  readonly odd: OddOne;
  /** What the channel (or warehouse) said; null: it does not know the listing. */
  readonly shown: number | null;
  readonly expectedLowest: number;
  readonly expectedHighest: number;
  /** What it ought to show by levels and policy. */
  readonly target: number | null;
  /** Least number of units that explains the reads; shown minus expected. */
  readonly units: number;
  readonly reads: number;
  readonly readAtMs: number;
  readonly position: string;
  readonly openedAtMs: number;
  readonly changedAtMs: number;
  readonly state: FindingState;
  /** The policy line that chose the action: `edited-on-channel: park`, or why it was not followed. */
  readonly rule: string;
  readonly corrections: number;
  readonly steps: readonly FindingStep[];
}

export const maxSteps = 50;

const step = z.object({
  atMs: z.number(),
  what: z.string(),
  actor: z.string(),
  reason: z.string(),
  from: z.number().nullable(),
  to: z.number().nullable(),
  position: z.string(),
});

/** Only the shape: the words come from this program, or from a newer one. */
export const findingRecord = z.object({
  id: z.string(),
  runId: z.string(),
  channel: z.string(),
  listingId: z.string(),
  sku: z.string(),
  location: z.string(),
  verdict: z.string(),
  cause: z.string(),
  odd: z.string(),
  shown: z.number().nullable(),
  expectedLowest: z.number(),
  expectedHighest: z.number(),
  target: z.number().nullable(),
  units: z.number(),
  reads: z.number(),
  readAtMs: z.number(),
  position: z.string(),
  openedAtMs: z.number(),
  changedAtMs: z.number(),
  state: z.enum(['open', 'acted', 'parked', 'frozen', 'resolved']),
  rule: z.string(),
  corrections: z.number(),
  steps: z.array(step),
});

/** What a finding is about: the same for as long as the difference lasts, and for the next one. */
export function subjectOf(finding: Pick<Finding, 'channel' | 'listingId' | 'sku' | 'location'>): string {
  const { channel, listingId, sku, location } = finding;
  return listingId === '' ? `${channel}/${location}/${sku}` : `${channel}/${listingId}`;
}

/** With one more line of history; the oldest but the first are let go. */
export function withStep(finding: Finding, next: FindingStep): Finding {
  const steps = [...finding.steps, next];
  if (steps.length > maxSteps) steps.splice(1, steps.length - maxSteps);
  return { ...finding, steps, changedAtMs: next.atMs };
}
