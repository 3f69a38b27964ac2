import { createTransport, type Transporter } from 'nodemailer';
import type { AlertSeverity } from '../../domain/alert-rule.ts';
import type { Secret } from '../../domain/secret.ts';
import { type AlertNotice, headline, type NoticeSender } from './alert.ts';

export interface MailOptions {
  readonly host: string;
  readonly port: number;
  /** `none` is for a relay on this machine only; the configuration refuses it elsewhere. */
  readonly security: 'tls' | 'starttls' | 'none';
  readonly user?: string | undefined;
  readonly password?: Secret | undefined;
  readonly from: string;
  readonly to: readonly string[];
}

export interface Mail {
  readonly subject: string;
  readonly text: string;
  readonly html?: string | undefined;
  /** Others than the configured ones. */
  readonly to?: readonly string[] | undefined;
  readonly attachments?:
    | readonly {
        readonly filename: string;
        readonly content: string | Buffer;
        readonly contentType: string;
      }[]
    | undefined;
}

const maxAttachmentBytes = 10 * 1024 * 1024;
const timeoutMs = 10_000;

/** Mail to the merchant's people: alerts, reports. One connection per mail; they are few. */
export class Mailer {
  readonly #options: MailOptions;
  readonly #transport: Transporter;

  constructor(options: MailOptions) {
    this.#options = options;
    const { host, port, security, user, password } = options;
    this.#transport = createTransport({
      host,
      port,
      secure: security === 'tls',
      requireTLS: security === 'starttls',
      ignoreTLS: security === 'none',
      auth: user === undefined ? undefined : { user, pass: password?.reveal() ?? '' },
      connectionTimeout: timeoutMs,
      greetingTimeout: timeoutMs,
      socketTimeout: timeoutMs,
      // Nothing of a mail is ever read from a file or an address.
      disableFileAccess: true,
      disableUrlAccess: true,
    });
  }

  /** Throws when the server did not take it; the message holds no credential. */
  async send({ subject, text, html, to, attachments = [] }: Mail): Promise<void> {
    const bytes = attachments.reduce((sum, { content }) => sum + Buffer.byteLength(content), 0);
    if (bytes > maxAttachmentBytes)
      throw new Error(`the attachments are larger than ${maxAttachmentBytes} bytes`);
    const sending = this.#transport.sendMail({
      from: this.#options.from,
      to: [...(to ?? this.#options.to)],
      subject: subject.replaceAll(/\p{Cc}+/gu, ' ').slice(0, 200),
      text,
      html,
      attachments: attachments.map((attachment) => ({ ...attachment })),
      headers: { 'auto-submitted': 'auto-generated' },
    });
    const failure = await sending.then(() => undefined, reasonOf);
    if (failure !== undefined) throw new Error(`the mail server did not take it (${failure})`);
  }

  close(): void {
    this.#transport.close();
  }
}

export class MailNoticeSender implements NoticeSender {
  readonly name = 'mail';
  readonly minSeverity: AlertSeverity;
  readonly #mailer: Mailer;
  readonly #merchant: string;

  constructor(mailer: Mailer, minSeverity: AlertSeverity, merchant: string) {
    this.#mailer = mailer;
    this.minSeverity = minSeverity;
    this.#merchant = merchant;
  }

  async send(notice: AlertNotice): Promise<void> {
    const { alert, openedAtMs, times } = notice;
    const facts = Object.entries(alert.facts ?? {}).map(([name, value]) => `  ${name}: ${String(value)}`);
    const since = `since ${new Date(openedAtMs).toISOString()}, seen ${times} times`;
    await this.#mailer.send({
      subject: `stockmesh ${this.#merchant}: ${headline(notice)}`,
      text: [alert.text, '', ...facts, since].join('\n'),
    });
  }
}

/** Never the server's own words: it may quote what it was sent. */
function reasonOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
  return error instanceof Error && 'responseCode' in error ? `${code} ${String(error.responseCode)}` : code;
}
