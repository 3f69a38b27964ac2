import { assert, integer, property } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CountMapper } from '../../../src/connectors/wms/count-rows.ts';
import { compilePath, selectAll, selectOne } from '../../../src/connectors/wms/json-path.ts';
import { parseMoment, writeMoment } from '../../../src/connectors/wms/moments.ts';
import type { CountMapping } from '../../../src/connectors/wms/options.ts';
import { Tally } from '../../../src/connectors/wms/tally.ts';
import {
  type BodyTemplate,
  fillBody,
  fillParameter,
  fillText,
} from '../../../src/connectors/wms/template.ts';
import { defaultUnitRules, parseCountUnits } from '../../../src/connectors/wms/units.ts';

describe('paths', () => {
  test.each(['a..b', 'a.', '.a', 'a[', 'a[x]', "a['", 'a b', 'a()', 'a.b[?(@.c)]', 'a[*', '${x}'])(
    'refuses %s',
    (text) => {
      expect(() => compilePath(text)).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }));
    },
  );

  test('walk objects and lists, and find nothing that the document does not have itself', () => {
    const document = { a: { b: [{ c: 1 }, { c: null }, { d: 3 }, 4] }, 'odd key': [7] };
    expect(selectAll(document, compilePath('$.a.b[*].c'))).toEqual([1, null]);
    expect(selectOne(document, compilePath("['odd key'][0]"))).toBe(7);
    expect(selectOne(document, compilePath('a.b[3]'))).toBe(4);
    for (const path of ['constructor', '__proto__', 'a.toString', 'a.b.length', 'a.b[9]', 'a.c.d']) {
      expect(selectAll(document, compilePath(path)), path).toEqual([]);
    }
  });
});

describe('templates', () => {
  test('a value can neither end a text nor add a key', () => {
    const evil = '"},"admin":true,"x":{"y":"';
    const filled = fillBody(
      { query: 'q', variables: { after: '{{cursor}}', text: 'a {{cursor}} b' } },
      { cursor: evil },
    );
    expect(JSON.parse(JSON.stringify(filled))).toEqual({
      query: 'q',
      variables: { after: evil, text: `a ${evil} b` },
    });
    expect(fillText('/a/{{item}}', { item: '../b?c=d' }, encodeURIComponent)).toBe('/a/..%2Fb%3Fc%3Dd');
  });

  test('a lone placeholder keeps its type; GraphQL braces are left alone', () => {
    const body: BodyTemplate = {
      a: '{{size}}',
      b: '{{cursor}}',
      c: ['{{items}}'],
      d: '{{place:number}}',
      q: '{ x { y } }',
    };
    const values = { size: 5, cursor: null, items: ['1', '2'], place: '3' };
    expect(fillBody(body, values)).toEqual({ a: 5, b: null, c: [['1', '2']], d: 3, q: '{ x { y } }' });
    expect(fillParameter('{{cursor}}', values)).toBeUndefined();
    expect(fillParameter('{{items}}', values)).toBe('1,2');
  });
});

