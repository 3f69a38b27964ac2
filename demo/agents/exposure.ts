/** One movement of the log, as the stream of movements shows it. */
export interface SeenMovement {
  readonly kind: string;
  readonly atMs: number;
  readonly sku: string;
  /** After it. */
  readonly available: number;
  readonly reference: string;
}

/** A person bought on the shop: its own number was enough at that moment. */
export interface ShopSale {
  readonly sku: string;
  readonly order: string;
  readonly atMs: number;
}

/** Units that were sold twice because the shop and the ledger heard of each other too late. */
export interface Exposed {
  readonly sku: string;
  readonly order: string;
  readonly units: number;
  /**
   * `shop-had-not-heard`: the ledger had given the unit away, the shop still showed it. `ledger-had-not-heard`: the shop had
   * sold it, the order was still under way when the ledger gave it to somebody else.
   */
  readonly why: 'shop-had-not-heard' | 'ledger-had-not-heard';
  /** From the one sale to the moment the other side knew of it. */
  readonly lagMs: number;
}

export interface Judgement {
  /** Left by the platform: a shop sells from its own number, and no ledger is asked. */
  readonly exposed: readonly Exposed[];
  /** Anything else that left less than nothing. There is no excuse for it. */
  readonly beyond: readonly string[];
}

/**
 * Says of every unit below zero whose it is. Only an order of the shop may leave a SKU below zero, and only one that the
 * shop accepted by its own number; a hold, a commit or anything else of ours that does is an oversell of ours. An exposure
 * that lasted longer than `maxLagMs` is none: the mesh slept.
 */
export function judgeOversells(
  movements: readonly SeenMovement[],
  sales: readonly ShopSale[],
  maxLagMs: number,
): Judgement {
  const exposed: Exposed[] = [];
  const beyond: string[] = [];
  const saleOf = new Map(sales.map((sale) => [`${sale.order} ${sale.sku}`, sale]));
  const bySku = new Map<string, SeenMovement[]>();
  for (const movement of movements) {
    const row = bySku.get(movement.sku);
    if (row === undefined) bySku.set(movement.sku, [movement]);
    else row.push(movement);
  }
  for (const [sku, row] of bySku) {
    let before = 0;
    for (const [index, { kind, available, reference, atMs }] of row.entries()) {
      const units = Math.max(0, -available) - Math.max(0, -before);
      before = available;
      if (units <= 0) continue;
      const sale = saleOf.get(`${reference} ${sku}`);
      if (kind !== 'ordered' || sale === undefined) {
        beyond.push(`${sku}: ${kind} of ${reference} left ${available}`);
        continue;
      }
      const { why, lagMs } = whyOf(row.slice(0, index), sale, atMs);
      if (lagMs > maxLagMs) beyond.push(`${sku}: ${why} for ${lagMs} ms, order ${reference}`);
      else exposed.push({ sku, order: reference, units, why, lagMs });
    }
  }
  return { exposed, beyond };
}

/** The clocks are those of one machine, and may differ by the milliseconds that a clock of Redis is estimated to. */
function whyOf(
  earlier: readonly SeenMovement[],
  sale: ShopSale,
  heardAtMs: number,
): Pick<Exposed, 'why' | 'lagMs'> {
  let left = 0;
  let goneSinceMs = Number.NEGATIVE_INFINITY;
  for (const { available, atMs } of earlier) {
    if (atMs > sale.atMs) break;
    if (left > 0 && available <= 0) goneSinceMs = atMs;
    left = available;
  }
  if (left > 0 || goneSinceMs === Number.NEGATIVE_INFINITY)
    return { why: 'ledger-had-not-heard', lagMs: Math.max(0, heardAtMs - sale.atMs) };
  return { why: 'shop-had-not-heard', lagMs: Math.max(0, sale.atMs - goneSinceMs) };
}
