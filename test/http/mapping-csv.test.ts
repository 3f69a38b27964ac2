import { describe, expect, test } from 'vitest';
import type { PlatformListing } from '../../src/connectors/connector.ts';
import type { ChannelId, LocationId, Sku } from '../../src/domain/ids.ts';
import { type MappingWorld, mappingCsv, readMappingCsv } from '../../src/http/mapping/mapping-csv.ts';
import { mappingRow, mappingRows } from '../../src/mesh/mapping-table.ts';
import { SkuMap } from '../../src/mesh/sku-map.ts';

const map = new SkuMap({
  id: 'shop' as ChannelId,
  platform: 'shopify',
  mode: 'live',
  locations: [{ location: 'main' as LocationId, platformLocationId: '*', wmsOwned: false }],
  sourceRules: new Map(),
  openingFigure: 'available',
  aliases: new Map([['OLD', 'PEN' as Sku]]),
});
function listing(itemId: string, sku: string, more: Partial<PlatformListing> = {}): PlatformListing {
  const ref = { key: `${itemId}@L`, itemId, locationId: 'L' };
  return { ref, sku, barcode: null, title: null, value: 1, readAtMs: 1, problems: [], ...more };
}
map.learn([
  listing('1', 'INK', { barcode: '96385074' }),
  listing('2', '', { title: '=HYPERLINK("evil")', problems: ['missing-sku'] }),
  listing('3', '=1+1'),
  listing('4', 'OLD'),
  listing('5', 'TWICE', { problems: ['duplicate-sku'] }),
  listing('-6', 'a, "b"'),
]);

const known = new Set(['INK', 'PEN', 'NIB', '=1+1']);
const world: MappingWorld = {
  hasChannel: (channel) => channel === 'shop',
  rowOf: (_, item) => mappingRow(map, item),
  aliasOf: (_, platformSku) => map.settings.aliases.get(platformSku),
  isKnown: (sku) => known.has(sku),
  itemsOf: (_, sku) => map.ofSku(sku).map(({ ref }) => ref.itemId),
};
const nothing = { newSkus: false, shared: false };

async function exported(): Promise<string> {
  let text = '';
  for await (const part of mappingCsv(mappingRows(map, 'all'))) text += part;
  return text;
}

const head = 'channel,item,platform_sku,barcode,sku\n';
const refusals = (text: string): readonly string[] => {
  const file = readMappingCsv(text, world, nothing);
  return file.kind === 'read' ? [] : file.problems.map(({ line, problem }) => `${line}: ${problem}`);
};

describe('a file that contradicts itself or the map is refused with its lines', () => {
  test.each([
    ['', '1: the file is empty'],
    ['channel,item\n', '1: the column sku is missing'],
    ['channel,item,sku,price\n', '1: there is no column "price"'],
    ['channel,item,sku,sku\n', '1: a column stands twice'],
    [`${head}shop,1,INK\n`, '2: Invalid Record Length'],
    [`${head}shop,1,INK,"96385074,INK\n`, '2: Quote Not Closed'],
    [`${head}market,1,INK,96385074,NIB\n`, '2: "market" is no channel'],
    [`${head}shop,9,,,NIB\n`, '2: shop lists no item "9"'],
    [`${head}shop,1,INC,96385074,NIB\n`, '2: platform_sku is "INK" on shop, not "INC"'],
    [`${head}shop,1,INK,9.6E+07,NIB\n`, '2: barcode is "96385074" on shop, not "9.6E+07"'],
    [`${head}shop,2,,,NIB\nshop,2,,,PEN\n`, '3: the item 2 stands in line 2 too'],
    [`${head}shop,1,INK,96385074,\n`, '2: it is INK by exact: give another SKU'],
    [`${head}shop,4,OLD,,NIB\n`, '2: the configuration has the alias PEN for "OLD"'],
    [`${head}shop,2,,,TYPO\n`, '2: the SKU "TYPO" is not known'],
    [`${head}shop,2,,,INK\n`, '2: the item 1 of shop is INK too'],
    [`${head}shop,2,,,NIB\nshop,5,TWICE,,NIB\n`, '3: the item 2 of shop is NIB too'],
  ])('%j', (text, problem) => {
    const [first] = refusals(text);
    expect(first).toContain(problem);
  });

  test('one bad row among good ones: nothing is taken, every bad line is named', () => {
    const found = refusals(`${head}shop,2,,,NIB\nshop,9,,,NIB\nshop,1,INK,1,NIB\n`);
    expect(found.map((line) => line.slice(0, 2))).toEqual(['3:', '4:']);
  });
});

test('what was exported comes back as nothing to do, and no cell is a formula', async () => {
  const text = await exported();
  expect(text).toContain(`"'=HYPERLINK(""evil"")"`);
  for (const cell of text.split(/[,\n]/)) expect(cell).not.toMatch(/^"?[=+@-]/);
  expect(readMappingCsv(text, world, nothing)).toEqual({ kind: 'read', changes: [], unchanged: 6 });
  // As a spreadsheet writes it: with a mark in front and other line ends.
  expect(readMappingCsv(`\uFEFF${text}`, world, nothing)).toMatchObject({ kind: 'read', unchanged: 6 });
});

test('filled in rows are the changes', async () => {
  const text = `${head}shop,2,,,NIB\nshop,1,INK,96385074,'=1+1\nshop,'-6,"a, ""b""",,INK\n`;
  const shared = readMappingCsv(text, world, { newSkus: false, shared: true });
  expect(shared).toMatchObject({
    kind: 'read',
    changes: [
      { itemId: '2', sku: 'NIB' },
      { itemId: '1', sku: '=1+1' },
      { itemId: '-6', sku: 'INK' },
    ],
  });
  // INK moves from one item to another; the formula's SKU is another item's already.
  expect(refusals(text)).toEqual([expect.stringContaining('3: the item 3 of shop is =1+1 too')]);
  const fresh = readMappingCsv(`${head}shop,2,,,NEW\n`, world, { newSkus: true, shared: false });
  expect(fresh).toMatchObject({ kind: 'read', changes: [{ itemId: '2', sku: 'NEW' }] });
});
