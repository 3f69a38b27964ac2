import { expect, test } from 'vitest';
import { ZonedCron } from '../../src/mesh/zoned-cron.ts';

/** Every due minute between two moments, looked at minute by minute, as the daemon does. */
function due(expression: string, timeZone: string, from: string, to: string): readonly string[] {
  const cron = new ZonedCron(expression, timeZone);
  const found: string[] = [];
  for (let atMs = Date.parse(from); atMs < Date.parse(to); atMs += 60_000) {
    const dueAtMs = cron.dueBetween(atMs - 60_000, atMs);
    if (dueAtMs !== undefined) found.push(new Date(dueAtMs).toISOString().slice(5, 16));
  }
  return found;
}

test('a time that the clocks jump over is due right after the jump, once', () => {
  // Berlin, 28 March 2027: 02:00 becomes 03:00.
  expect(due('30 2 * * *', 'Europe/Berlin', '2027-03-27T00:00Z', '2027-03-30T00:00Z')).toEqual([
    '03-27T01:30',
    '03-28T01:00',
    '03-29T00:30',
  ]);
  expect(due('0 4 * * *', 'Europe/Berlin', '2027-03-27T00:00Z', '2027-03-30T00:00Z')).toEqual([
    '03-27T03:00',
    '03-28T02:00',
    '03-29T02:00',
  ]);
});

test('a time that comes twice is due the first time only', () => {
  // Berlin, 25 October 2026: 03:00 becomes 02:00. New York, 1 November: 02:00 becomes 01:00.
  expect(due('30 2 * * *', 'Europe/Berlin', '2026-10-24T00:00Z', '2026-10-27T00:00Z')).toEqual([
    '10-24T00:30',
    '10-25T00:30',
    '10-26T01:30',
  ]);
  expect(due('30 1 * * *', 'America/New_York', '2026-10-31T00:00Z', '2026-11-03T00:00Z')).toEqual([
    '10-31T05:30',
    '11-01T05:30',
    '11-02T06:30',
  ]);
});

test('every hour is every hour, also the one that comes twice and around the one that does not come', () => {
  const autumn = due('0 * * * *', 'Europe/Berlin', '2026-10-24T22:00Z', '2026-10-25T04:00Z');
  expect(autumn).toEqual([
    '10-24T22:00',
    '10-24T23:00',
    '10-25T00:00',
    '10-25T01:00',
    '10-25T02:00',
    '10-25T03:00',
  ]);
  const spring = due('0 * * * *', 'Europe/Berlin', '2027-03-27T23:00Z', '2027-03-28T04:00Z');
  expect(spring).toEqual(['03-27T23:00', '03-28T00:00', '03-28T01:00', '03-28T02:00', '03-28T03:00']);
});

test('half hours of a zone, days and weekdays are those of the zone', () => {
  expect(due('0 0 * * *', 'Asia/Kolkata', '2026-05-01T00:00Z', '2026-05-03T00:00Z')).toEqual([
    '05-01T18:30',
    '05-02T18:30',
  ]);
  // Lord Howe sets its clocks by half an hour: 4 April 2027, 02:00 becomes 01:30.
  expect(due('45 1 * * *', 'Australia/Lord_Howe', '2027-04-03T00:00Z', '2027-04-05T00:00Z')).toEqual([
    '04-03T14:45',
    '04-04T15:15',
  ]);
  // Monday in Auckland is Sunday in UTC.
  expect(due('0 8 * * 1', 'Pacific/Auckland', '2026-06-13T00:00Z', '2026-06-17T00:00Z')).toEqual([
    '06-14T20:00',
  ]);
});

test('a daemon that was asleep runs what was due once, and not what was due long ago', () => {
  const cron = new ZonedCron('*/10 * * * *', 'Etc/UTC');
  const at = Date.parse('2026-05-01T12:34Z');
  expect(cron.dueBetween(at - 3_600_000, at)).toBe(Date.parse('2026-05-01T12:30Z'));
  expect(cron.dueBetween(at, at)).toBeUndefined();
  const daily = new ZonedCron('0 1 * * *', 'Etc/UTC');
  expect(daily.dueBetween(at - 86_400_000, at)).toBeUndefined();
});
