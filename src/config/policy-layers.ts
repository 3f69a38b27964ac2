import type { z } from 'zod';
import type { PolicyLayers } from '../domain/policy-book.ts';
import type { catalogueSchema } from './catalogue-schema.ts';
import type { policyRules, policySchema } from './policy-schema.ts';

type ParsedPolicy = z.output<typeof policySchema>;

export interface ChannelPolicySource {
  readonly platform: string;
  readonly policy: ParsedPolicy;
  readonly rules: z.output<typeof policyRules>;
}

/** What a platform can show at most: a target above it would never be seen there. */
const mostUnits: Readonly<Record<string, number>> = { tiktok: 99_999 };

/** Everything the configuration says about one channel's policy, weakest first, each with its path. */
export function policyLayers(
  config: {
    readonly policies: { readonly default: ParsedPolicy };
    readonly catalogue: z.output<typeof catalogueSchema>;
  },
  channel: ChannelPolicySource,
  channelIndex: number,
): PolicyLayers {
  return {
    general: [
      { path: 'policies.default', values: config.policies.default },
      { path: `channels[${channelIndex}].policy`, values: channel.policy },
    ],
    categories: config.catalogue.categories.map(({ skus, policy }, index) => ({
      path: `catalogue.categories[${index}].policy`,
      skus,
      values: policy ?? {},
    })),
    rules: channel.rules.map(({ skus, policy }, index) => ({
      path: `channels[${channelIndex}].rules[${index}].policy`,
      skus,
      values: policy,
    })),
    mostUnits: mostUnits[channel.platform],
  };
}
