/** What a buyer wants: several lines may name the same SKU. */
export interface WantedLine {
  readonly sku: string;
  readonly units: number;
}

export interface Purchase {
  readonly sales: readonly WantedLine[];
  /** Lines that were taken out of the cart because the channel showed too little. */
  readonly refusedLines: number;
}

/** One channel as its buyers see it. */
export interface SellingChannel {
  /** The daemon's id of it. */
  readonly id: string;
  readonly platform: 'shopify' | 'amazon' | 'tiktok';
  /** SKUs on offer there. */
  readonly skus: ReadonlySet<string>;
  shown(sku: string): number;
  /** What a storefront's cart does: units that are not shown as available are taken out of it before paying. */
  buy(lines: readonly WantedLine[]): Purchase;
  /** A buyer gives units back that have not left the house; false: no order there has so many of the SKU. */
  giveBack(sku: string, units: number): boolean;
  /** Called when a write of ours changed a number, with the change. */
  onWrite(listener: (sku: string, change: number) => void): void;
}

export interface ContractViolation {
  readonly where: string;
  readonly kind: string;
  readonly detail: string;
}

/** An emulator with its accounts, and what the daemon's configuration has to say about them. */
export interface EmulatedPlatform {
  readonly channels: readonly SellingChannel[];
  /** Entries of `channels`; credentials are named as files in the directory of the configuration. */
  readonly config: readonly Readonly<Record<string, unknown>>[];
  /** File name -> credential. */
  readonly secrets: Readonly<Record<string, string>>;
  /** What the real platform would not have allowed. */
  violations(): readonly ContractViolation[];
  stop(): Promise<void>;
}

export interface EmulationOptions {
  /** Units of each SKU at the start. */
  readonly stock: ReadonlyMap<string, number>;
  readonly seed: number;
  /** The limits that the platforms publish, or none. */
  readonly rateLimits: 'published' | 'none';
  /** Notifications are lost, doubled, delayed and reordered. */
  readonly isRough: boolean;
}

/** Lines a cart keeps, given what the channel shows. */
export function cartOf(lines: readonly WantedLine[], shown: (sku: string) => number): Purchase {
  const left = new Map<string, number>();
  const sales = lines.filter(({ sku, units }) => {
    const available = left.get(sku) ?? shown(sku);
    const isSold = available >= units;
    left.set(sku, isSold ? available - units : available);
    return isSold;
  });
  return { sales, refusedLines: lines.length - sales.length };
}

/** Turns the present numbers of an emulator into changes. */
export class ShownNumbers {
  readonly #shown = new Map<string, number>();

  set(sku: string, units: number): void {
    this.#shown.set(sku, units);
  }

  /** What changed since the last time. */
  change(sku: string, units: number): number {
    const before = this.#shown.get(sku) ?? units;
    this.#shown.set(sku, units);
    return units - before;
  }
}
