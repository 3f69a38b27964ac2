import type { Sku } from './ids.ts';
import type { ChannelPolicy } from './policy.ts';
import { matchesPattern } from './sku-pattern.ts';

export const policySettings = [
  'sharePercent',
  'bufferPercent',
  'bufferUnits',
  'capUnits',
  'endWhenUnits',
  'oversellUnits',
] as const;
export type PolicySetting = (typeof policySettings)[number];

/** What one place of the configuration says; what it leaves out the layers before it say. */
export type PolicyValues = { readonly [Name in PolicySetting]?: number | undefined };

export interface PolicyLayer {
  /** Of the configuration, as a person would look it up. */
  readonly path: string;
  readonly values: PolicyValues;
}

export interface PatternLayer extends PolicyLayer {
  readonly skus: readonly string[];
}

/**
 * The layers of one channel, in their order of precedence, weakest first:
 * `policies.default`, the channel's `policy`, the SKU's category, the first of the channel's `rules` for the SKU.
 */
export interface PolicyLayers {
  readonly general: readonly PolicyLayer[];
  readonly categories: readonly PatternLayer[];
  readonly rules: readonly PatternLayer[];
  /** What the platform can show at most. */
  readonly mostUnits?: number | undefined;
}

/** A value in force and where it was said. */
export interface SettingOrigin {
  readonly setting: PolicySetting;
  readonly value: number;
  readonly path: string;
}

export interface CompiledPolicy {
  readonly policy: ChannelPolicy;
  readonly origins: readonly SettingOrigin[];
}

const maxRemembered = 200_000;

/** The policy of one channel for any SKU, compiled once per SKU to plain numbers. */
export class PolicyBook {
  readonly #layers: PolicyLayers;
  readonly #compiled = new Map<string, CompiledPolicy>();
  readonly #bySku = new Map<Sku, CompiledPolicy>();

  constructor(layers: PolicyLayers) {
    this.#layers = layers;
  }

  of(sku: Sku): CompiledPolicy {
    let found = this.#bySku.get(sku);
    if (found !== undefined) return found;
    if (this.#bySku.size >= maxRemembered) this.#bySku.clear();
    const { general, categories, rules, mostUnits } = this.#layers;
    const category = firstFor(categories, sku);
    const rule = firstFor(rules, sku);
    // Few combinations for many SKUs: each is kept once.
    const key = `${category?.path ?? ''} ${rule?.path ?? ''}`;
    found = this.#compiled.get(key);
    if (found === undefined) {
      found = compilePolicy(
        [...general, ...[category, rule].filter((layer) => layer !== undefined)],
        mostUnits,
      );
      this.#compiled.set(key, found);
    }
    this.#bySku.set(sku, found);
    return found;
  }
}

/** Setting by setting the last layer that says one wins. */
export function compilePolicy(layers: readonly PolicyLayer[], mostUnits?: number): CompiledPolicy {
  const said = new Map<PolicySetting, SettingOrigin>();
  for (const { path, values } of layers) {
    for (const setting of policySettings) {
      const value = values[setting];
      if (value !== undefined) said.set(setting, { setting, value, path });
    }
  }
  const capped = said.get('capUnits');
  if (mostUnits !== undefined && (capped === undefined || capped.value > mostUnits)) {
    said.set('capUnits', { setting: 'capUnits', value: mostUnits, path: 'what the platform can show' });
  }
  const valueOf = (setting: PolicySetting): number | undefined => said.get(setting)?.value;
  return {
    policy: {
      sharePercent: valueOf('sharePercent') ?? 100,
      bufferPercent: valueOf('bufferPercent') ?? 0,
      bufferUnits: valueOf('bufferUnits') ?? 0,
      capUnits: valueOf('capUnits'),
      endWhenUnits: valueOf('endWhenUnits'),
      oversellUnits: valueOf('oversellUnits') ?? 0,
    },
    origins: policySettings.flatMap((setting) => said.get(setting) ?? []),
  };
}

export interface PolicyConflict {
  readonly path: string;
  readonly problem: string;
}

/** What a compiled policy says that cannot be meant, at the place of the setting that was said last. */
export function findPolicyConflicts({ policy, origins }: CompiledPolicy): readonly PolicyConflict[] {
  const pathOf = (setting: PolicySetting): string | undefined =>
    origins.find((origin) => origin.setting === setting)?.path;
  const conflicts: PolicyConflict[] = [];
  const { capUnits, endWhenUnits, oversellUnits, bufferUnits, bufferPercent, sharePercent } = policy;
  if (capUnits !== undefined && endWhenUnits !== undefined && capUnits > 0 && endWhenUnits >= capUnits) {
    conflicts.push({
      path: `${pathOf('endWhenUnits')}.endWhenUnits`,
      problem: `is not below capUnits of ${pathOf('capUnits')}: nothing would ever be shown`,
    });
  }
  for (const [setting, isSet] of [
    ['bufferUnits', bufferUnits > 0],
    ['bufferPercent', (bufferPercent ?? 0) > 0],
    ['endWhenUnits', (endWhenUnits ?? 0) > 0],
  ] as const) {
    if (oversellUnits === 0 || !isSet) continue;
    conflicts.push({
      path: `${pathOf('oversellUnits')}.oversellUnits`,
      problem: `contradicts ${setting} of ${pathOf(setting)}: units cannot be kept back and sold beyond stock at once`,
    });
  }
  if (oversellUnits > 0 && sharePercent < 100) {
    conflicts.push({
      path: `${pathOf('oversellUnits')}.oversellUnits`,
      problem: `contradicts sharePercent of ${pathOf('sharePercent')}: a part of the stock cannot be sold beyond all of it`,
    });
  }
  return conflicts;
}

/** Conflicts of every combination of layers that a SKU can have. */
export function conflictsOfBook(layers: PolicyLayers): readonly PolicyConflict[] {
  const found = new Map<string, PolicyConflict>();
  const { general, categories, rules, mostUnits } = layers;
  for (const category of [undefined, ...categories]) {
    for (const rule of [undefined, ...rules]) {
      if (category !== undefined && rule !== undefined && !mayMeet(category.skus, rule.skus)) continue;
      const used = [...general, ...[category, rule].filter((layer) => layer !== undefined)];
      for (const conflict of findPolicyConflicts(compilePolicy(used, mostUnits))) {
        found.set(`${conflict.path} ${conflict.problem}`, conflict);
      }
    }
  }
  return [...found.values()];
}

/** Whether some SKU can have a pattern of both: only what is sure not to is left out. */
function mayMeet(left: readonly string[], right: readonly string[]): boolean {
  return left.some((one) =>
    right.some((other) => {
      if (!one.includes('*')) return matchesPattern(other, one);
      if (!other.includes('*')) return matchesPattern(one, other);
      const before = one.slice(0, one.indexOf('*'));
      const otherBefore = other.slice(0, other.indexOf('*'));
      return before.startsWith(otherBefore) || otherBefore.startsWith(before);
    }),
  );
}

function firstFor(layers: readonly PatternLayer[], sku: Sku): PatternLayer | undefined {
  return layers.find(({ skus }) => skus.some((pattern) => matchesPattern(pattern, sku)));
}
