import type { Parsed } from '../domain/ids.ts';
import type { StoryEnd } from './sku-story.ts';

/** `1795973957-412` or `412`: a sequence; `2026-11-29T10:00:00Z`: a moment, with its time zone; nothing: now. */
export function parseStoryEnd(text: string | undefined): Parsed<StoryEnd> {
  if (text === undefined || text === 'now') return { kind: 'ok', value: { kind: 'now' } };
  const sequence = /^(?:(\d{1,15})-)?(\d{1,15})$/.exec(text);
  if (sequence !== null) {
    const [, epoch, seq] = sequence;
    return {
      kind: 'ok',
      value: { kind: 'sequence', epoch: epoch === undefined ? undefined : Number(epoch), seq: Number(seq) },
    };
  }
  const isDated = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:\d{2})$/.test(text);
  const atMs = isDated ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(atMs))
    return { kind: 'bad', reason: 'must be a sequence or a time such as 2026-11-29T10:00:00Z' };
  return { kind: 'ok', value: { kind: 'time', atMs } };
}
