/** The hours of a day, in some time zone, in which stock moves fast and is read more often. `to` may be before `from`. */
export interface PeakHours {
  readonly from: number;
  readonly to: number;
  readonly zone: string;
}

/** Absent hours: always. */
export function isPeak(hours: PeakHours | undefined, atMs: number): boolean {
  if (hours === undefined) return true;
  const { from, to, zone } = hours;
  const format = new Intl.DateTimeFormat('en-US', { timeZone: zone, hourCycle: 'h23', hour: 'numeric' });
  const hour = Number(format.format(atMs));
  return from < to ? hour >= from && hour < to : hour >= from || hour < to;
}
