import { createHash } from 'node:crypto';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { noCatalogue } from '../../src/domain/catalogue.ts';
import { availability } from '../../src/http/reservations/answers.ts';
import { failOnLeakedConnections } from '../support/redis-connections.ts';
import { receive, sku } from '../support/stock.ts';
import { ReservationRig } from './support/reservation-rig.ts';

failOnLeakedConnections();

let rig: ReservationRig;
beforeEach(async () => {
  rig = await ReservationRig.start({
    catalogue: {
      ...noCatalogue,
      default: { agents: { keepPercent: 10 }, backorder: { maxUnits: 3, shipsInDays: 4 } },
      bundles: new Map([[sku('SET'), [{ sku: sku('S"1'), units: 2 }]]]),
    },
  });
});
afterEach(() => rig.close());

async function textOf(query: string): Promise<string> {
  const response = await fetch(`${rig.url}/inventory/v1/availability?${query}`);
  expect([response.status, response.headers.get('content-type')]).toEqual([
    200,
    'application/json; charset=utf-8',
  ]);
  return response.text();
}

const hard = encodeURIComponent('S"1');

test.each([
  ['a SKU', `sku=${hard}`],
  ['one nobody knows', 'sku=NONE'],
  ['sold out, for later', 'sku=GONE'],
  ['a bundle', 'sku=SET'],
  ['many, one twice', `sku=${hard}&sku=SET&sku=NONE&sku=${hard}`],
  ['read from the ledger', `sku=${hard}&fresh=true`],
])('the text is what its schema and JSON make of it: %s', async (_, query) => {
  await receive(rig.parts, 'S"1', 7);
  await receive(rig.parts, 'GONE', 1);
  await rig.reserve({ sku: 'GONE', quantity: 1, ttl_seconds: 600 });
  await expect
    .poll(async () => (await rig.call('GET', '/inventory/v1/availability?sku=GONE')).body, {
      timeout: 20_000,
    })
    .toMatchObject({ items: [{ status: 'backorder', backorder: { units: 3 } }] });
  for (const who of ['', '&agent_id=a']) {
    const text = await textOf(query + who);
    const answer = availability.strict().parse(JSON.parse(text));
    // Members in the order of the schema, nothing lost, nothing spelled otherwise.
    expect(text).toBe(JSON.stringify(answer));
    const { receipt, ...shown } = answer;
    expect(receipt?.sha256).toBe(
      who === '' ? undefined : createHash('sha256').update(JSON.stringify(shown)).digest('hex'),
    );
    expect(answer.items.map((item) => item.sku)).toEqual(new URLSearchParams(query).getAll('sku'));
  }
});

test('what was shown once is not shown again when the stock has moved, to neither class of buyer', async () => {
  await receive(rig.parts, 'S"1', 10);
  const seen = async (who: string) =>
    availability.parse(JSON.parse(await textOf(`sku=${hard}${who}`))).items[0]?.available;
  const both = async () => [await seen(''), await seen('&agent_id=a')];
  await expect.poll(both, { timeout: 20_000 }).toEqual([10, 9]);
  const held = await rig.reserve({ sku: 'S"1', quantity: 4, ttl_seconds: 600 });
  await expect.poll(both, { timeout: 20_000 }).toEqual([6, 5]);
  await rig.on(held.body['hold_id'], 'release');
  await expect.poll(both, { timeout: 20_000 }).toEqual([10, 9]);
  // A SKU that was asked for before anything was known of it.
  expect(await textOf('sku=NEW')).toContain('"available":0,"status":"out_of_stock"');
  await receive(rig.parts, 'NEW', 2);
  await expect.poll(() => textOf('sku=NEW'), { timeout: 20_000 }).toContain('"available":2');
});

test('its age is told anew each time', async () => {
  await receive(rig.parts, 'S"1', 10);
  const ages = new Set<number>();
  await expect
    .poll(
      async () => {
        const answer = availability.parse(JSON.parse(await textOf(`sku=${hard}`)));
        expect(answer.items[0]?.age_ms).toBe(answer.age_ms);
        return ages.add(answer.age_ms).size;
      },
      { timeout: 20_000 },
    )
    .toBeGreaterThan(1);
});
