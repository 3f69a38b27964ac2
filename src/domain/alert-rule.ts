export const alertSeverities = ['info', 'warning', 'critical'] as const;
export type AlertSeverity = (typeof alertSeverities)[number];

/**
 * Everything a person may be called for. `state`: raised while it lasts and resolved when it ends; `event`: it happened,
 * and there is nothing to wait for. docs/operations.md explains each; a test compares.
 */
export const alertRules = {
  'low-stock': { kind: 'state' },
  oversell: { kind: 'event' },
  drift: { kind: 'event' },
  'sync-stalled': { kind: 'state' },
  'token-expiring': { kind: 'state' },
  'webhook-silent': { kind: 'state' },
  'unmapped-sku': { kind: 'state' },
  'breaker-open': { kind: 'state' },
  'needs-attention': { kind: 'state' },
  'parked-rows': { kind: 'state' },
  'ledger-halted': { kind: 'state' },
  'endpoint-disabled': { kind: 'state' },
  'review-overdue': { kind: 'state' },
  'oversell-rate': { kind: 'state' },
  'hold-utilisation': { kind: 'state' },
  'agent-retries': { kind: 'state' },
  'false-availability': { kind: 'state' },
  test: { kind: 'event' },
} as const satisfies Readonly<Record<string, { readonly kind: 'state' | 'event' }>>;

export type AlertRule = keyof typeof alertRules;

export const alertRuleNames = Object.keys(alertRules) as readonly AlertRule[];

/** 0 for the least severe. */
export function severityRank(severity: AlertSeverity): number {
  return alertSeverities.indexOf(severity);
}
