import { expect, test } from 'vitest';
import { RecentLines } from '../../src/http/audit/recent-lines.ts';
import { WaitingLines } from '../../src/http/audit/waiting-lines.ts';

test('the newest lines are kept, whole, in their order, and found by any word in them', () => {
  const recent = new RecentLines(100);
  const long = 'x'.repeat(3_000);
  for (let n = 0; n < 2_000; n++) recent.add(`line "${n}" é\u2028 ${n % 500 === 0 ? 'mark' : ''} ${long}`);
  expect(recent.count).toBeGreaterThanOrEqual(100);
  expect(recent.count).toBeLessThan(2_000);
  expect(recent.holding(['"1999"'])).toEqual([`line "1999" é\u2028  ${long}`]);
  expect(recent.holding(['"1950"', '"1900"', ' é'].slice(0, 2)).map((line) => line.slice(0, 11))).toEqual([
    'line "1900"',
    'line "1950"',
  ]);
  expect(recent.holding(['"0"'])).toEqual([]);
  // A line with two of the words is one line.
  expect(recent.holding(['"1950"', '1950'])).toHaveLength(1);
});

test('a line that is longer than a block has one of its own', () => {
  const recent = new RecentLines(2);
  const huge = 'h'.repeat(400_000);
  recent.add('first');
  recent.add(huge);
  recent.add('last');
  expect(recent.holding(['first', 'hhh', 'last'])).toEqual(['first', huge, 'last']);
});

test('lines wait in their order, and blocks that were written are used again', () => {
  const waiting = new WaitingLines();
  const text = (round: number) => Array.from({ length: 500 }, (_, n) => `${round}:${n} ${'ü'.repeat(700)}\n`);
  for (let round = 0; round < 3; round++) {
    const lines = text(round);
    for (const line of lines) waiting.add(line);
    expect(waiting.count).toBe(500);
    const blocks = waiting.take();
    expect(waiting.count).toBe(0);
    expect(blocks.length).toBeGreaterThan(1);
    expect(blocks.reduce((sum, { count }) => sum + count, 0)).toBe(500);
    expect(Buffer.concat(blocks.map(({ written }) => written)).toString()).toBe(lines.join(''));
    // What comes while they are written is not mixed with them.
    waiting.add('between\n');
    waiting.giveBack(blocks);
    expect(waiting.take().map(({ written }) => written.toString())).toEqual(['between\n']);
  }
});
