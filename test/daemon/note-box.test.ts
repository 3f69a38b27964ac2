import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { Notes } from '../../src/daemon/webhook-thread/messages.ts';
import { NoteBox } from '../../src/daemon/webhook-thread/note-box.ts';
import type { ChannelId } from '../../src/domain/ids.ts';

const channel = 'north' as ChannelId;
const ringOf = (item: string) => ({ channel, notice: { itemIds: [item], told: [] } });

function boxed(): { readonly box: NoteBox; readonly sent: Notes[] } {
  const sent: Notes[] = [];
  return { box: new NoteBox((notes) => void sent.push(notes)), sent };
}

test('a daemon that does not read bounds what is kept: rings are turned away, times are dropped', async () => {
  const { box, sent } = boxed();
  box.ring(ringOf('first'));
  await turn();
  expect(sent).toHaveLength(1);
  for (let n = 0; n < 10_000; n++) expect(box.ring(ringOf(String(n)))).toBe(true);
  expect(box.ring(ringOf('one too many'))).toBe(false);
  for (let n = 0; n < 10_001; n++) box.answered(1);
  box.noted();
  await turn();
  expect(sent[1]?.rings).toHaveLength(10_000);
  expect(sent[1]?.tookMs).toHaveLength(10_000);
  expect(box.ring(ringOf('room again'))).toBe(true);
});

test('notes of one turn are one message, and the next one waits until it was read', async () => {
  const { box, sent } = boxed();
  box.ring(ringOf('a'));
  box.ring(ringOf('b'));
  box.answered(3);
  expect(sent).toEqual([]);
  await turn();
  box.ring(ringOf('c'));
  await turn();
  await turn();
  expect(sent).toEqual([{ rings: [ringOf('a'), ringOf('b')], refusals: [], tookMs: [3] }]);
  box.noted();
  await turn();
  expect(sent[1]).toEqual({ rings: [ringOf('c')], refusals: [], tookMs: [] });
  box.noted();
  await turn();
  expect(sent).toHaveLength(2);
});

test('a flood of refusals is told as one with its count', async () => {
  const { box, sent } = boxed();
  for (let n = 0; n < 1_000; n++) box.refused('', 'unknown-channel', 'no such channel');
  box.refused('north', 'media-type', 'only application/json is accepted');
  await turn();
  expect(sent[0]?.refusals).toEqual([
    { channel: '', outcome: 'unknown-channel', reason: 'no such channel', count: 1_000 },
    { channel: 'north', outcome: 'media-type', reason: 'only application/json is accepted', count: 1 },
  ]);
});
