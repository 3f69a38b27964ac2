import { once } from 'node:events';
import { type AddressInfo, type Socket, connect, createServer } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { deadlineWithin, inTime, withDeadline } from '../../src/connectors/deadline.ts';
import { StockmeshError } from '../../src/domain/errors.ts';

const longMs = 60_000;
const forever = (signal: AbortSignal): Promise<never> => delay(longMs, undefined as never, { signal });

/** Both ends of one connection, connected. */
async function socketPair(): Promise<{ near: Socket; far: Socket } & AsyncDisposable> {
  const server = createServer().listen(0, '127.0.0.1');
  const accepted = once(server, 'connection') as Promise<[Socket]>;
  await once(server, 'listening');
  const near = connect((server.address() as AddressInfo).port, '127.0.0.1');
  const [far] = await accepted;
  if (near.connecting) await once(near, 'connect');
  const close = async (): Promise<void> => {
    near.destroy();
    far.destroy();
    server.close();
    await once(server, 'close');
  };
  return { near, far, [Symbol.asyncDispose]: close };
}

function holdUp(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

test('a caller that gave up before, or gives up later, ends it for the reason it gave', async () => {
  const reason = new Error('shop closed');
  await expect(withDeadline(AbortSignal.abort(reason), longMs, forever)).rejects.toMatchObject({
    cause: reason,
  });
  const caller = new AbortController();
  const deadline = deadlineWithin(caller.signal, longMs);
  caller.abort(reason);
  expect(deadline.signal.reason).toBe(reason);
  expect(deadline.isPast).toBe(false);
  deadline.end();
});

test('its time ends it as a time-out, with and without a caller', async () => {
  for (const caller of [undefined, new AbortController().signal]) {
    const deadline = deadlineWithin(caller, 1);
    await expect(forever(deadline.signal)).rejects.toMatchObject({ cause: { name: 'TimeoutError' } });
    expect(deadline.isPast).toBe(true);
  }
});

test('an answer that came while the process was held up is no time-out', async () => {
  await using pair = await socketPair();
  const deadline = deadlineWithin(undefined, 20);
  let isRead = false;
  pair.near.once('data', () => {
    isRead = true;
    deadline.end();
  });
  pair.far.write('answer');
  holdUp(100);
  await delay(20);
  expect(isRead).toBe(true);
  expect(deadline.isPast).toBe(false);
});

test('what has ended leaves nothing: neither the time nor the caller reaches it any more', async () => {
  const caller = new AbortController();
  let signal: AbortSignal | undefined;
  expect(await withDeadline(caller.signal, 5, (bounded) => Promise.resolve((signal = bounded)))).toBe(signal);
  await delay(20);
  caller.abort();
  expect(signal?.aborted).toBe(false);
});

test('within a deadline that ends no later there is no second one', async () => {
  const timeOut = { cause: { name: 'TimeoutError' } };
  const soon = deadlineWithin(undefined, 50);
  expect(deadlineWithin(soon.signal, longMs).signal).toBe(soon.signal);
  await expect(forever(deadlineWithin(soon.signal, 1).signal)).rejects.toMatchObject(timeOut);
  await expect(forever(soon.signal)).rejects.toMatchObject(timeOut);
  // A minute: no pause of the process ends it together with the nearer one.
  const outer = deadlineWithin(undefined, longMs);
  const nearer = deadlineWithin(outer.signal, 1);
  expect(nearer.signal).not.toBe(outer.signal);
  await expect(forever(nearer.signal)).rejects.toMatchObject(timeOut);
  expect(outer.signal.aborted).toBe(false);
  outer.end();
});

test('a deadline that has ended bounds nothing: what is begun under its signal has its own time', async () => {
  const outer = deadlineWithin(undefined, longMs);
  outer.end();
  const later = deadlineWithin(outer.signal, longMs + 1);
  expect(later.signal).not.toBe(outer.signal);
  later.end();
  await expect(withDeadline(outer.signal, 1, forever)).rejects.toMatchObject({
    cause: { name: 'TimeoutError' },
  });
});

test('work cut off by our own time has no answer; every other failure stays one', async () => {
  const calling = new AbortController().signal;
  const over = AbortSignal.abort();
  const fails = (error: Error) => async (): Promise<number> => {
    throw error;
  };
  const failure = new Error('failed');
  expect(await inTime(over, calling, fails(failure))).toBeUndefined();
  expect(await inTime(over, calling, () => Promise.resolve(3))).toBe(3);
  await expect(inTime(calling, calling, fails(failure))).rejects.toBe(failure);
  await expect(inTime(over, AbortSignal.abort(), fails(failure))).rejects.toBe(failure);
  const ours = new StockmeshError('CONNECTOR_UNREACHABLE', {
    platform: 'p',
    operation: 'o',
    reason: 'r',
    isSent: false,
  });
  await expect(inTime(over, calling, fails(ours))).rejects.toBe(ours);
});