describe('quantities', () => {
  test.each([
    [undefined, 'missing'],
    [null, 'missing'],
    ['', 'missing'],
    ['  ', 'missing'],
    [1.5, 'not whole'],
    [Number.NaN, 'not a number'],
    [true, 'not a number'],
    [{}, 'not a number'],
    ['1.234', 'ambiguous'],
    ['1,234', 'ambiguous'],
    ['1e3', 'not a number'],
    ['0x10', 'not a number'],
    ['=1+1', 'not a number'],
    ['12 pcs', 'not a number'],
    [-1, 'negative'],
    ['-1', 'negative'],
    [2_000_000_000, 'above'],
    ['99999999999999999999', 'ambiguous'],
  ])('refuses %j: %s', (value, reason) => {
    expect(parseCountUnits(value, defaultUnitRules)).toMatchObject({
      kind: 'bad',
      reason: expect.stringContaining(reason) as string,
    });
  });

  test.each([
    [7, {}, 7],
    ['45', {}, 45],
    [' 007 ', {}, 7],
    ['1.234', { thousandsMark: '.' }, 1_234],
    ['1,234,567', { thousandsMark: ',' }, 1_234_567],
    ['12.000', { decimalMark: '.' }, 12],
    ['1.234,00', { decimalMark: ',', thousandsMark: '.' }, 1_234],
    [3, { unitFactor: 12 }, 36],
    [-4, { negative: 'clamp' }, 0],
    ['-4', { negative: 'allow' }, -4],
    ['+4', { negative: 'allow' }, 4],
    [-0, {}, 0],
  ] as const)('reads %j by %j', (value, rules, units) => {
    expect(parseCountUnits(value, { ...defaultUnitRules, ...rules })).toEqual({ kind: 'ok', value: units });
  });

  test.each([
    ['12.5', { decimalMark: '.' }],
    ['12,34', { thousandsMark: ',' }],
    ['1,2345', { thousandsMark: ',' }],
  ] as const)('does not guess %s', (value, rules) => {
    expect(parseCountUnits(value, { ...defaultUnitRules, ...rules }).kind).toBe('bad');
  });

  test('every whole number a warehouse can hold survives as number and as text', () => {
    assert(
      property(integer({ min: 0, max: 1_000_000_000 }), (units) => {
        for (const value of [units, String(units)]) {
          expect(parseCountUnits(value, defaultUnitRules)).toEqual({ kind: 'ok', value: units });
        }
      }),
    );
  });
});

describe('moments', () => {
  test.each(['', 'yesterday', '2026-02-31T00:00:00Z', '2026-11-21T25:00:00Z', '1826-01-01T00:00:00Z', 17])(
    'refuses %j',
    (value) => {
      expect(parseMoment(value, { format: 'iso', zone: 'UTC' }).kind).toBe('bad');
    },
  );

  test('a time without an offset needs a zone', () => {
    expect(parseMoment('2026-11-21 09:00:00', { format: 'iso' }).kind).toBe('bad');
    const expected = Date.UTC(2026, 6, 21, 7, 0, 0);
    for (const zone of ['Europe/Berlin', '+02:00']) {
      expect(parseMoment('2026-07-21 09:00:00', { format: 'iso', zone })).toEqual({
        kind: 'ok',
        value: expected,
      });
    }
    expect(parseMoment('20260721T070000Z', { format: 'iso' })).toEqual({ kind: 'ok', value: expected });
    expect(parseMoment(expected / 1_000, { format: 'unix-s' })).toEqual({ kind: 'ok', value: expected });
  });

  test('what is written for a source is what it would read', () => {
    assert(
      property(integer({ min: Date.UTC(2010, 0, 1), max: Date.UTC(2090, 0, 1) }), (ms) => {
        for (const zone of ['UTC', '-05:30']) {
          const rules = { format: 'iso', zone } as const;
          expect(parseMoment(writeMoment(ms, rules), rules)).toEqual({ kind: 'ok', value: ms });
        }
      }),
    );
  });
});

