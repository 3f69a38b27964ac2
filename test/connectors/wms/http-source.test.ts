import { describe, expect, test } from 'vitest';
import type { PublishedBudget } from '../../../src/connectors/ports.ts';
import type { HttpConnection, Paging, Reading } from '../../../src/connectors/wms/options.ts';
import { everything, never, rejection } from '../shopify/parts.ts';
import { figures, plainSource, poll, readOnce, rigFor, secret } from './parts.ts';
import { type ScriptedAnswer, type SeenRequest, scriptedSource } from './scripted-source.ts';

const row = (sku: string, qty: unknown = 1, place = 'A') => ({ sku, qty, place });

function reading(paging: Paging, query: Record<string, string> = {}, more: Partial<Reading> = {}): Reading {
  return {
    request: { method: 'GET', path: '/stock', query },
    paging,
    rows: 'rows[*]',
    map: { sku: 'sku', location: 'place', onHand: 'qty' },
    ...more,
  };
}

async function refusal(connection: HttpConnection): Promise<string> {
  const error = await rejection((async () => rigFor(connection))());
  return error.message;
}

describe('refuses a declaration', () => {
  const url = 'https://wms.example';
  const base = plainSource(url);
  test.each([
    [
      'of an available figure',
      { ...base, snapshot: reading({ kind: 'none' }, {}, { map: { sku: 's', onHand: 'qty_available' } }) },
      'no physical stock',
    ],
    [
      'of a sellable figure in a webhook',
      {
        ...base,
        webhook: {
          signature: { kind: 'standard-webhooks' },
          topic: { constant: 't' },
          topics: { t: { kind: 'counts', rows: 'a', map: { sku: 's', onHand: 'total_sellable_quantity' } } },
        },
      },
      'no physical stock',
    ],
    [
      'of a placeholder that nothing fills',
      { ...base, snapshot: reading({ kind: 'none' }, { a: '{{password}}' }) },
      '{{password}}',
    ],
    [
      'of a path that is code',
      { ...base, snapshot: reading({ kind: 'none' }, {}, { rows: 'a[?(1)]' }) },
      'is not a path',
    ],
    [
      'of hints without a lookup',
      {
        ...base,
        changes: {
          request: { method: 'GET', path: '/c' },
          paging: { kind: 'none' },
          rows: 'r[*]',
          increment: { kind: 'acknowledged' },
          use: { kind: 'hints', itemId: 'id' },
        },
      },
      'need a lookup',
    ],
    [
      'of sums without row ids',
      {
        ...base,
        snapshot: reading({ kind: 'none' }, {}, { map: { sku: 's', onHand: 'q', duplicates: 'sum' } }),
      },
      'needs rowId',
    ],
    ['of an address with a password', { ...base, baseUrl: 'https://u:p@wms.example' }, 'no user'],
    ['of a broken expression', { ...base, throttling: [{ status: 403, text: '(' }] }, 'regular expression'],
  ] as readonly (readonly [string, HttpConnection, string])[])('%s', async (_, connection, reason) => {
    expect(await refusal(connection)).toContain(reason);
  });
});

