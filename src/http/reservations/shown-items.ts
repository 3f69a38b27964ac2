import { backpressureOf } from '../../domain/availability-status.ts';
import type { Sku } from '../../domain/ids.ts';
import type { AvailabilityItem } from './answers.ts';
import type { StockCopy } from './parts.ts';
import type { BuyerClass, LevelsOf, StockRules } from './stock-view.ts';

/** What is shown of a SKU, all but its age, which is another at every answer. */
type AgelessItem = Omit<AvailabilityItem, 'age_ms'>;

interface ShownItem {
  readonly item: AgelessItem;
  /** The item's JSON text around its age. */
  readonly before: string;
  readonly after: string;
}

const maxRemembered = 50_000;

/**
 * What the copy says of a SKU, as items of an answer and as their JSON text, made once per change of the SKU: the copy
 * tells of each before anybody can ask again. Bundles follow from several SKUs and are made anew each time.
 */
export class ShownItems {
  readonly #copy: StockCopy;
  readonly #rules: StockRules;
  readonly #known: Readonly<Record<BuyerClass, Map<string, ShownItem>>> = {
    agent: new Map(),
    checkout: new Map(),
  };

  constructor(copy: StockCopy, rules: StockRules) {
    this.#copy = copy;
    this.#rules = rules;
    copy.onChanged((changed) => {
      for (const sku of changed.keys()) {
        this.#known.agent.delete(sku);
        this.#known.checkout.delete(sku);
      }
    });
  }

  /** Adds the item to `items`; answers its text. */
  add(sku: Sku, buyer: BuyerClass, ageMs: number, items: AvailabilityItem[]): string {
    const shown = this.#shownOf(sku, buyer);
    items.push(agedItem(shown.item, ageMs));
    return `${shown.before}${ageMs}${shown.after}`;
  }

  #shownOf(sku: Sku, buyer: BuyerClass): ShownItem {
    const known = this.#known[buyer];
    const before = known.get(sku);
    if (before !== undefined) return before;
    const made = textsOf(itemOf(this.#rules, sku, buyer, (of) => this.#copy.levelsOf(of), 'copy'));
    if (this.#rules.componentsOf(sku) !== undefined) return made;
    if (known.size >= maxRemembered) known.clear();
    known.set(sku, made);
    return made;
  }
}

/** What levels, wherever they are from, make of a SKU for a class of buyer. */
export function itemOf(
  rules: StockRules,
  sku: Sku,
  buyer: BuyerClass,
  levelsOf: LevelsOf,
  source: AvailabilityItem['source'],
): AgelessItem {
  const { isKnown, available, forBuyer, status } = rules.view(sku, buyer, levelsOf);
  const common = { sku, source, policy: null };
  if (!isKnown) return { ...common, available: 0, status: 'out_of_stock', backorder: null, pace: 'stop' };
  const backorder = rules.laterOf(sku, Math.min(0, available));
  return { ...common, available: forBuyer, status, backorder, pace: backpressureOf(status) };
}

export function agedItem(item: AgelessItem, ageMs: number): AvailabilityItem {
  const { sku, available, status, source, policy, backorder, pace } = item;
  return { sku, available, status, source, policy, age_ms: ageMs, backorder, pace };
}

function textsOf(item: AgelessItem): ShownItem {
  const { sku, available, status, source, policy, backorder, pace } = item;
  const before = JSON.stringify({ sku, available, status, source, policy }).slice(0, -1);
  const after = JSON.stringify({ backorder, pace }).slice(1);
  return { item, before: `${before},"age_ms":`, after: `,${after}` };
}
