// Long on purpose: every key a declared warehouse can have, in one place.
import { resolve } from 'node:path';
import { z } from 'zod';
import { locationId, spanMs, webOrigin, wholeNumber } from './fields.ts';
import { type SecretSources, secretReference } from './secret-reference.ts';

const path = z.string().min(1).max(200).describe('Such as items[*].quantity').meta({ id: 'wmsPath' });
const header = z
  .string()
  .regex(/^[A-Za-z0-9-]{1,100}$/, 'must be the name of a header')
  .meta({ id: 'wmsHeader' });
const timeZone = z
  .string()
  .max(64)
  .refine((zone) => {
    try {
      return new Intl.DateTimeFormat('en', { timeZone: zone }).resolvedOptions().timeZone !== '';
    } catch {
      return false;
    }
  }, 'must be a time zone such as UTC or Europe/Berlin');
const ratio = z.number().min(0).max(1);
const rowLimit = wholeNumber(1, 10_000);
const texts = z.record(z.string().min(1).max(200), z.string().max(2_000)).meta({ id: 'wmsTexts' });

const guards = z
  .strictObject({
    minRows: wholeNumber(0, 1_000_000).optional(),
    maxRowDropRatio: ratio
      .optional()
      .describe('Rows of the last snapshot that may be missing. 0.2 when absent'),
    maxZeroedRatio: ratio
      .optional()
      .describe('Rows with units to sell that may become zero. 0.2 when absent'),
    minZeroedRows: wholeNumber(1, 1_000_000)
      .optional()
      .describe('Fewer than this are never too many. 3 when absent'),
    maxBadRowRatio: ratio.optional(),
    maxAgeMs: spanMs(1_000).optional(),
  })
  .describe('What holds a whole snapshot instead of applying it')
  .meta({ id: 'wmsGuards' });

const units = z
  .strictObject({
    negative: z.enum(['park', 'clamp']).optional(),
    decimalMark: z.enum(['.', ',']).optional(),
    thousandsMark: z.enum(['.', ',', ' ']).optional(),
    unitFactor: wholeNumber(1, 1_000_000).optional().describe('Units in one of theirs (case packs)'),
  })
  .meta({ id: 'wmsUnits' });

const moment = {
  format: z.enum(['iso', 'sql', 'unix-s', 'unix-ms']),
  zone: z.string().max(64).optional().describe('For times without offset: UTC, +02:00, Europe/Berlin'),
};

const locationField = z
  .union([path, z.strictObject({ path, form: z.literal('relay-id') })])
  .meta({ id: 'wmsLocation' });

const placeTable = z.record(z.string().min(1).max(100), z.string().min(1).max(100)).meta({ id: 'wmsPlaces' });

/** An available figure next to our own commitments would subtract every order twice. */
const noAvailable = z
  .never('must not be mapped: only the physical figure counts, orders are subtracted from it here')
  .optional();

const countMapping = z
  .strictObject({
    sku: path,
    itemId: path.optional(),
    location: locationField.optional(),
    onHand: path.describe('The physical figure, never an available one'),
    available: noAvailable,
    subtract: z.array(path).max(10).optional().describe('Locked, damaged, not for sale'),
    asOf: z.strictObject({ path, ...moment }).optional(),
    version: path.optional(),
    skipWhen: z
      .array(z.strictObject({ path, equals: z.union([z.string(), z.number(), z.boolean()]) }))
      .max(10)
      .optional(),
    units: units.optional(),
    skuTrim: z.boolean().optional(),
    skuCase: z.enum(['upper', 'lower']).optional(),
    places: placeTable.optional().describe('Their location -> the place that `locations` names'),
    otherPlaces: z.enum(['report', 'ignore']).optional(),
    duplicates: z.enum(['reject', 'sum']).optional().describe('sum: lots and bins of one place; needs rowId'),
    rowId: path.optional(),
  })
  .meta({ id: 'wmsCountMapping' });

const movementMapping = z
  .strictObject({
    id: path,
    sku: path,
    location: locationField.optional(),
    units: path,
    kind: z.enum(['received', 'adjusted', 'shipped', 'returned']),
    sign: z.enum(['as-told', 'negative']).optional(),
    at: z.strictObject({ path, ...moment }).optional(),
    reference: path.optional(),
    reason: path.optional(),
    places: placeTable.optional(),
  })
  .meta({ id: 'wmsMovementMapping' });

