import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';

const ticksPerS = 100;
const lookMs = 200;
const quietShare = 0.1;

/**
 * Waits until the processes do nothing more: what one cell left behind (log reader, audit log, connections that close)
 * would be paid for by the next, which is another contender's. Linux only; elsewhere it waits a second.
 */
export async function untilQuiet(pids: readonly number[], withinMs = 15_000): Promise<void> {
  const untilMs = performance.now() + withinMs;
  let before = await cpuTicks(pids);
  if (before === undefined) return delay(1_000);
  while (performance.now() < untilMs) {
    await delay(lookMs);
    const now = await cpuTicks(pids);
    if (now === undefined) return;
    if (now - before <= quietShare * ticksPerS * (lookMs / 1_000)) return;
    before = now;
  }
}

/** Of the processes and their children. */
async function cpuTicks(pids: readonly number[]): Promise<number | undefined> {
  let ticks = 0;
  for (const pid of pids) {
    try {
      const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
      // After the name, which may hold spaces: state is field 3, user and system time 14 and 15.
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      ticks += Number(fields[11]) + Number(fields[12]);
      const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8');
      ticks += (await cpuTicks(children.split(' ').filter(Boolean).map(Number))) ?? 0;
    } catch {
      return undefined;
    }
  }
  return ticks;
}
