import { z } from 'zod';
import { alertRuleNames, alertSeverities, type AlertRule } from '../domain/alert-rule.ts';
import { Secret } from '../domain/secret.ts';
import { spanMs, webAddress, wholeNumber } from './fields.ts';
import { type SecretSources, secretReference } from './secret-reference.ts';

const minSeverity = z.enum(alertSeverities).default('warning').describe('The least that is told this way');
const address = z.email();
const loopbackHosts = new Set(['localhost', '127.0.0.1', '::1']);

function webhook(sources: SecretSources) {
  return z.strictObject({
    name: z
      .string()
      .regex(/^[a-z0-9-]{1,40}$/)
      .default('webhook')
      .describe('Unique among the webhooks'),
    url: z
      .union([secretReference(sources), webAddress.transform((text) => new Secret(text))])
      .describe('https address, or env:NAME, file:PATH: the addresses of Slack and others are credentials'),
    signingSecret: secretReference(sources)
      .optional()
      .describe('Signs by the rules of Standard Webhooks: whsec_..., or any text'),
    format: z
      .enum(['json', 'text'])
      .default('json')
      .describe('json: everything; text: {"text": ...} as Slack, Mattermost and Google Chat take it'),
    minSeverity,
  });
}

function mail(sources: SecretSources) {
  return z
    .strictObject({
      host: z.string().min(1),
      port: wholeNumber(1, 65_535).default(587),
      security: z
        .enum(['tls', 'starttls', 'none'])
        .default('starttls')
        .describe('none: for a relay on this machine only'),
      user: z.string().min(1).optional(),
      password: secretReference(sources).optional(),
      from: address,
      to: z.array(address).min(1).max(50),
      minSeverity,
    })
    .refine(({ security, host }) => security !== 'none' || loopbackHosts.has(host), {
      path: ['security'],
      message: 'must be tls or starttls: none is for a relay on this machine (localhost) only',
    });
}

/** How people are called, and when. */
export function alertsSchema(sources: SecretSources) {
  return z
    .strictObject({
      cooldownMs: spanMs(0, 7 * 86_400_000)
        .default(3_600_000)
        .describe('The same alert is not told again before'),
      webhooks: z.array(webhook(sources)).max(10).default([]),
      mail: mail(sources).optional(),
      stalledMs: spanMs(60_000, 7 * 86_400_000)
        .default(900_000)
        .describe('No poll, or waiting listings and no write, for this long: sync-stalled'),
      silentMs: spanMs(60_000, 7 * 86_400_000)
        .default(1_800_000)
        .describe('Polls bring orders and no push came for this long: webhook-silent'),
      circuitMs: spanMs(0, 86_400_000)
        .default(60_000)
        .describe('A circuit that stays open for this long: breaker-open'),
      tokenMs: spanMs(3_600_000)
        .default(14 * 86_400_000)
        .describe('Access ends within this and a person has to renew it: token-expiring'),
      off: z
        .array(z.enum(alertRuleNames as [AlertRule, ...AlertRule[]]))
        .default([])
        .describe('Rules that are not raised'),
    })
    .refine(({ webhooks }) => new Set(webhooks.map(({ name }) => name)).size === webhooks.length, {
      path: ['webhooks'],
      message: 'must have different names',
    })
    .prefault({});
}
