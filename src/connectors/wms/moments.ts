import type { Parsed } from '../../domain/ids.ts';

/** How a source writes moments. */
export interface MomentRules {
  /** `sql`: `2026-11-21 09:00:00`, UTC unless a zone says otherwise. */
  readonly format: 'iso' | 'sql' | 'unix-s' | 'unix-ms';
  /** For times without an offset: `UTC`, `+02:00` or a name of the time zone database. */
  readonly zone?: string | undefined;
}

const isoPattern =
  /^(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{1,9}))?)?\s*(Z|[+-]\d{2}:?\d{2})?)?$/i;
const compactPattern = /^(\d{4})(\d{2})(\d{2})[T_-]?(?:(\d{2})(\d{2})(\d{2})?)?(Z)?$/;
/** A figure dated outside these is dated wrongly. */
const earliestMs = Date.UTC(2000, 0, 1);
const latestMs = Date.UTC(2100, 0, 1);

/** The moment in ms; a date without a time is its first moment: rather too old than too new. */
export function parseMoment(value: unknown, rules: MomentRules): Parsed<number> {
  const ms = readMoment(value, rules);
  if (ms === undefined || !Number.isFinite(ms)) return { kind: 'bad', reason: 'the moment cannot be read' };
  if (ms < earliestMs || ms > latestMs) return { kind: 'bad', reason: 'the moment is out of this century' };
  return { kind: 'ok', value: Math.floor(ms) };
}

function readMoment(value: unknown, { format, zone }: MomentRules): number | undefined {
  if (format === 'iso') return isoMoment(value, zone);
  return format === 'sql' ? isoMoment(value, zone ?? 'UTC') : unixMoment(value, format);
}

export function writeMoment(ms: number, rules: MomentRules): string {
  if (rules.format === 'unix-s') return String(Math.floor(ms / 1_000));
  if (rules.format === 'unix-ms') return String(Math.floor(ms));
  if (rules.format === 'sql') {
    const wall = new Date(ms + offsetMs(rules.zone ?? 'UTC', ms)).toISOString();
    return wall.slice(0, 19).replace('T', ' ');
  }
  const iso = new Date(ms).toISOString();
  // A source that writes local times reads them as local too.
  if (rules.zone === undefined || rules.zone === 'UTC') return iso;
  return new Date(ms + offsetMs(rules.zone, ms)).toISOString().replace('Z', '');
}

/** True for a zone that times can be read by. */
export function isZone(zone: string): boolean {
  if (/^[+-]\d{2}:\d{2}$/.test(zone)) return true;
  try {
    return new Intl.DateTimeFormat('en', { timeZone: zone }).resolvedOptions().timeZone !== '';
  } catch {
    return false;
  }
}

function unixMoment(value: unknown, format: 'unix-s' | 'unix-ms'): number | undefined {
  const isText = typeof value === 'string' && /^\d{1,16}(?:\.\d{1,9})?$/.test(value.trim());
  const number = typeof value === 'number' ? value : isText ? Number(value) : undefined;
  if (number === undefined) return undefined;
  return format === 'unix-s' ? number * 1_000 : number;
}

function isoMoment(value: unknown, zone: string | undefined): number | undefined {
  if (typeof value !== 'string') return undefined;
  const text = value.trim();
  const parts = isoPattern.exec(text) ?? compact(text);
  if (parts === null) return undefined;
  const [, year, month, day, hour = '0', minute = '0', second = '0', fraction = '0', offset] = parts;
  const wall = Date.UTC(
    Number(year),
    Number(month) - 1,
    Number(day),
    Number(hour),
    Number(minute),
    Number(second),
  );
  // Date.UTC rolls 31 February over into March.
  if (new Date(wall).getUTCDate() !== Number(day) || Number(hour) > 23 || Number(minute) > 59)
    return undefined;
  const ms = wall + Math.floor(Number(`0.${fraction}`) * 1_000);
  if (offset !== undefined) return ms - offsetMs(offset.toUpperCase(), ms);
  return zone === undefined ? undefined : ms - offsetMs(zone, ms);
}

function compact(text: string): readonly (string | undefined)[] | null {
  const parts = compactPattern.exec(text);
  return parts === null ? null : [...parts.slice(0, 7), undefined, parts[7]];
}

function offsetMs(zone: string, atMs: number): number {
  if (zone === 'Z' || zone === 'UTC') return 0;
  const fixed = /^([+-])(\d{2}):?(\d{2})$/.exec(zone);
  if (fixed !== null) {
    const minutes = Number(fixed[2]) * 60 + Number(fixed[3]);
    return (fixed[1] === '-' ? -1 : 1) * minutes * 60_000;
  }
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone: zone,
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  });
  const part = new Map(format.formatToParts(atMs).map(({ type, value }) => [type, Number(value)]));
  const of = (name: Intl.DateTimeFormatPartTypes): number => part.get(name) ?? 0;
  const wall = Date.UTC(of('year'), of('month') - 1, of('day'), of('hour'), of('minute'), of('second'));
  return wall - Math.floor(atMs / 1_000) * 1_000;
}
