import type { AlertRule, AlertSeverity } from '../../domain/alert-rule.ts';

/** Something a person should know. */
export interface Alert {
  readonly rule: AlertRule;
  /** What it is about: the same thing has the same key, on every daemon. A channel id, a SKU, an order. */
  readonly key: string;
  readonly severity: AlertSeverity;
  /** One sentence for a person: what is wrong and, where there is one, what to do. */
  readonly text: string;
  /** Figures and names behind it; no credentials, no personal data. */
  readonly facts?: AlertFacts | undefined;
}

export type AlertFacts = Readonly<Record<string, string | number | boolean>>;

/** Whoever notices something: reconciliation, HTTP, the mesh itself. Neither waits nor throws. */
export interface AlertSink {
  raise(alert: Alert): void;
  /** It is over. Without effect on what is not open. */
  resolve(rule: AlertRule, key: string): void;
}

/** One message to a person: about an alert that is new, still there, or over. */
export interface AlertNotice {
  readonly id: string;
  readonly number: number;
  readonly kind: 'raised' | 'reminded' | 'resolved';
  readonly alert: Alert;
  readonly openedAtMs: number;
  readonly times: number;
}

/** A way to reach a person. Throws when the notice did not get through; it is tried again. */
export interface NoticeSender {
  /** Unique and stable: what was told is remembered under it. */
  readonly name: string;
  readonly minSeverity: AlertSeverity;
  send(notice: AlertNotice, signal: AbortSignal): Promise<void>;
}

const maxText = 1_000;
const maxFacts = 30;
const maxFact = 300;

export function alertId(rule: AlertRule, key: string): string {
  return `${rule}:${key.slice(0, 200)}`;
}

/** Texts come from platforms too: one plain line each, bounded. */
export function bounded(alert: Alert): Alert {
  const facts = Object.entries(alert.facts ?? {})
    .slice(0, maxFacts)
    .map(([name, value]) => [name, typeof value === 'string' ? oneLine(value, maxFact) : value] as const);
  return { ...alert, text: oneLine(alert.text, maxText), facts: Object.fromEntries(facts) };
}

/** The notice as a person reads its first line. */
export function headline({ kind, alert }: AlertNotice): string {
  const state =
    kind === 'resolved' ? 'resolved' : kind === 'reminded' ? `still ${alert.severity}` : alert.severity;
  return `[${state}] ${alert.rule} ${alert.key}`;
}

function oneLine(text: string, most: number): string {
  return text
    .replace(/\p{Cc}+/gu, ' ')
    .trim()
    .slice(0, most);
}
