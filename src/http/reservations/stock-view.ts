import {
  type AvailabilityStatus,
  availabilityStatus,
  type LaterTerms,
  laterUnits,
} from '../../domain/availability-status.ts';
import {
  agentLimits,
  type AgentTerms,
  bundlesIn,
  type Catalogue,
  type SkuTerms,
} from '../../domain/catalogue.ts';
import type { LocationId, Sku } from '../../domain/ids.ts';
import { availableOf, type Level } from '../../domain/movement.ts';
import type { LaterTermsAnswer } from './answers.ts';
import type { ReservationSettings } from './settings.ts';

/** Whose rules count: everybody who buys for an agent is an agent. */
export type BuyerClass = 'agent' | 'checkout';

export type LevelsOf = (sku: Sku) => ReadonlyMap<LocationId, Level> | undefined;

export interface Limits {
  /** Negative: units that may be held beyond what is there. */
  readonly keepUnits: number;
  readonly poolCapUnits: number | undefined;
  readonly agentCapUnits: number | undefined;
}

export interface StockView {
  readonly isKnown: boolean;
  /** Over the locations holds take from; may be negative. */
  readonly available: number;
  /** What this class of buyer could have. */
  readonly forBuyer: number;
  readonly kept: number;
  readonly status: AvailabilityStatus;
}

/** What a merchant's rules make of levels: pure, over whatever levels it is given. */
export class StockRules {
  readonly #catalogue: Catalogue;
  readonly #settings: ReservationSettings;
  readonly #checkoutTerms: AgentTerms;

  constructor(catalogue: Catalogue, settings: ReservationSettings) {
    this.#catalogue = catalogue;
    this.#settings = settings;
    const { keepPercent, keepUnits } = settings.checkouts;
    this.#checkoutTerms = { keepPercent, keepUnits, poolCapUnits: undefined, agentCapUnits: undefined };
  }

  termsOf(sku: Sku): SkuTerms {
    return this.#catalogue.termsOf(sku);
  }

  componentsOf(sku: Sku): ReturnType<Catalogue['componentsOf']> {
    return this.#catalogue.componentsOf(sku);
  }

  /** Compiled from what is there and not committed, held units included; the ledger checks them where they cannot race. */
  limitsOf(sku: Sku, buyer: BuyerClass, levels: ReadonlyMap<LocationId, Level> | undefined): Limits {
    const { checkouts } = this.#settings;
    let stock = 0;
    for (const location of this.#settings.locations) {
      const level = levels?.get(location);
      if (level !== undefined) stock += level.onHand - level.committed;
    }
    if (buyer === 'agent') return agentLimits(this.termsOf(sku).agents, stock);
    const { keepUnits } = agentLimits(this.#checkoutTerms, stock);
    return {
      keepUnits: keepUnits - checkouts.oversellUnits,
      poolCapUnits: undefined,
      agentCapUnits: undefined,
    };
  }

  view(sku: Sku, buyer: BuyerClass, levelsOf: LevelsOf): StockView {
    const terms = this.termsOf(sku);
    const components = this.#catalogue.componentsOf(sku);
    if (components !== undefined) {
      const views = new Map(components.map(({ sku: of }) => [of, this.view(of, buyer, levelsOf)]));
      const forBuyer = bundlesIn(components, (of) => views.get(of)?.forBuyer ?? 0);
      const available = bundlesIn(components, (of) => views.get(of)?.available ?? 0);
      const isKnown = [...views.values()].every((view) => view.isKnown);
      return { isKnown, available, forBuyer, kept: 0, status: availabilityStatus(forBuyer, terms) };
    }
    const levels = levelsOf(sku);
    let available = 0;
    for (const location of this.#settings.locations) {
      const level = levels?.get(location);
      if (level !== undefined) available += availableOf(level);
    }
    const { keepUnits } = this.limitsOf(sku, buyer, levels);
    const forBuyer = Math.max(0, available - keepUnits);
    // Below zero the terms of later delivery count what was promised already.
    const status = availabilityStatus(available > 0 ? forBuyer : available, terms);
    return { isKnown: levels !== undefined, available, forBuyer, kept: keepUnits, status };
  }

  /** Null: it cannot be promised for later. */
  laterOf(sku: Sku, available: number): LaterTermsAnswer | null {
    const { backorder, preorder } = this.termsOf(sku);
    const found = answerOf('preorder', available, preorder);
    return found ?? answerOf('backorder', available, backorder);
  }

  /** Configured substitutes of which there is enough, best first. */
  alternativesOf(
    sku: Sku,
    units: number,
    buyer: BuyerClass,
    levelsOf: LevelsOf,
  ): { sku: string; available: number; status: AvailabilityStatus }[] {
    const found = [];
    for (const other of this.termsOf(sku).substitutes) {
      const { forBuyer, status } = this.view(other, buyer, levelsOf);
      if (forBuyer >= units) found.push({ sku: other, available: forBuyer, status });
    }
    return found;
  }
}

function answerOf(
  kind: LaterTermsAnswer['kind'],
  available: number,
  terms: LaterTerms | undefined,
): LaterTermsAnswer | null {
  const units = laterUnits(available, terms);
  if (terms === undefined || units === 0) return null;
  return { kind, units, ships_in_days: terms.shipsInDays ?? null, ships_on: terms.shipsOn ?? null };
}