describe('rows', () => {
  const context = { askedAtMs: 5_000 };
  const map = (mapping: Partial<CountMapping>, item: unknown, each?: string) =>
    new CountMapper({ sku: 'sku', location: 'place', onHand: 'qty', ...mapping }, each).map(item, context);

  test.each([
    ['no SKU', { place: 'A', qty: 1 }],
    ['an empty SKU', { sku: '', place: 'A', qty: 1 }],
    ['a SKU that is a fraction', { sku: 1.5, place: 'A', qty: 1 }],
    ['no location', { sku: 's', qty: 1 }],
    ['no quantity', { sku: 's', place: 'A' }],
    ['a quantity too large for a number', { sku: 's', place: 'A', qty: 2n ** 70n }],
    ['not an object', 'row'],
  ])('with %s are set aside', (_, item) => {
    expect(map({}, item)).toMatchObject([{ kind: 'bad', row: { what: 'count' } }]);
  });

  test('subtract what is not for sale, and skip what is no goods', () => {
    const mapping = { subtract: ['bad', 'gone'], skipWhen: [{ path: 'virtual', equals: true }] };
    expect(map(mapping, { sku: 's', place: 'A', qty: '10', bad: 3, gone: null })).toMatchObject([
      { kind: 'count', row: { onHand: 7, isDated: false } },
    ]);
    expect(map(mapping, { sku: 's', place: 'A', qty: 10, virtual: true })).toEqual([{ kind: 'skipped' }]);
    expect(map(mapping, { sku: 's', place: 'A', qty: 1, bad: 3 })).toMatchObject([{ kind: 'bad' }]);
    expect(
      map({ ...mapping, units: { negative: 'clamp' } }, { sku: 's', place: 'A', qty: 1, bad: 3 }),
    ).toMatchObject([{ kind: 'count', row: { onHand: 0 } }]);
  });

  test('keep a SKU as it is written, unless the configuration says otherwise', () => {
    const item = { sku: ' Ab-007 ', place: 'A', qty: 1 };
    expect(map({}, item)).toMatchObject([{ row: { sku: ' Ab-007 ' } }]);
    expect(map({ skuTrim: true, skuCase: 'upper' }, item)).toMatchObject([{ row: { sku: 'AB-007' } }]);
    expect(map({}, { sku: 7, place: 8, qty: 1 })).toMatchObject([{ row: { sku: '7', locationId: '8' } }]);
  });

  test('explode into their parts; a global id is its number', () => {
    const item = {
      sku: 's',
      parts: [
        { at: 'V2FyZWhvdXNlOjEzODQx', n: 1 },
        { at: 13_842, n: 2 },
      ],
    };
    const mapping: Partial<CountMapping> = { location: { path: '@.at', form: 'relay-id' }, onHand: '@.n' };
    expect(map(mapping, item, 'parts[*]')).toMatchObject([
      { row: { locationId: '13841', onHand: 1 } },
      { row: { locationId: '13842', onHand: 2 } },
    ]);
  });

  test('lots and bins become one figure; a row met twice counts once, by its later look', () => {
    const mapping: CountMapping = {
      sku: 'sku',
      location: 'bin',
      onHand: 'qty',
      rowId: 'id',
      duplicates: 'sum',
      places: { B1: 'main', B2: 'main' },
      otherPlaces: 'ignore',
    };
    const mapper = new CountMapper(mapping);
    const tally = new Tally('sum');
    const see = (id: number, bin: string, qty: number, askedAtMs: number): void => {
      for (const mapped of mapper.map({ id, sku: 's', bin, qty }, { askedAtMs })) tally.add(mapped);
    };
    see(1, 'B1', 4, 1_000);
    see(2, 'B2', 5, 1_000);
    see(3, 'SCRAP', 9, 1_000);
    see(2, 'B2', 6, 2_000);
    expect(tally.result().counts).toMatchObject([
      { sku: 's', locationId: 'main', onHand: 10, asOfMs: 1_000 },
    ]);
  });

  test('two figures in one look are neither', () => {
    const mapper = new CountMapper({ sku: 'sku', onHand: 'qty' });
    const tally = new Tally('reject');
    for (const qty of [4, 5]) for (const mapped of mapper.map({ sku: 's', qty }, context)) tally.add(mapped);
    expect(tally.result()).toMatchObject({ counts: [], parked: [{ reference: 's@default' }] });
  });

  test.each([
    ['within one millisecond', 1_000],
    ['after the clock was set back', 900],
  ])('the second of two looks counts, %s', (_when, secondAtMs) => {
    const mapper = new CountMapper({ sku: 'sku', onHand: 'qty' });
    const tally = new Tally('reject');
    const look = (qty: number, askedAtMs: number): void => {
      tally.nextLook();
      for (const mapped of mapper.map({ sku: 's', qty }, { askedAtMs })) tally.add(mapped);
    };
    look(4, 1_000);
    look(5, secondAtMs);
    expect(tally.result()).toMatchObject({ counts: [{ sku: 's', onHand: 5 }], parked: [] });
  });

  test('a second look at a row that says it is older changes nothing', () => {
    const mapper = new CountMapper({ sku: 'sku', onHand: 'qty', asOf: { path: 'at', format: 'unix-s' } });
    const tally = new Tally('reject');
    const look = (qty: number, at: number): void => {
      tally.nextLook();
      for (const mapped of mapper.map({ sku: 's', qty, at }, context)) tally.add(mapped);
    };
    look(4, 1_790_000_900);
    look(5, 1_790_000_800);
    expect(tally.result()).toMatchObject({ counts: [{ onHand: 4 }], parked: [] });
  });
});
