import { z } from 'zod';
import { parseInput, type PrivateRoutes, scoped } from '../private-route.ts';

/** One SKU as the daemon's copy of the ledger has it. */
export interface StockAnswer {
  readonly sku: string;
  readonly available: number;
  readonly locations: readonly {
    readonly location: string;
    readonly onHand: number;
    readonly committed: number;
    readonly reserved: number;
    readonly available: number;
  }[];
  /** Stock that a platform keeps in a warehouse of its own; in no sum, and never written. */
  readonly foreign: readonly {
    readonly channel: string;
    readonly place: string;
    readonly units: number;
    readonly readAtMs: number;
  }[];
}

export interface PositionAnswer {
  readonly epoch: number;
  readonly seq: number;
  /** How long ago the copy was last known to be the ledger's newest. */
  readonly ageMs: number;
}

export interface StockPorts {
  position(): PositionAnswer;
  stock(skus: readonly string[]): readonly StockAnswer[];
  /** SKUs in a stable order, after the given one. */
  stockPage(after: string | undefined, limit: number): readonly StockAnswer[];
  channels(): readonly object[];
}

const stockQuery = z.object({
  limit: z.coerce.number().int().min(1).max(1_000).default(100),
  after: z.string().max(600).optional(),
  sku: z.union([z.string().max(255), z.array(z.string().max(255)).max(500)]).optional(),
});

export function stockRoutes(ports: StockPorts): PrivateRoutes {
  return (app) => {
    app.get('/position', scoped('read'), async () => ports.position());

    app.get('/stock', scoped('read'), async (request) => {
      const { sku, limit, after } = parseInput(stockQuery, request.query);
      const skus = typeof sku === 'string' ? [sku] : sku;
      const rows = skus === undefined ? ports.stockPage(after, limit) : ports.stock(skus);
      const known = new Set(rows.map((row) => row.sku));
      return {
        ...ports.position(),
        skus: rows,
        unknown: skus?.filter((asked) => !known.has(asked)) ?? [],
        next: skus === undefined && rows.length === limit ? rows.at(-1)?.sku : undefined,
      };
    });

    app.get('/channels', scoped('read'), async () => ({ channels: ports.channels() }));
  };
}
