import type { IncomingHttpHeaders } from 'node:http';
import type { Connector } from '../../src/connectors/connector.ts';
import type { FaultyProxy, ProxiedAnswer, ProxiedRequest } from './faulty-proxy.ts';

/** The rows of the suite, in the order in which they are run. */
export type Row =
  | 'duplicates'
  | 'reordering'
  | 'loss'
  | 'ambiguous write'
  | 'throttling'
  | 'token expiry mid-batch'
  | 'cursor regress'
  | 'page shift'
  | 'partial failure'
  | 'poison row'
  | 'huge ids'
  | 'base URL override'
  | 'revoked access'
  | 'hung connection';

export interface PlatformUnderTest {
  readonly name: string;
  /** Rows that cannot apply to the platform, each with the reason; it is printed in the name of the test. */
  readonly skipped?: Partial<Readonly<Record<Row, string>>>;
  start(options?: StartOptions): Promise<World>;
}

export interface StartOptions {
  /** Long when absent: only a row that waits for it wants it short. */
  readonly requestTimeoutMs?: number | undefined;
  /** How late the search may be, as the connector is told; 0 when absent. */
  readonly indexLagMs?: number | undefined;
  /** Pages as small as the emulator makes them. */
  readonly smallPages?: boolean | undefined;
  /** A limit that comes back as slowly as the platform has it, where it has several. */
  readonly slowRefill?: boolean | undefined;
}

/** Something that a poll must show: an order; for a warehouse, the figure of an item. */
export interface Thing {
  /** Order id, or `item@place`, as the connector spells it. */
  readonly key: string;
  /** Every id of it that the platform hands out, digit by digit. */
  readonly ids: readonly string[];
}

export interface Delivery {
  readonly raw: Uint8Array;
  readonly headers: IncomingHttpHeaders;
}

/** One account on an emulated platform, the connector under test in front of it, and everybody else who acts there. */
export interface World {
  readonly connector: Connector;
  /** Between connector and emulator: every request passes it. */
  readonly proxy: FaultyProxy;
  /** Renewals of access tokens by the connector so far. */
  renewals(): number;
  /** Moves this machine's clock as the connector sees it. */
  advance(ms: number): void;
  /** Enough things to fill two pages and begin a third. */
  readonly thingsOverPages: number;
  happen(): Thing;
  /** The thing changes once more, in a way that only grows. */
  change(thing: Thing): void;
  /** How long after it happens a poll can show a thing at the earliest; 0 when absent. */
  readonly settleMs?: number;
  /** How late the platform's own search shows what happens from now on; absent: it shows everything at once. */
  setIndexLag?(ms: number): void;
  /** Runs `work` and takes the platform's pushes as they arrive at our address. */
  deliveriesOf?(work: () => void): Promise<readonly Delivery[]>;
  isPage(request: ProxiedRequest): boolean;
  isWrite(request: ProxiedRequest): boolean;
  isThrottled(answer: ProxiedAnswer): boolean;
  expireTokens(): void;
  revoke(): void;
  /** Uses the limit of what `spend` does up; it refills within two seconds, and may be used up again. */
  exhaust(): void;
  /** The answer of a page in which this thing cannot be read. */
  poison(page: string, thing: Thing): string;
  /** Platforms that are written to. */
  readonly shelf?: Shelf;
  violations(): readonly unknown[];
  stop(): Promise<void>;
}

export interface Shelf {
  /** Two SKUs that one request may carry; the second can be broken. */
  readonly skus: readonly [string, string];
  shown(sku: string): number;
  /** From now on the platform refuses to change this SKU. */
  breakSku(sku: string): void;
}