const request = z
  .strictObject({
    method: z.enum(['GET', 'POST']).default('GET'),
    path: z
      .string()
      .max(500)
      .describe('After baseUrl; {{size}}, {{page}}, {{offset}}, {{cursor}}, {{since}} ... are filled in'),
    query: texts.optional(),
    headers: texts.optional(),
    body: z.json().optional().describe('JSON; a text that is only {{name}} becomes the value itself'),
  })
  .meta({ id: 'wmsRequest' });

const paging = z
  .discriminatedUnion('kind', [
    z.strictObject({ kind: z.literal('none') }),
    z.strictObject({
      kind: z.literal('page'),
      first: wholeNumber(0, 1).default(1),
      size: rowLimit,
      totalPath: path.optional(),
    }),
    z.strictObject({ kind: z.literal('offset'), size: rowLimit, totalPath: path.optional() }),
    z.strictObject({ kind: z.literal('cursor'), size: rowLimit, path }),
    z.strictObject({ kind: z.literal('next-url'), size: rowLimit, path }),
    z.strictObject({ kind: z.literal('link-header'), size: rowLimit }),
    z.strictObject({ kind: z.literal('relay'), size: rowLimit, pageInfoPath: path }),
  ])
  .meta({ id: 'wmsPaging' });

const readingFields = {
  request,
  paging,
  rows: path,
  each: path.optional(),
  map: countMapping,
  places: z.array(z.string().min(1).max(100)).min(1).max(100).optional(),
};

const changeReading = z.strictObject({
  request,
  paging,
  rows: path,
  increment: z.discriminatedUnion('kind', [
    z.strictObject({
      kind: z.literal('since-time'),
      overlapMs: spanMs(0, 7 * 86_400_000),
      moment: z.strictObject(moment),
    }),
    z.strictObject({ kind: z.literal('since-id'), path, overlap: wholeNumber(0, 1_000_000).default(0) }),
    z.strictObject({ kind: z.literal('acknowledged') }),
  ]),
  use: z.discriminatedUnion('kind', [
    z.strictObject({ kind: z.literal('counts'), map: countMapping, each: path.optional() }),
    z.strictObject({
      kind: z.literal('hints'),
      itemId: path,
      seenBy: z.array(path).min(1).max(5).optional().describe('What tells one change from another'),
    }),
    z.strictObject({ kind: z.literal('movements'), map: movementMapping }),
  ]),
});

const window = { requests: wholeNumber(1, 1_000_000), windowMs: spanMs(100, 86_400_000) };

const limits = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('none') }),
  z.strictObject({
    kind: z.literal('token-bucket'),
    capacity: wholeNumber(1, 1_000_000),
    refillPerS: z.number().positive().max(100_000),
  }),
  z.strictObject({ kind: z.literal('sliding-window'), ...window }),
  z.strictObject({
    kind: z.literal('credits'),
    capacity: wholeNumber(1, 1_000_000),
    refillPerS: z.number().positive().max(100_000),
    requests: z.strictObject(window).optional(),
  }),
]);

const throttleRule = z.strictObject({
  status: wholeNumber(200, 599),
  text: z.string().min(1).max(200).optional().describe('Regular expression; its first group is the wait'),
  path: path.optional(),
  equals: z.union([z.string(), z.number()]).optional(),
  waitHeader: header.transform((name) => name.toLowerCase()).optional(),
  waitPath: path.optional(),
  waitUnit: z.enum(['s', 'ms']).optional(),
});

