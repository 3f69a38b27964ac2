import { randomBytes } from 'node:crypto';

/** Sorts by time, unique across daemons: 9 digits of base 36 for the milliseconds, 6 of chance. */
export function timeId(atMs: number): string {
  const chance = randomBytes(4).readUInt32BE().toString(36).padStart(7, '0').slice(-6);
  return `${timePart(atMs)}${chance}`;
}

/** Smaller than every id made at or after that moment. */
export function timePart(atMs: number): string {
  return Math.max(0, Math.floor(atMs)).toString(36).padStart(9, '0');
}
