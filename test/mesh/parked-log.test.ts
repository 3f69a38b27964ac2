import pino from 'pino';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { ChannelId } from '../../src/domain/ids.ts';
import { ParkedLog } from '../../src/mesh/parked-log.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test('a flood of parked rows is a few lines and a number, each minute and channel anew', () => {
  const lines: { channel: string; reference?: string; more?: number }[] = [];
  const log = pino({ base: null }, { write: (text: string) => void lines.push(JSON.parse(text)) });
  const parkedLog = new ParkedLog(log);
  const park = (channel: string, count: number): void => {
    for (let i = 0; i < count; i++) {
      const row = {
        what: 'order-line',
        reference: `#${i}`,
        reason: 'sku is not known',
        content: '',
      } as const;
      parkedLog.parked(channel as ChannelId, row);
    }
  };
  park('a', 500);
  park('b', 2);
  expect(lines.filter(({ channel }) => channel === 'a')).toHaveLength(20);
  expect(lines.filter(({ channel }) => channel === 'b')).toHaveLength(2);
  vi.advanceTimersByTime(60_000);
  expect(lines.filter(({ more }) => more !== undefined)).toMatchObject([{ channel: 'a', more: 480 }]);
  park('a', 1);
  expect(lines.at(-1)).toMatchObject({ channel: 'a', reference: '#0' });
});