function authorization(sources: SecretSources) {
  const secret = secretReference(sources);
  const name = z.string().min(1).max(200);
  const url = webOrigin;
  const format = z.enum(['form', 'json']).default('form');
  return z.discriminatedUnion('kind', [
    z.strictObject({ kind: z.literal('none') }),
    z.strictObject({ kind: z.literal('basic'), username: name, password: secret }),
    z.strictObject({ kind: z.literal('headers'), headers: z.record(header, secret) }),
    z.strictObject({ kind: z.literal('bearer'), token: secret }),
    z.strictObject({
      kind: z.literal('client-credentials'),
      tokenUrl: url,
      clientId: name,
      clientSecret: secret,
      sentIn: z.enum(['header', 'body']).default('header'),
      format,
      scope: z.string().max(500).optional(),
      extra: texts.optional(),
    }),
    z.strictObject({
      kind: z.literal('refresh-token'),
      tokenUrl: url,
      format,
      refreshToken: secret.optional(),
      clientId: name.optional(),
      clientSecret: secret.optional(),
      login: z.strictObject({ url, username: name, password: secret }).optional(),
    }),
    z.strictObject({
      kind: z.literal('login'),
      path: z.string().max(500),
      username: name,
      password: secret,
      body: z.json(),
      take: z.record(z.string().regex(/^[a-z][A-Za-z]*$/), path),
      header: z.strictObject({
        name: header.default('authorization'),
        prefix: z.string().max(50).optional(),
        value: z.string().min(1).max(500),
        base64: z.boolean().optional(),
      }),
      lifetimeMs: spanMs(1_000).optional(),
    }),
  ]);
}

const tolerance = { toleranceMs: spanMs(1_000, 3_600_000).optional() };

const webhook = z.strictObject({
  signature: z.discriminatedUnion('kind', [
    z.strictObject({
      kind: z.literal('hmac'),
      algorithm: z.enum(['sha256', 'sha1', 'sha512']).default('sha256'),
      encoding: z.enum(['base64', 'hex']).default('base64'),
      header,
      prefix: z.string().max(50).optional(),
      signed: z
        .string()
        .regex(/\{body\}/, 'must sign {body}')
        .default('{body}')
        .describe('{body}, {ts}.{body}, {id}.{ts}.{body}, {app_key}{body}'),
      timestampHeader: header.optional(),
      idHeader: header.optional(),
      appKey: z.string().max(200).optional(),
      ...tolerance,
    }),
    z.strictObject({ kind: z.literal('standard-webhooks'), ...tolerance }),
    z.strictObject({ kind: z.literal('token'), header, prefix: z.string().max(50).optional() }),
    z.strictObject({ kind: z.literal('basic'), username: z.string().min(1).max(200) }),
  ]),
  topic: z.union([
    z.strictObject({ header }),
    z.strictObject({ path, otherwise: path.optional() }),
    z.strictObject({ constant: z.string().min(1).max(100) }),
  ]),
  deliveryId: z.union([z.strictObject({ header }), z.strictObject({ path })]).optional(),
  topics: z.record(
    z.string().min(1).max(100),
    z.discriminatedUnion('kind', [
      z.strictObject({ kind: z.literal('counts'), rows: path, map: countMapping }),
      z.strictObject({ kind: z.literal('movements'), rows: path, map: movementMapping }),
      z.strictObject({ kind: z.literal('hint'), itemIds: z.array(path).max(10).optional() }),
      z.strictObject({ kind: z.literal('ignore') }),
    ]),
  ),
  acknowledgement: z.string().max(1_000).optional().describe('JSON that the sender wants as answer'),
});

