import { isRecord, parseJsonText } from '../raw-json.ts';

/** What a source's polls remember between two of them. */
export interface ReadingState {
  /** Since-time: ms by the source's clock. Since-id: the highest id. */
  readonly since: string | undefined;
  /** Our clock. */
  readonly snapshotAtMs: number;
}

export function writeCursor(state: ReadingState): string {
  return JSON.stringify({ v: 1, ...state });
}

/** Undefined for what cannot be read: the next poll is then a snapshot, which costs time and loses nothing. */
export function readCursor(text: string | null): ReadingState | undefined {
  if (text === null) return undefined;
  const parsed = parseJsonText(text);
  if (parsed.kind === 'bad' || !isRecord(parsed.value) || parsed.value['v'] !== 1) return undefined;
  const { since, snapshotAtMs } = parsed.value;
  if (typeof snapshotAtMs !== 'number' || (since !== undefined && typeof since !== 'string'))
    return undefined;
  return { since, snapshotAtMs };
}
