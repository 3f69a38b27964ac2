import type { DriftCause, OddOne, Verdict } from '../domain/verdict.ts';
import type { Finding, FindingStep } from './finding.ts';
import type { OversellCause } from './post-mortem.ts';

/** How a merchant reads the words of the program. Every word has its sentence: the types see to it. */
export const verdictTitles: Readonly<Record<Verdict, string>> = {
  agrees: 'Agrees',
  'echo-pending': 'Update on its way',
  'lost-publication': 'Update did not arrive',
  'missed-order': 'Order not heard in time',
  'edited-on-channel': 'Changed on the channel',
  'count-differs': 'Warehouse counts differently',
  unmapped: 'Unknown SKU',
  untracked: 'Stock not tracked there',
  inactive: 'Listing gone or not for sale',
};

const causeSentences: Readonly<Record<DriftCause, string>> = {
  'not-published': 'The new number was never sent.',
  'write-not-applied': 'The channel took our update and still shows the number from before.',
  'order-not-heard': 'An order had not reached us; it has been fetched.',
  'cancellation-not-heard': 'A cancellation had not reached us; it has been fetched.',
  'hand-edit': 'Somebody changed the number on the channel.',
  'second-writer': 'It was corrected before and changed again: another program writes this number too.',
  'restored-on-cancel': 'The channel put the units of a cancelled order back on sale by itself.',
  'listing-gone': 'The listing no longer exists.',
  deactivated:
    'The listing is there but sells nothing: deactivated, or not stocked at this location any more.',
  'not-tracked': 'The channel does not count stock of this item.',
  'sku-unknown': 'The channel sells a SKU that no stock is known of.',
  'warehouse-lost': 'The warehouse has fewer than the ledger: lost, damaged or miscounted.',
  'warehouse-found': 'The warehouse has more than the ledger: found, returned or miscounted.',
};

export const oversellTitles: Readonly<Record<OversellCause, string>> = {
  'sold-at-once': 'Sold in the same moment',
  'heard-late': 'Heard of the first sale too late',
  'written-late': 'The other channel was told too late',
  'never-written': 'The channel was not told',
  physical: 'Goods were not there',
  'held-back': 'Unexplained drop on a listing',
  claimed: 'Promised elsewhere',
};

export const stepTitles: Readonly<Record<FindingStep['what'], string>> = {
  found: 'Found',
  report: 'Reported',
  park: 'Set aside for you',
  're-publish': 'Sent again',
  'pull-orders': 'Orders fetched',
  adopt: 'Taken over into our stock',
  accept: 'Accepted',
  reject: 'Rejected',
  set: 'Set by hand',
  freeze: 'Frozen',
  thaw: 'Released',
  resolved: 'Agrees again',
};

const stateSentences: Readonly<Record<Finding['state'], string>> = {
  open: 'Still open.',
  acted: 'A correction is under way.',
  parked: 'Waits for your decision.',
  frozen: 'Frozen by you: nothing is written there.',
  resolved: 'Agrees again.',
};

const oddSentences: Readonly<Record<OddOne, string>> = {
  channel: 'Our stock and the warehouse agree: only the channel differs.',
  ledger: 'The channel and the warehouse agree: our own figure is the one that differs.',
  warehouse: 'The channels agree with our stock: only the warehouse differs.',
  unclear: '',
};

/** "Shows 9, should be 7. Somebody changed the number on the channel. Waits for your decision." */
export function findingSentence(finding: Finding): string {
  const { cause, odd, verdict, state, rule } = finding;
  // An order that was fetched explains it: who differed is said already.
  const alone = verdict === 'missed-order' ? '' : oddSentences[odd];
  const isHeld = state === 'open' && rule.includes('(held: ');
  const end = isHeld
    ? 'So many corrections at once are unusual: they wait for your confirmation.'
    : stateSentences[state];
  return [numbersOf(finding), causeSentences[cause], alone, end].filter((part) => part !== '').join(' ');
}

function numbersOf(finding: Finding): string {
  const { shown, units, verdict, expectedLowest, expectedHighest, target, listingId } = finding;
  if (shown === null) return verdict === 'inactive' ? 'Not found on the channel.' : '';
  if (verdict === 'missed-order') return `Showed ${shown} where we knew of ${shown - units}.`;
  const says = listingId === '' ? 'Counts' : 'Shows';
  const isRange = target === null && expectedLowest !== expectedHighest;
  const should = isRange ? `${expectedLowest} to ${expectedHighest}` : `${target ?? expectedHighest}`;
  return `${says} ${shown}, should be ${should}.`;
}
