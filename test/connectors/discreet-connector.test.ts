import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import type { Connector, OrderPage, WriteResult } from '../../src/connectors/connector.ts';
import { discreet } from '../../src/connectors/discreet-connector.ts';
import { StockmeshError } from '../../src/domain/errors.ts';

const secret = 'the-secret';
const scrub = (text: string): string => text.replaceAll(secret, '[redacted]');
const never = new AbortController().signal;

/** Says the secret in everything it answers. */
class Chatterbox {
  readonly platform = 'chatter';
  readonly capabilities = { readLagMs: 5 };
  readonly #private = 'kept';

  checkAccess(): Promise<unknown> {
    return Promise.resolve({ kind: 'needs-attention', reason: `x ${secret}`, remedy: secret });
  }

  write(): Promise<unknown> {
    const rows = [{ kind: 'confirmed' }, { kind: 'rejected', reason: secret, isPermanent: true }];
    return Promise.resolve({ rows, platformReference: this.#private });
  }

  async *pollOrders(): AsyncGenerator {
    const orders = [{ orderId: secret, lines: [] }];
    yield {
      orders,
      parked: [{ what: 'order', reference: '1', reason: secret, content: secret }],
      cursor: null,
    };
    await delay(0);
    throw new StockmeshError(
      'CONNECTOR_ACCESS_DENIED',
      { platform: 'p', operation: 'o', reason: secret, remedy: 'r' },
      { cause: new Error(`inner ${secret}`) },
    );
  }

  subscribe(): Promise<unknown> {
    return Promise.resolve({ present: [], created: [], missing: [], problems: [secret, 'plain'] });
  }

  parseWebhook(): unknown {
    return { orders: [], parked: [], accessLost: `ended ${secret}` };
  }

  verifyWebhook(): unknown {
    throw new TypeError(`Invalid character in header ${secret}`);
  }

  async readStock(_refs: unknown, signal: AbortSignal): Promise<unknown> {
    signal.throwIfAborted();
    return { rows: [{ key: 'a', value: 1 }], missing: [], parked: [] };
  }

  readonly bulk = { submit: () => Promise.reject(new Error(secret)) };
}

const chatter = discreet(
  new Chatterbox() as unknown as Connector & { bulk: { submit(): Promise<void> } },
  scrub,
);

async function failureOf(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => undefined,
    (error: unknown) => error,
  );
}

describe('a connector that quotes its platform', () => {
  test('is cleaned in what it answers, and nothing else of it changes', async () => {
    expect(await chatter.checkAccess(never)).toEqual({
      kind: 'needs-attention',
      reason: 'x [redacted]',
      remedy: '[redacted]',
    });
    const written: WriteResult = await chatter.write(
      { key: '', kind: 'put', reference: '', rows: [] },
      never,
    );
    expect(written).toEqual({
      rows: [{ kind: 'confirmed' }, { kind: 'rejected', reason: '[redacted]', isPermanent: true }],
      platformReference: 'kept',
    });
    expect((await chatter.subscribe({ callbackUrl: '' }, never)).problems).toEqual(['[redacted]', 'plain']);
    expect(chatter.parseWebhook(Buffer.of(), {})).toMatchObject({ accessLost: 'ended [redacted]' });
    expect(chatter.platform).toBe('chatter');
    expect(chatter.capabilities.readLagMs).toBe(5);
    expect('fetchCounts' in chatter).toBe(false);
  });

  test('is cleaned page by page, up to the error that ends the walk', async () => {
    const pages: OrderPage[] = [];
    const walk = async (): Promise<void> => {
      const request = { cursor: null, sinceMs: 0, overlapMs: 0, signal: never };
      for await (const page of chatter.pollOrders(request)) pages.push(page);
    };
    const error = await failureOf(walk());
    expect(pages[0]?.parked).toEqual([
      { what: 'order', reference: '1', reason: '[redacted]', content: '[redacted]' },
    ]);
    // An id is data: a platform that reuses a credential as an id has published it itself.
    expect(pages[0]?.orders[0]?.orderId).toBe(secret);
    expect(error).toBeInstanceOf(StockmeshError);
    expect(error).toMatchObject({ code: 'CONNECTOR_ACCESS_DENIED', fields: { reason: '[redacted]' } });
    const { message, stack, cause } = error as Error;
    expect(`${message}${stack}${(cause as Error).message}${(cause as Error).stack}`).not.toContain(secret);
  });

  test('is cleaned in errors of any class, sync or not, in its parts too', async () => {
    expect(() => chatter.verifyWebhook(Buffer.of(), {})).toThrow('Invalid character in header [redacted]');
    expect(await failureOf(chatter.bulk.submit())).toMatchObject({ message: '[redacted]' });
    // An abort keeps its identity: callers compare it with the reason of their signal.
    const controller = new AbortController();
    controller.abort();
    expect(await failureOf(chatter.readStock([], controller.signal))).toBe(controller.signal.reason);
    const named = new AbortController();
    named.abort(new DOMException(`stopped ${secret}`, 'AbortError'));
    expect(await failureOf(chatter.readStock([], named.signal))).toMatchObject({
      name: 'AbortError',
      message: 'stopped [redacted]',
    });
  });
});
