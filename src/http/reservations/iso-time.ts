// Prime: moments a round number of seconds apart (now, and when a hold ends) do not share a slot.
const slots = 61;
const knownMs = new Float64Array(slots).fill(Number.NaN);
const texts = Array.from({ length: slots }, () => '');

/** ISO 8601, UTC. Answers come by the dozen within a millisecond: its text is made once. */
export function isoTimeOf(ms: number): string {
  const slot = Math.abs(Math.trunc(ms)) % slots;
  let text = texts[slot];
  if (text === undefined || knownMs[slot] !== ms) {
    text = new Date(ms).toISOString();
    texts[slot] = text;
    knownMs[slot] = ms;
  }
  return text;
}