describe('faults', () => {
  test.each([
    ['a page of HTML', { text: '<html>busy</html>' }, 'CONNECTOR_ANSWER_INVALID'],
    ['half an answer', { text: '{"rows":[{"sku":"a"' }, 'CONNECTOR_ANSWER_INVALID'],
    ['503', { status: 503 }, 'CONNECTOR_UNREACHABLE'],
    ['400', { status: 400 }, 'CONNECTOR_REQUEST_REFUSED'],
    ['403', { status: 403 }, 'CONNECTOR_ACCESS_DENIED'],
    [
      'a redirect',
      { status: 302, headers: { location: 'http://127.0.0.1:1/' } },
      'CONNECTOR_REQUEST_REFUSED',
    ],
    ['200 with an error in it', { json: { error: [17, 'x', 'secret canary'] } }, 'CONNECTOR_REQUEST_REFUSED'],
  ] as readonly (readonly [string, ScriptedAnswer, string])[])(
    '%s is an error, never a figure',
    async (_, answer, code) => {
      const source = await scriptedSource(() => answer);
      const { connector } = rigFor(plainSource(source.url, { failurePath: 'error' }));
      const error = await rejection(poll(connector));
      expect(error.code).toBe(code);
      expect(JSON.stringify(error.fields) + error.message).not.toContain('canary');
    },
  );

  test('a connection that closes', async () => {
    const source = await scriptedSource(() => Promise.reject(new Error('closed')));
    expect((await rejection(poll(rigFor(plainSource(source.url)).connector))).code).toBe(
      'CONNECTOR_UNREACHABLE',
    );
  });

  test('bad rows are set aside one by one; too many of them hold the whole snapshot', async () => {
    const bad = [row('', 1), row('b', 'many'), row('c', 1.5)];
    const good = Array.from({ length: 20 }, (_, i) => row(`s${i}`, i));
    let rows = [...good, ...bad];
    const source = await scriptedSource(() => ({ json: { rows } }));
    const { connector } = rigFor(plainSource(source.url));
    const page = await readOnce(connector);
    expect(page.counts).toHaveLength(20);
    expect(page.parked).toHaveLength(3);
    rows = [...good.slice(0, 5), ...bad];
    expect(await poll(connector)).toMatchObject([{ kind: 'held', reason: '3 of 8 rows cannot be read' }]);
  });

  test('figures that are all too old hold the snapshot', async () => {
    const source = await scriptedSource(() => ({
      json: { rows: [{ ...row('a'), at: '2026-01-01T00:00:00Z' }] },
    }));
    const { connector } = rigFor(
      plainSource(source.url, {
        snapshot: reading(
          { kind: 'none' },
          {},
          { map: { sku: 'sku', location: 'place', onHand: 'qty', asOf: { path: 'at', format: 'iso' } } },
        ),
        guards: { maxAgeMs: 3_600_000 },
      }),
    );
    expect(await poll(connector)).toMatchObject([
      { kind: 'held', reason: expect.stringContaining('2026-01-01') as string },
    ]);
  });
});

