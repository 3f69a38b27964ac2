/** Times in the report's time zone. */
export interface Clock {
  day(atMs: number): string;
  minute(atMs: number): string;
}

export function clockOf(timeZone: string): Clock {
  const day = new Intl.DateTimeFormat('en-GB', { timeZone, dateStyle: 'medium' });
  const minute = new Intl.DateTimeFormat('en-GB', { timeZone, dateStyle: 'medium', timeStyle: 'short' });
  return { day: (atMs) => day.format(atMs), minute: (atMs) => minute.format(atMs) };
}

export function count(units: number): string {
  return units.toLocaleString('en-GB');
}

export function plural(units: number, noun: string): string {
  return `${count(units)} ${noun}${units === 1 ? '' : 's'}`;
}

export function money(value: number, currency: string): string {
  return `${value.toLocaleString('en-GB', { minimumFractionDigits: 2, maximumFractionDigits: 2 })} ${currency}`.trim();
}

export function duration(ms: number): string {
  if (ms < 60_000) return `${(ms / 1_000).toFixed(1)} s`;
  if (ms < 5_400_000) return `${Math.round(ms / 60_000)} min`;
  return `${(ms / 3_600_000).toFixed(1)} h`;
}
