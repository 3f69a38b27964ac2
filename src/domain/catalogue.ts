import type { LaterTerms, StatusTerms } from './availability-status.ts';
import type { Sku } from './ids.ts';
import { matchesPattern } from './sku-pattern.ts';

/** `strict`: deny when unsure (the ledger cannot be reached, data is old); `relaxed`: answer from what is known. */
export type ConsistencyLevel = 'strict' | 'relaxed';

/** What agents may take of a SKU; people on the channels see all of it. */
export interface AgentTerms {
  /** Per cent of the units (held ones included) that agents never see; rounds up. */
  readonly keepPercent: number;
  readonly keepUnits: number;
  /** Units that all agents together may hold. */
  readonly poolCapUnits: number | undefined;
  /** Units of the SKU that one agent may hold. */
  readonly agentCapUnits: number | undefined;
}

/** All a category can say; what it does not say the default says. */
export interface CatalogueTerms {
  readonly consistency?: ConsistencyLevel | undefined;
  readonly lowStockUnits?: number | undefined;
  readonly backorder?: LaterTerms | undefined;
  readonly preorder?: LaterTerms | undefined;
  readonly discontinued?: boolean | undefined;
  readonly agents?: { readonly [Name in keyof AgentTerms]?: AgentTerms[Name] | undefined } | undefined;
}

export interface CatalogueCategory extends CatalogueTerms {
  readonly name: string;
  readonly skus: readonly string[];
}

export interface BundleComponent {
  readonly sku: Sku;
  /** Of the component, in one bundle. */
  readonly units: number;
}

export interface CatalogueRules {
  readonly default: CatalogueTerms;
  /** A SKU belongs to the first category that has a pattern for it. */
  readonly categories: readonly CatalogueCategory[];
  /** What may be offered in place of a SKU, best first. */
  readonly substitutes: ReadonlyMap<Sku, readonly Sku[]>;
  readonly bundles: ReadonlyMap<Sku, readonly BundleComponent[]>;
}

export const noCatalogue: CatalogueRules = {
  default: {},
  categories: [],
  substitutes: new Map(),
  bundles: new Map(),
};

/** Everything the catalogue says of one SKU. */
export interface SkuTerms extends StatusTerms {
  /** Empty: none. */
  readonly category: string;
  readonly consistency: ConsistencyLevel;
  readonly agents: AgentTerms;
  readonly substitutes: readonly Sku[];
}

const defaultLowStockUnits = 5;
const maxRemembered = 200_000;

/** The merchant's catalogue. The same question always has the same answer; answers are remembered, boundedly. */
export class Catalogue {
  readonly #rules: CatalogueRules;
  readonly #terms = new Map<Sku, SkuTerms>();
  readonly #bundlesWith = new Map<Sku, Sku[]>();

  constructor(rules: CatalogueRules = noCatalogue) {
    this.#rules = rules;
    for (const [bundle, components] of rules.bundles) {
      for (const { sku } of components) {
        const bundles = this.#bundlesWith.get(sku);
        if (bundles === undefined) this.#bundlesWith.set(sku, [bundle]);
        else bundles.push(bundle);
      }
    }
  }

  categoryOf(sku: Sku): CatalogueCategory | undefined {
    return this.#rules.categories.find(({ skus }) => skus.some((pattern) => matchesPattern(pattern, sku)));
  }

  termsOf(sku: Sku): SkuTerms {
    let terms = this.#terms.get(sku);
    if (terms === undefined) {
      if (this.#terms.size >= maxRemembered) this.#terms.clear();
      terms = this.#compile(sku);
      this.#terms.set(sku, terms);
    }
    return terms;
  }

  /** What one bundle is made of; undefined: the SKU is no bundle. */
  componentsOf(sku: Sku): readonly BundleComponent[] | undefined {
    return this.#rules.bundles.get(sku);
  }

  /** Bundles that contain the SKU. */
  bundlesWith(sku: Sku): readonly Sku[] {
    return this.#bundlesWith.get(sku) ?? [];
  }

  bundles(): IterableIterator<Sku> {
    return this.#rules.bundles.keys();
  }

  #compile(sku: Sku): SkuTerms {
    const category = this.categoryOf(sku);
    const general = this.#rules.default;
    const agents = { ...general.agents, ...withoutGaps(category?.agents ?? {}) };
    return {
      category: category?.name ?? '',
      consistency: category?.consistency ?? general.consistency ?? 'strict',
      lowStockUnits: category?.lowStockUnits ?? general.lowStockUnits ?? defaultLowStockUnits,
      backorder: category?.backorder ?? general.backorder,
      preorder: category?.preorder ?? general.preorder,
      isDiscontinued: category?.discontinued ?? general.discontinued ?? false,
      agents: {
        keepPercent: agents.keepPercent ?? 0,
        keepUnits: agents.keepUnits ?? 0,
        poolCapUnits: agents.poolCapUnits,
        agentCapUnits: agents.agentCapUnits,
      },
      substitutes: this.#rules.substitutes.get(sku) ?? [],
    };
  }
}

/** What an agent's reservation passes to the ledger, which checks it where it cannot race. */
export interface AgentLimits {
  readonly keepUnits: number;
  readonly poolCapUnits: number | undefined;
  readonly agentCapUnits: number | undefined;
}

/**
 * Compiles an agent's terms to numbers. `stockUnits` is what is there and not committed, held units included: a share of
 * what is left would shrink with every hold and lock the agents out of their own part.
 */
export function agentLimits(terms: AgentTerms, stockUnits: number): AgentLimits {
  const stock = Math.max(0, stockUnits);
  const rest = stock % 100;
  const kept = ((stock - rest) / 100) * terms.keepPercent + Math.ceil((rest * terms.keepPercent) / 100);
  return {
    keepUnits: kept + terms.keepUnits,
    poolCapUnits: terms.poolCapUnits,
    agentCapUnits: terms.agentCapUnits,
  };
}

/** Whole bundles in what there is of each component. */
export function bundlesIn(components: readonly BundleComponent[], availableOf: (sku: Sku) => number): number {
  let least = Number.POSITIVE_INFINITY;
  for (const { sku, units } of components) least = Math.min(least, Math.floor(availableOf(sku) / units));
  return Number.isFinite(least) ? least : 0;
}

function withoutGaps<Row extends object>(row: Row): Partial<Row> {
  return Object.fromEntries(Object.entries(row).filter(([, value]) => value !== undefined)) as Partial<Row>;
}