describe('pages', () => {
  const all = ['a', 'b', 'c', 'd', 'e'];
  const expected = all.map((sku) => `${sku}@A=1`);
  const slice = (start: number, size: number) => all.slice(start, start + size).map((sku) => row(sku));

  test.each([
    [
      'by number',
      { kind: 'page', first: 1, size: 2 },
      { page: '{{page}}', size: '{{size}}' },
      ({ query }: SeenRequest) => ({ json: { rows: slice((Number(query.get('page')) - 1) * 2, 2) } }),
    ],
    [
      'by number, with a total',
      { kind: 'page', first: 0, size: 2, totalPath: 'total' },
      { p: '{{page}}' },
      ({ query }: SeenRequest) => ({ json: { rows: slice(Number(query.get('p')) * 2, 2), total: 5 } }),
    ],
    [
      'by offset',
      { kind: 'offset', size: 2 },
      { o: '{{offset}}' },
      ({ query }: SeenRequest) => ({ json: { rows: slice(Number(query.get('o')), 2) } }),
    ],
    [
      'by cursor',
      { kind: 'cursor', size: 2, path: 'meta.next' },
      { after: '{{cursor}}' },
      ({ query }: SeenRequest) => {
        const at = Number(query.get('after') ?? 0);
        return { json: { rows: slice(at, 2), meta: { next: at + 2 < 5 ? at + 2 : null } } };
      },
    ],
    [
      'by a relative address',
      { kind: 'next-url', size: 2, path: 'next' },
      { at: '0' },
      ({ query }: SeenRequest) => {
        const at = Number(query.get('at'));
        return { json: { rows: slice(at, 2), next: at + 2 < 5 ? `/stock?at=${at + 2}` : null } };
      },
    ],
    [
      'by Link header',
      { kind: 'link-header', size: 2 },
      { at: '0' },
      ({ query }: SeenRequest) => {
        const at = Number(query.get('at'));
        const link =
          at + 2 < 5
            ? `</other>; rel="prev", </stock?at=${at + 2}>; rel="next"`
            : '</stock?at=0>; rel="first"';
        return { json: { rows: slice(at, 2) }, headers: { link } };
      },
    ],
  ] as readonly (readonly [
    string,
    Paging,
    Record<string, string>,
    (request: SeenRequest) => ScriptedAnswer,
  ])[])('%s give every row once', async (_, paging, query, answer) => {
    const source = await scriptedSource(answer);
    const { connector } = rigFor(plainSource(source.url, { snapshot: reading(paging, query) }));
    expect(figures(await readOnce(connector))).toEqual(expected);
    expect(source.seen.length).toBe(3);
  });

  test.each([
    [
      'a cursor that comes twice',
      { kind: 'cursor', size: 1, path: 'next' },
      (_: SeenRequest, count: number) => ({
        json: { rows: [row(`s${count}`)], next: count % 2 === 0 ? 'x' : 'y' },
      }),
    ],
    [
      'an address that comes twice',
      { kind: 'next-url', size: 1, path: 'next' },
      (_: SeenRequest, count: number) => ({
        json: { rows: [row(`s${count}`)], next: `/stock?at=${count % 2}` },
      }),
    ],
    [
      'a page number that is ignored',
      { kind: 'page', first: 1, size: 2 },
      () => ({ json: { rows: [row('a'), row('b')] } }),
    ],
    [
      'an empty page that goes on',
      { kind: 'cursor', size: 1, path: 'next' },
      (_: SeenRequest, count: number) => ({ json: { rows: [], next: String(count) } }),
    ],
    [
      'fewer rows than its total',
      { kind: 'offset', size: 2, totalPath: 'total' },
      (_: SeenRequest, count: number) => ({
        json: { rows: count === 1 ? [row('a'), row('b')] : [], total: 5 },
      }),
    ],
  ] as readonly (readonly [string, Paging, (request: SeenRequest, count: number) => ScriptedAnswer])[])(
    'stop at %s, and nothing is counted',
    async (_, paging, answer) => {
      const source = await scriptedSource(answer);
      const { connector } = rigFor(
        plainSource(source.url, { snapshot: reading(paging, { at: '{{cursor}}' }) }),
      );
      expect((await rejection(poll(connector))).code).toBe('CONNECTOR_WALK_STUCK');
      expect(source.seen.length).toBeLessThan(6);
    },
  );

  test('never follow a link to another host, and never send it our credentials', async () => {
    const other = await scriptedSource(() => ({ json: { rows: [row('evil', 99)] } }));
    const source = await scriptedSource(() => ({ json: { rows: [row('a')], next: `${other.url}/stock` } }));
    const { connector } = rigFor(
      plainSource(source.url, {
        auth: { kind: 'bearer', token: secret('canary') },
        snapshot: reading({ kind: 'next-url', size: 1, path: 'next' }),
      }),
    );
    expect((await rejection(poll(connector))).message).toContain('another host');
    expect(other.seen).toEqual([]);
  });

  test('that shift while they are read: a row met twice counts once', async () => {
    const source = await scriptedSource(({ query }) => {
      const offset = Number(query.get('o'));
      // A row was added in front after the first page: the second begins with a row of the first.
      return { json: { rows: offset === 0 ? [row('a', 1), row('b', 1)] : [row('b', 2)] } };
    });
    const { connector } = rigFor(
      plainSource(source.url, { snapshot: reading({ kind: 'offset', size: 2 }, { o: '{{offset}}' }) }),
    );
    expect(figures(await readOnce(connector))).toEqual(['a@A=1', 'b@A=2']);
  });

  test('are read once per place', async () => {
    const source = await scriptedSource(({ body }) => {
      const { place } = JSON.parse(body) as { place: number };
      return { json: { rows: [{ sku: 'a', qty: place * 10 }] } };
    });
    const { connector } = rigFor(
      plainSource(source.url, {
        snapshot: {
          request: { method: 'POST', path: '/stock', body: { place: '{{place:number}}' } },
          paging: { kind: 'none' },
          rows: 'rows[*]',
          map: { sku: 'sku', onHand: 'qty' },
          places: ['1', '2'],
        },
      }),
    );
    expect(figures(await readOnce(connector))).toEqual(['a@1=10', 'a@2=20']);
  });
});