function csvSource(sources: SecretSources) {
  const secret = secretReference(sources);
  const column = z.string().regex(/^[^'\\]{1,100}$/, 'must be the name of a column');
  return z.strictObject({
    kind: z.literal('csv'),
    from: z.discriminatedUnion('kind', [
      z.strictObject({
        kind: z.literal('directory'),
        path: z
          .string()
          .min(1)
          .max(1_000)
          .transform((directory) => resolve(sources.directory, directory))
          .describe('Relative to this file'),
      }),
      z.strictObject({
        kind: z.literal('sftp'),
        host: z.string().min(1).max(255),
        port: wholeNumber(1, 65_535).optional(),
        username: z.string().min(1).max(200),
        password: secret.optional(),
        privateKey: secret.optional(),
        path: z.string().min(1).max(1_000),
        hostKeys: z
          .array(z.string().regex(/^SHA256:[A-Za-z0-9+/]{43}=?$/, 'must be a fingerprint SHA256:...'))
          .min(1)
          .max(8)
          .describe('Fingerprints of the server; no other server is talked to'),
      }),
    ]),
    pattern: z
      .string()
      .min(1)
      .max(200)
      .default('\\.csv$')
      .describe('Over file names; groups (?<at>...) and (?<sequence>...) are its moment and number'),
    settleMs: spanMs(0, 600_000).default(5_000).describe('A file must not change for this long'),
    mode: z.enum(['snapshot', 'partial', 'delta']).default('snapshot'),
    delimiter: z.enum([',', ';', '\t', '|']).default(','),
    encoding: z.enum(['utf8', 'latin1']).default('utf8'),
    map: z.strictObject({
      sku: column,
      location: column.optional(),
      onHand: column.optional(),
      available: noAvailable,
      change: column.optional(),
      subtract: z.array(column).max(10).optional(),
      asOf: column.optional(),
      reason: column.optional(),
      units: units.optional(),
      skuTrim: z.boolean().optional(),
      skuCase: z.enum(['upper', 'lower']).optional(),
    }),
    zone: z.string().max(64).optional(),
    guards: guards.optional(),
    zeroMissingAfter: wholeNumber(1, 100).optional(),
    maxFileBytes: wholeNumber(1_024, 1_073_741_824).optional(),
  });
}

function httpSource(sources: SecretSources) {
  return z.strictObject({
    kind: z.literal('http'),
    baseUrl: webOrigin,
    auth: authorization(sources),
    headers: texts.optional(),
    limits: limits.optional(),
    throttling: z.array(throttleRule).max(10).optional(),
    failurePath: path.optional().describe('Leads to an error in answers whose status is 200'),
    expiredStatuses: z.array(wholeNumber(400, 499)).max(5).optional(),
    snapshot: z.strictObject(readingFields),
    changes: changeReading.optional(),
    snapshotEveryMs: spanMs(1_000).optional(),
    lookup: z.strictObject({ ...readingFields, batchSize: wholeNumber(1, 1_000).default(1) }).optional(),
    webhook: webhook.optional(),
    guards: guards.optional(),
    zeroMissingAfter: wholeNumber(1, 100).optional(),
    readLagMs: spanMs(0, 86_400_000).optional(),
  });
}

function connection(sources: SecretSources) {
  const secret = secretReference(sources);
  return z.discriminatedUnion('kind', [
    z.strictObject({
      kind: z.literal('shiphero'),
      credentials: z.discriminatedUnion('kind', [
        z.strictObject({ kind: z.literal('login'), username: z.string().min(1), password: secret }),
        z.strictObject({ kind: z.literal('refresh-token'), refreshToken: secret }),
      ]),
      pageSize: rowLimit.optional(),
      snapshotEveryMs: spanMs(1_000).optional(),
      guards: guards.optional(),
      rates: z
        .strictObject({
          creditCapacity: wholeNumber(1_000, 10_000_000).optional(),
          creditsPerS: wholeNumber(1, 1_000_000).optional(),
          requestsPer5Min: wholeNumber(100, 10_000_000).optional(),
        })
        .optional()
        .describe('Where ShipHero raised the limits of the account; absent: 4,004, 60 and 7,000'),
    }),
    z.strictObject({
      kind: z.literal('shipbob'),
      accessToken: secret,
      pageSize: rowLimit.optional(),
      guards: guards.optional(),
    }),
    csvSource(sources),
    httpSource(sources),
  ]);
}

/** What a warehouse's channel has besides the fields of every channel. */
export function wmsFields(sources: SecretSources) {
  return {
    connection: connection(sources).describe('A preset, stock files, or any API as described here'),
    offPeakIntervalMs: spanMs(100, 86_400_000)
      .default(300_000)
      .describe('Rest between two readings outside peakHours; poll.intervalMs inside'),
    peakHours: z
      .strictObject({
        from: wholeNumber(0, 23),
        to: wholeNumber(1, 24),
        zone: timeZone.default('UTC'),
      })
      .optional()
      .describe('Selling hours; absent: always'),
    skewMs: spanMs(0, 600_000)
      .default(2_000)
      .describe('A count this close to a movement of the warehouse is read once more'),
    locations: z
      .record(z.string().min(1).max(100), z.array(locationId).length(1))
      .optional()
      .describe('Place of the warehouse (or * for its only one) -> the one location of ours it counts'),
  };
}
