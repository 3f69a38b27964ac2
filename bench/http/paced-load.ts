import { Agent, request } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';

export interface LoadResult {
  readonly '2xx': number;
  readonly non2xx: number;
  readonly errors: number;
  readonly timeouts: number;
  /** Seconds. */
  readonly duration: number;
  /** Milliseconds. */
  readonly latency: { readonly p50: number; readonly p99: number; readonly max: number };
}

interface PacedLoad {
  readonly url: string;
  readonly body: object;
  readonly connections: number;
  readonly arrivalsPerS: number;
  readonly seconds: number;
}

/**
 * An open loop: requests fall due evenly, whatever became of those before, over connections that are all open already and
 * are used in turn. A latency counts from when its request was due, so a server (or this process) that falls behind is
 * charged for every request it made late. (autocannon's own pacing lets all its connections ask in the same instant.)
 */
export async function pacedLoad(options: PacedLoad): Promise<LoadResult> {
  const { url, connections, arrivalsPerS, seconds } = options;
  const body = JSON.stringify(options.body);
  const agent = new Agent({
    keepAlive: true,
    maxSockets: connections,
    maxFreeSockets: connections,
    scheduling: 'fifo',
  });
  const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
  const latencies: number[] = [];
  let [accepted, refused, errors] = [0, 0, 0];
  const ask = (dueMs: number | undefined): Promise<void> =>
    new Promise((resolve) => {
      const sent = request(url, { method: 'POST', agent, headers }, (response) => {
        response.resume();
        response.once('end', () => {
          if (dueMs !== undefined) {
            latencies.push(performance.now() - dueMs);
            if ((response.statusCode ?? 500) < 300) accepted++;
            else refused++;
          }
          resolve();
        });
      });
      sent.once('error', () => {
        if (dueMs !== undefined) errors++;
        resolve();
      });
      sent.end(body);
    });
  // One request at once over each opens it.
  await Promise.all(Array.from({ length: connections }, () => ask(undefined)));
  const beganMs = performance.now();
  const total = Math.round(arrivalsPerS * seconds);
  const all: Promise<void>[] = [];
  while (all.length < total) {
    const due = Math.min(total, Math.floor(((performance.now() - beganMs) * arrivalsPerS) / 1_000) + 1);
    for (let n = all.length; n < due; n++) all.push(ask(beganMs + (n * 1_000) / arrivalsPerS));
    await delay(1);
  }
  await Promise.all(all);
  const duration = (performance.now() - beganMs) / 1_000;
  agent.destroy();
  latencies.sort((a, b) => a - b);
  const at = (share: number): number =>
    latencies[Math.min(latencies.length - 1, Math.ceil(latencies.length * share) - 1)] ?? Number.NaN;
  const latency = { p50: at(0.5), p99: at(0.99), max: latencies.at(-1) ?? Number.NaN };
  return { '2xx': accepted, non2xx: refused, errors, timeouts: 0, duration, latency };
}
