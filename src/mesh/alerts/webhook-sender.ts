import type { AlertSeverity } from '../../domain/alert-rule.ts';
import type { Secret } from '../../domain/secret.ts';
import { anyKey, webhookHeaders } from '../standard-webhooks.ts';
import { type AlertNotice, headline, type NoticeSender } from './alert.ts';

export interface WebhookSenderOptions {
  readonly name: string;
  /** May hold a token in its path, as Slack's does: a credential. */
  readonly url: Secret;
  /** Standard Webhooks: `whsec_` and base64, or the bare bytes. */
  readonly signingSecret?: Secret | undefined;
  /** `json`: all there is; `text`: `{"text": ...}`, as Slack, Mattermost and Google Chat take it. */
  readonly format: 'json' | 'text';
  readonly minSeverity: AlertSeverity;
  readonly merchant: string;
}

/**
 * Notices as HTTP posts, signed by the rules of Standard Webhooks; the id is the same for every try, so that a receiver can
 * tell repeats.
 */
export class WebhookSender implements NoticeSender {
  readonly #options: WebhookSenderOptions;

  constructor(options: WebhookSenderOptions) {
    this.#options = options;
  }

  get name(): string {
    return this.#options.name;
  }

  get minSeverity(): AlertSeverity {
    return this.#options.minSeverity;
  }

  async send(notice: AlertNotice, signal: AbortSignal): Promise<void> {
    const { url, merchant } = this.#options;
    const body = JSON.stringify(
      this.#options.format === 'text' ? asText(notice, merchant) : asJson(notice, merchant),
    );
    const response = await fetch(url.reveal(), {
      method: 'POST',
      body,
      headers: { 'content-type': 'application/json', ...this.#signature(notice, body) },
      // A receiver that moved is a changed configuration; a redirect may lead anywhere.
      redirect: 'error',
      signal,
    }).catch(reasonOf);
    if (typeof response === 'string') throw new Error(`the receiver cannot be reached (${response})`);
    await response.body?.cancel();
    if (!response.ok) throw new Error(`the receiver answers ${response.status}`);
  }

  #signature(notice: AlertNotice, body: string): Readonly<Record<string, string>> {
    const id = `${notice.id}/${notice.openedAtMs}/${notice.number}`.replaceAll(/[^\x21-\x7e]/g, '_');
    const { signingSecret } = this.#options;
    return webhookHeaders(
      { id, body },
      signingSecret === undefined ? [] : [anyKey(signingSecret)],
      Date.now(),
    );
  }
}

function asJson({ kind, alert, openedAtMs, times }: AlertNotice, merchant: string): object {
  const { rule, key, severity, text, facts = {} } = alert;
  return {
    type: `alert.${kind}`,
    timestamp: new Date().toISOString(),
    data: { merchant, rule, key, severity, text, facts, openedAt: new Date(openedAtMs).toISOString(), times },
  };
}

function asText(notice: AlertNotice, merchant: string): object {
  return { text: `${merchant} ${headline(notice)}: ${notice.alert.text}` };
}

/** The message of a failed fetch names the address, and the address may be the credential. */
function reasonOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : undefined;
  return cause !== undefined && 'code' in cause ? String(cause.code) : 'no connection';
}
