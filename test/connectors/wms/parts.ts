import type { Connector } from '../../../src/connectors/connector.ts';
import type { CountPage, CountRows, CountWant } from '../../../src/connectors/counts.ts';
import type {
  HttpConnection,
  WmsConnection,
  WmsConnectorOptions,
} from '../../../src/connectors/wms/options.ts';
import { createWmsConnector } from '../../../src/connectors/wms/wms-connector.ts';
import { Secret } from '../../../src/domain/secret.ts';
import { MemoryLimiter, MemoryLog, MemoryTokens, everything, never } from '../shopify/parts.ts';

export interface Rig {
  readonly connector: Connector;
  readonly tokens: MemoryTokens;
  readonly limiter: MemoryLimiter;
  readonly log: MemoryLog;
  readonly advance: (ms: number) => void;
}

export function rigFor(connection: WmsConnection, overrides: Partial<WmsConnectorOptions> = {}): Rig {
  const tokens = new MemoryTokens();
  const limiter = new MemoryLimiter();
  const log = new MemoryLog();
  let offsetMs = 0;
  const connector = createWmsConnector({
    connection,
    webhookSecrets: [],
    limiter,
    tokens,
    clock: { nowMs: () => Date.now() + offsetMs },
    log,
    requestTimeoutMs: 20_000,
    ...overrides,
  });
  return { connector, tokens, limiter, log, advance: (ms) => (offsetMs += ms) };
}

export async function poll(
  connector: Connector,
  cursor: string | null = null,
  want?: CountWant,
): Promise<CountPage[]> {
  if (connector.pollCounts === undefined) throw new Error('there is nothing to poll');
  return everything(connector.pollCounts(cursor, never, want));
}

/** The one page of a reading, which must not be held. */
export async function readOnce(connector: Connector, cursor: string | null = null): Promise<CountRows> {
  const [page, ...more] = await poll(connector, cursor);
  if (page === undefined || more.length > 0) throw new Error(`${more.length + 1} pages`);
  if (page.kind === 'held') throw new Error(`held: ${page.reason}`);
  return page;
}

export const figures = (page: CountRows): string[] =>
  page.counts.map(({ sku, locationId, onHand }) => `${sku}@${locationId}=${onHand}`).toSorted();

/** A source that answers one list at `/stock`. */
export function plainSource(baseUrl: string, more: Partial<HttpConnection> = {}): HttpConnection {
  return {
    kind: 'http',
    baseUrl,
    auth: { kind: 'none' },
    snapshot: {
      request: { method: 'GET', path: '/stock' },
      paging: { kind: 'none' },
      rows: 'rows[*]',
      map: { sku: 'sku', location: 'place', onHand: 'qty' },
    },
    ...more,
  };
}

export const secret = (text: string): Secret => new Secret(text);