describe('throttling', () => {
  test.each([
    ['429 with Retry-After', { status: 429, headers: { 'retry-after': '0.02' } }, undefined],
    [
      '403 with a sentence',
      { status: 403, text: 'Too many calls, retry after 20 ms' },
      [{ status: 403, text: 'retry after (\\d+) ms', waitUnit: 'ms' }],
    ],
    [
      '200 with a code',
      { json: { errors: [{ code: 30, time_remaining: '0.02 seconds' }] } },
      [
        {
          status: 200,
          path: 'errors[*].code',
          equals: 30,
          waitPath: 'errors[*].time_remaining',
          waitUnit: 's',
        },
      ],
    ],
  ] as readonly (readonly [string, ScriptedAnswer, HttpConnection['throttling']])[])(
    '%s is waited out',
    async (_, refused, throttling) => {
      const source = await scriptedSource((__, count) =>
        count <= 2 ? refused : { json: { rows: [row('a')] } },
      );
      const { connector, limiter } = rigFor(plainSource(source.url, { throttling, failurePath: 'errors' }));
      expect(figures(await readOnce(connector))).toEqual(['a@A=1']);
      expect(limiter.learned.map(({ pauseMs }) => pauseMs)).toEqual([20, 20]);
    },
  );

  test('without end is an error; a 403 without the sentence is a refusal of access', async () => {
    const source = await scriptedSource(() => ({ status: 429, headers: { 'retry-after': '0.001' } }));
    expect((await rejection(poll(rigFor(plainSource(source.url)).connector))).code).toBe(
      'CONNECTOR_THROTTLED',
    );
    expect(source.seen.length).toBe(5);
    const closed = await scriptedSource(() => ({ status: 403, text: 'no' }));
    const { connector } = rigFor(
      plainSource(closed.url, { throttling: [{ status: 403, text: 'retry after (\\d+)' }] }),
    );
    expect((await rejection(poll(connector))).code).toBe('CONNECTOR_ACCESS_DENIED');
  });

  test('the published limit is spent before each request; a sliding window never lets twice its number through', async () => {
    const source = await scriptedSource(() => ({ json: { rows: [row('a')] } }));
    const spent: { operation: string; cost: number; capacity: number; perWindow: number }[] = [];
    const limiter = {
      async acquire(operation: string, cost: number, { budget }: { budget?: PublishedBudget | undefined }) {
        spent.push({
          operation,
          cost,
          capacity: budget?.capacity ?? 0,
          perWindow: (budget?.refillPerS ?? 0) * 60,
        });
      },
      learn: () => undefined,
    };
    const { connector } = rigFor(
      plainSource(source.url, { limits: { kind: 'sliding-window', requests: 150, windowMs: 60_000 } }),
      { limiter },
    );
    await poll(connector);
    expect(spent).toEqual([
      { operation: 'requests', cost: 1, capacity: 50, perWindow: expect.closeTo(100) as number },
    ]);
    const credits = rigFor(
      plainSource(source.url, {
        limits: { kind: 'credits', capacity: 4_004, refillPerS: 60 },
        snapshot: reading({ kind: 'cursor', size: 200, path: 'next' }),
      }),
      { limiter },
    );
    await poll(credits.connector);
    expect(spent.at(-1)).toMatchObject({ operation: 'credits', cost: 201, capacity: 4_004 });
  });
});

