import { isRecord, listOf, parseJsonText } from '../../raw-json.ts';

/** What is remembered of the files that were applied. */
export interface FileCursor {
  /** The newest ones, oldest first. */
  readonly hashes: readonly string[];
  readonly asOfMs: number | undefined;
  readonly sequence: bigint | undefined;
}

/** A cursor has room for about 4 kB. */
const maxHashes = 150;

export function remembered(
  cursor: FileCursor,
  hash: string,
  asOfMs: number,
  sequence: bigint | undefined,
): FileCursor {
  return {
    hashes: [...cursor.hashes, hash].slice(-maxHashes),
    asOfMs: Math.max(asOfMs, cursor.asOfMs ?? 0),
    sequence: sequence ?? cursor.sequence,
  };
}

export function writeFileCursor({ hashes, asOfMs, sequence }: FileCursor): string {
  return JSON.stringify({
    v: 1,
    hashes,
    asOfMs,
    ...(sequence === undefined ? {} : { sequence: String(sequence) }),
  });
}

/** What cannot be read is forgotten: files that lie there are applied again, which changes nothing. */
export function readFileCursor(text: string | null): FileCursor {
  const parsed = text === null ? undefined : parseJsonText(text);
  const value =
    parsed?.kind === 'ok' && isRecord(parsed.value) && parsed.value['v'] === 1 ? parsed.value : {};
  const { asOfMs, sequence } = value;
  return {
    hashes: (listOf(value['hashes']) ?? []).filter((hash): hash is string => typeof hash === 'string'),
    asOfMs: typeof asOfMs === 'number' ? asOfMs : undefined,
    sequence: typeof sequence === 'string' && /^\d{1,30}$/.test(sequence) ? BigInt(sequence) : undefined,
  };
}
