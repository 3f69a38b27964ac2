import type { Queue, Worker } from 'bullmq';
import { setTimeout as delay } from 'node:timers/promises';

/**
 * Takes no more jobs, waits at most `graceMs` for those in hand; the rest starts again when their locks end.
 *
 * BullMQ's own waiting close cannot be turned into one that does not wait, and a job that was being fetched is in nobody's
 * hand yet: a close that waits for it would wait as long as it runs. So the waiting is done here.
 */
export async function stopWorker(
  worker: Worker,
  queue: Queue,
  inHand: () => number,
  graceMs: number,
): Promise<void> {
  await worker.pause(true);
  const untilMs = performance.now() + graceMs;
  // Answered after whatever the worker had asked for before.
  const answer = queue.getActiveCount().catch(() => 0);
  const limit = new AbortController();
  await Promise.race([answer, delay(graceMs, undefined, { signal: limit.signal }).catch(() => undefined)]);
  limit.abort();
  while (inHand() > 0 && performance.now() < untilMs) await delay(10);
  await worker.close(true);
}