describe('changes', () => {
  const changes = (
    increment: NonNullable<HttpConnection['changes']>['increment'],
    use: NonNullable<HttpConnection['changes']>['use'],
  ): HttpConnection['changes'] => ({
    request: { method: 'GET', path: '/changes', query: { since: '{{since}}', until: '{{until}}' } },
    paging: { kind: 'none' },
    rows: 'rows[*]',
    increment,
    use,
  });
  const map = { sku: 'sku', location: 'place', onHand: 'qty' } as const;

  test("since a time: from before the first request of the reading, with overlap, by the source's own clock", async () => {
    const aheadMs = 3_600_000;
    const source = await scriptedSource(({ path }) => ({
      json: { rows: [row(path === '/stock' ? 'all' : 'changed', 2)] },
      headers: { date: new Date(Date.now() + aheadMs).toUTCString() },
    }));
    const { connector } = rigFor(
      plainSource(source.url, {
        changes: changes(
          { kind: 'since-time', overlapMs: 60_000, moment: { format: 'unix-ms' } },
          { kind: 'counts', map },
        ),
      }),
    );
    const beforeMs = Date.now();
    const first = await readOnce(connector);
    expect(first).toMatchObject({ kind: 'snapshot' });
    const pages = await poll(connector, first.cursor);
    expect(pages.map(({ kind }) => kind)).toEqual(['changes', 'changes']);
    const since = Number(source.seen.find(({ path }) => path === '/changes')?.query.get('since'));
    expect(since).toBeGreaterThan(beforeMs + aheadMs - 60_000 - 5_000);
    expect(since).toBeLessThanOrEqual(Date.now() + aheadMs - 60_000 + 1_000);
    const last = pages.at(-1);
    expect(last?.kind !== 'held' && last?.cursor).toContain('"since"');
  });

  test('a snapshot comes again when it is due, and for a cursor that cannot be read', async () => {
    const source = await scriptedSource(() => ({ json: { rows: [row('a')] } }));
    const { connector, advance } = rigFor(
      plainSource(source.url, {
        changes: changes({ kind: 'acknowledged' }, { kind: 'counts', map }),
        snapshotEveryMs: 60_000,
      }),
    );
    const { cursor } = await readOnce(connector);
    expect((await poll(connector, cursor)).every(({ kind }) => kind === 'changes')).toBe(true);
    expect((await poll(connector, 'nonsense'))[0]).toMatchObject({ kind: 'snapshot' });
    advance(61_000);
    expect((await poll(connector, cursor))[0]).toMatchObject({ kind: 'snapshot' });
  });

  test('since an id: what came before the first snapshot is in it; later rows are movements, told once', async () => {
    const moves = [{ id: 41, sku: 'a', qty: 2, place: 'A' }];
    const source = await scriptedSource(({ path, query }) => ({
      json: {
        rows: path === '/stock' ? [row('a', 9)] : moves.filter(({ id }) => id > Number(query.get('since'))),
      },
    }));
    const { connector } = rigFor(
      plainSource(source.url, {
        changes: changes(
          { kind: 'since-id', path: 'id', overlap: 0 },
          {
            kind: 'movements',
            map: { id: 'id', sku: 'sku', location: 'place', units: 'qty', kind: 'shipped', sign: 'negative' },
          },
        ),
      }),
    );
    const first = await readOnce(connector);
    expect(first.movements).toEqual([]);
    moves.push({ id: 42, sku: 'a', qty: 3, place: 'A' });
    const pages = await poll(connector, first.cursor);
    expect(pages.flatMap((page) => (page.kind === 'held' ? [] : page.movements))).toMatchObject([
      { movementId: '42', kind: 'shipped', units: -3, sku: 'a', locationId: 'A' },
    ]);
  });

  test('that are hints are read by the lookup, in batches', async () => {
    const source = await scriptedSource(({ path, query }) => {
      if (path === '/changes') return { json: { rows: [{ item: 11 }, { item: 12 }, { item: 11 }] } };
      if (path === '/items')
        return {
          json: { rows: (query.get('ids') ?? '').split(',').map((id) => ({ ...row(`s${id}`), id })) },
        };
      return { json: { rows: [row('a')] } };
    });
    const { connector } = rigFor(
      plainSource(source.url, {
        changes: changes({ kind: 'acknowledged' }, { kind: 'hints', itemId: 'item' }),
        lookup: {
          ...reading({ kind: 'none' }),
          request: { method: 'GET', path: '/items', query: { ids: '{{items}}' } },
          batchSize: 2,
          map: { ...map, itemId: 'id' },
        },
      }),
    );
    const { cursor } = await readOnce(connector);
    const pages = await poll(connector, cursor);
    const hints = pages.flatMap((page) => (page.kind === 'held' ? [] : page.hints));
    expect(hints).toEqual(['11', '12']);
    const page = await connector.fetchCounts?.([...hints, '13'], never);
    expect(page?.kind === 'changes' && figures(page)).toEqual(['s11@A=1', 's12@A=1', 's13@A=1']);
    expect(source.seen.filter(({ path }) => path === '/items').map(({ query }) => query.get('ids'))).toEqual([
      '11,12',
      '13',
    ]);
  });
});

