import type { Redis } from 'ioredis';
import { z } from 'zod';
import {
  alertRuleNames,
  alertRules,
  type AlertRule,
  alertSeverities,
  severityRank,
} from '../../domain/alert-rule.ts';
import { US } from '../../ledger/keys.ts';
import type { ScriptReply } from '../../ledger/script-reply.ts';
import { type Alert, alertId, type AlertNotice } from './alert.ts';

/** The ledger's script caller, as far as alerts use it. */
export interface AlertScripts {
  call(command: string, args: readonly (string | number)[]): Promise<ScriptReply>;
}

export interface AlertView extends Alert {
  /** `event`: it only happened. */
  readonly state: 'open' | 'over' | 'event';
  readonly openedAtMs: number;
  readonly changedAtMs: number;
  readonly times: number;
}

/** A notice that is this daemon's to send for a while. */
export interface ClaimedNotice extends AlertNotice {
  readonly state: string;
  readonly sendersLeft: readonly string[];
  readonly attempts: number;
}

const maxAlerts = 2_000;
const noticesPerClaim = 20;

const content = z.object({
  rule: z.enum(alertRuleNames as [AlertRule, ...AlertRule[]]),
  key: z.string(),
  severity: z.enum(alertSeverities),
  text: z.string(),
  facts: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])).optional(),
});

/** Alerts in Redis: one record each for all daemons, whose script decides who is told what. */
export class AlertStore {
  readonly #scripts: AlertScripts;
  readonly #redis: Redis;
  readonly #key: string;

  constructor(scripts: AlertScripts, redis: Redis, key: string) {
    this.#scripts = scripts;
    this.#redis = redis;
    this.#key = key;
  }

  async raise(
    alert: Alert,
    cooldownMs: number,
    senders: readonly string[],
  ): Promise<'raised' | 'reminded' | 'quiet' | 'full'> {
    const { outcome } = await this.#scripts.call('alert', [
      'raise',
      alertId(alert.rule, alert.key),
      alertRules[alert.rule].kind === 'event' ? 1 : 0,
      severityRank(alert.severity),
      cooldownMs,
      senders.join(','),
      JSON.stringify(alert),
      maxAlerts,
    ]);
    return outcome === 'raised' || outcome === 'reminded' || outcome === 'full' ? outcome : 'quiet';
  }

  async resolve(rule: AlertRule, key: string, senders: readonly string[]): Promise<'resolved' | 'nothing'> {
    const { outcome } = await this.#scripts.call('alert', ['resolve', alertId(rule, key), senders.join(',')]);
    return outcome === 'resolved' ? 'resolved' : 'nothing';
  }

  async claim(forMs: number, forgetAfterMs: number): Promise<readonly ClaimedNotice[]> {
    const { fields } = await this.#scripts.call('alert', ['claim', noticesPerClaim, forMs, forgetAfterMs]);
    const notices: ClaimedNotice[] = [];
    for (let at = 0; at + 8 < fields.length; at += 9) {
      const [id, number, kind, state, opened, times, left, attempts, text] = fields.slice(at, at + 9);
      const alert = readContent(String(text));
      if (alert === undefined || (kind !== 'raised' && kind !== 'reminded' && kind !== 'resolved')) continue;
      notices.push({
        id: String(id),
        number: Number(number),
        kind,
        state: String(state),
        alert,
        openedAtMs: Number(opened),
        times: Number(times),
        sendersLeft: String(left)
          .split(',')
          .filter((name) => name !== ''),
        attempts: Number(attempts),
      });
    }
    return notices;
  }

  /** No sender left: the notice is done. */
  async told({ id, number }: AlertNotice, left: readonly string[], againInMs: number): Promise<void> {
    await this.#scripts.call('alert', ['told', id, number, left.join(','), Math.round(againInMs)]);
  }

  /** Open ones first, then the newest. */
  async list(): Promise<readonly AlertView[]> {
    const rows = Object.values(await this.#redis.hgetall(this.#key));
    const views = rows.flatMap((row): AlertView[] => {
      const fields = row.split(US);
      const alert = readContent(fields.slice(9).join(US));
      const [state, opened, changed, times] = fields;
      if (alert === undefined || (state !== 'open' && state !== 'over' && state !== 'event')) return [];
      return [
        {
          ...alert,
          state,
          openedAtMs: Number(opened),
          changedAtMs: Number(changed),
          times: Number(times),
        },
      ];
    });
    const isOpen = ({ state }: AlertView): number => (state === 'open' ? 0 : 1);
    return views.toSorted((a, b) => isOpen(a) - isOpen(b) || b.changedAtMs - a.changedAtMs);
  }
}

function readContent(text: string): Alert | undefined {
  try {
    return content.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}