describe('a reading that is only compared', () => {
  const compared = async (connection: HttpConnection): Promise<readonly string[]> => {
    const { connector } = rigFor(connection);
    if (connector.compareCounts === undefined) throw new Error('nothing to compare');
    const pages = await everything(connector.compareCounts(never));
    return pages.map((page) => (page.kind === 'held' ? `held: ${page.reason}` : figures(page).join(' ')));
  };
  const paged = (pages: readonly (readonly object[])[], more: Partial<HttpConnection> = {}) =>
    scriptedSource(({ query }) => ({ json: { rows: pages[Number(query.get('page')) - 1] ?? [] } })).then(
      ({ url }) =>
        plainSource(url, {
          snapshot: reading({ kind: 'page', first: 1, size: 2 }, { page: '{{page}}' }, more.snapshot ?? {}),
          ...(more.guards === undefined ? {} : { guards: more.guards }),
        }),
    );

  test('gives each page before the next is asked for, and a row twice that moved', async () => {
    let asked = 0;
    const source = await scriptedSource(({ query }) => {
      asked++;
      const rows = query.get('page') === '1' ? [row('A'), row('B')] : [row('B', 2)];
      return { json: { rows } };
    });
    const snapshot = reading({ kind: 'page', first: 1, size: 2 }, { page: '{{page}}' });
    const pages = rigFor(plainSource(source.url, { snapshot })).connector.compareCounts?.(never);
    const walk = pages?.[Symbol.asyncIterator]();
    const first = await walk?.next();
    expect(asked).toBe(1);
    expect(first?.done === false && first.value.kind !== 'held' ? figures(first.value) : []).toEqual([
      'A@A=1',
      'B@A=1',
    ]);
    const second = await walk?.next();
    expect(second?.done === false && second.value.kind !== 'held' ? figures(second.value) : []).toEqual([
      'B@A=2',
    ]);
    expect((await walk?.next())?.done).toBe(true);
  });

  test('what speaks against the whole of it comes last', async () => {
    const bad = [row('C', 'many'), row('D', 'many')];
    const connection = await paged([[row('A'), row('B')], bad, [row('E', null)]]);
    expect(await compared(connection)).toEqual(['A@A=1 B@A=1', '', '', 'held: 3 of 5 rows cannot be read']);
  });

  test('lots that are summed are known at its end only: one page', async () => {
    const lots = [
      [
        { ...row('A', 1), lot: '1' },
        { ...row('B', 1), lot: '2' },
      ],
      [{ ...row('A', 4), lot: '3' }],
    ];
    const map = { sku: 'sku', location: 'place', onHand: 'qty', duplicates: 'sum', rowId: 'lot' } as const;
    const snapshot = reading({ kind: 'page', first: 1, size: 2 }, { page: '{{page}}' }, { map });
    expect(await compared(await paged(lots, { snapshot }))).toEqual(['A@A=5 B@A=1']);
  });

  test('pages that repeat end it as they end any other', async () => {
    const connection = await paged([
      [row('A'), row('B')],
      [row('A'), row('B')],
    ]);
    const walk = compared(connection);
    expect((await rejection(walk)).message).toContain('two pages in a row are the same');
  });
});
