import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import { SMTPServer } from 'smtp-server';
import { Webhook } from 'standardwebhooks';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Secret } from '../../../src/domain/secret.ts';
import type { Alert, AlertNotice, NoticeSender } from '../../../src/mesh/alerts/alert.ts';
import { AlertMetrics } from '../../../src/mesh/alerts/alert-metrics.ts';
import { AlertStore } from '../../../src/mesh/alerts/alert-store.ts';
import { Alerts, type AlertsOptions } from '../../../src/mesh/alerts/alerts.ts';
import { Mailer, MailNoticeSender } from '../../../src/mesh/alerts/mail-sender.ts';
import { WebhookSender } from '../../../src/mesh/alerts/webhook-sender.ts';
import { eventually } from '../../support/eventually.ts';
import { type LedgerParts, ledgerParts } from '../../support/ledger-parts.ts';
import { failOnLeakedConnections } from '../../support/redis-connections.ts';

failOnLeakedConnections();

const hourMs = 3_600_000;
const low: Alert = {
  rule: 'low-stock',
  key: 'A-1',
  severity: 'warning',
  text: '2 left',
  facts: { available: 2 },
};

let parts: LedgerParts;
let daemons: Alerts[];
let servers: (Server | SMTPServer)[];

beforeEach(() => {
  parts = ledgerParts();
  daemons = [];
  servers = [];
});
afterEach(async () => {
  await Promise.all(daemons.map((one) => one.close()));
  await Promise.all(servers.map((server) => new Promise<void>((resolve) => server.close(() => resolve()))));
  await parts.close();
});

/** A way to reach a person that can be broken. */
class Inbox implements NoticeSender {
  readonly name: string;
  readonly minSeverity;
  readonly got: AlertNotice[] = [];
  refusals = 0;
  tried = 0;

  constructor(name = 'inbox', minSeverity: 'info' | 'critical' = 'info') {
    this.name = name;
    this.minSeverity = minSeverity;
  }

  async send(notice: AlertNotice): Promise<void> {
    this.tried++;
    if (this.refusals > 0) {
      this.refusals--;
      throw new Error('not today');
    }
    this.got.push(notice);
  }

  get told(): readonly string[] {
    return this.got.map(({ kind, alert }) => `${kind} ${alert.rule} ${alert.key}`);
  }
}

function store(): AlertStore {
  return new AlertStore(parts.caller, parts.redis, `${parts.keys.prefix}alerts`);
}

function daemon(senders: readonly NoticeSender[], more: Partial<AlertsOptions> = {}): Alerts {
  const made = new Alerts({
    store: store(),
    senders,
    cooldownMs: hourMs,
    metrics: new AlertMetrics(new Registry()),
    log: pino({ level: 'silent' }),
    settings: { everyMs: 20, firstRetryMs: 10, maxRetryMs: 20, maxAttempts: 3, withoutStoreMs: 0 },
    ...more,
  });
  made.start();
  daemons.push(made);
  return made;
}

/** Until nothing is queued and nothing is due any more: what was not told by then is not told. */
async function quiet(): Promise<void> {
  for (const one of daemons) await one.close();
  daemons = [];
}

test('one notice however many daemons see it and however often; then again only after the cooldown', async () => {
  const inbox = new Inbox();
  const [a, b] = [daemon([inbox]), daemon([inbox])];
  for (let time = 0; time < 20; time++) {
    a.raise(low);
    b.raise(low);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  // What is raised while the same is being recorded is counted with it: on a slow machine all of the above may be one.
  await eventually(async () => {
    a.raise(low);
    expect((await a.list())[0]?.times).toBeGreaterThan(2);
  });
  await eventually(() => expect(inbox.told).toEqual(['raised low-stock A-1']));
  await parts.stepClock(hourMs + 1_000);
  a.raise(low);
  await eventually(() => expect(inbox.told).toEqual(['raised low-stock A-1', 'reminded low-stock A-1']));
  await quiet();
  expect(inbox.got).toHaveLength(2);
});

test('worse is told at once, over is told once, and what comes and goes is not told each time', async () => {
  const inbox = new Inbox();
  const a = daemon([inbox]);
  a.raise(low);
  await eventually(() => expect(inbox.got).toHaveLength(1));
  a.raise({ ...low, severity: 'critical', text: 'none left' });
  await eventually(() => expect(inbox.got).toHaveLength(2));
  a.resolve('low-stock', 'A-1');
  a.resolve('low-stock', 'never-raised');
  await eventually(() => expect(inbox.told.at(-1)).toBe('resolved low-stock A-1'));
  for (let time = 0; time < 3; time++) {
    a.raise(low);
    await eventually(async () => expect((await a.list())[0]?.state).toBe('open'));
    a.resolve('low-stock', 'A-1');
    await eventually(async () => expect((await a.list())[0]?.state).toBe('over'));
  }
  await quiet();
  expect(inbox.got).toHaveLength(3);
});

test('a notice that does not get through is tried again, only where it failed, and given up in the end', async () => {
  const [works, fails, never] = [new Inbox('works'), new Inbox('fails'), new Inbox('never')];
  fails.refusals = 1;
  never.refusals = 1_000;
  const a = daemon([works, fails, never]);
  a.raise(low);
  // The clock of the scripts stands still between their calls: the pauses pass by stepping it.
  await eventually(async () => {
    await parts.stepClock(50);
    expect([works.got.length, fails.got.length, never.tried]).toEqual([1, 1, 3]);
  });
  expect(await parts.redis.zcard(`${parts.keys.prefix}alertsDue`)).toBe(0);
});

test('a daemon that dies with a notice in hand leaves it to the next', async () => {
  const dead = store();
  await dead.raise(low, hourMs, ['inbox']);
  expect(await dead.claim(5_000, hourMs)).toHaveLength(1);
  const inbox = new Inbox();
  daemon([inbox]);
  await parts.stepClock(6_000);
  await eventually(() => expect(inbox.told).toEqual(['raised low-stock A-1']));
});

test('who wants only critical ones gets no others; a rule that is off is raised nowhere', async () => {
  const [all, few] = [new Inbox('all'), new Inbox('few', 'critical')];
  const a = daemon([all, few], { off: new Set(['drift']) });
  a.raise({ rule: 'drift', key: 'shop-a', severity: 'critical', text: 'x' });
  a.raise(low);
  a.raise({ rule: 'oversell', key: '#1', severity: 'critical', text: 'one too many' });
  await eventually(() => expect(few.told).toEqual(['raised oversell #1']));
  await eventually(() => expect(all.got).toHaveLength(2));
  expect((await a.list()).map(({ rule, state }) => [rule, state])).toEqual([
    ['low-stock', 'open'],
    ['oversell', 'event'],
  ]);
});

test('with the ledger away only what is critical is sent, once', async () => {
  const inbox = new Inbox();
  const away = async (): Promise<never> => {
    throw new Error('no ledger');
  };
  const a = daemon([inbox], {
    store: { raise: away, resolve: away, claim: away, told: away, list: async () => [] },
  });
  a.raise(low);
  a.raise({ rule: 'ledger-halted', key: 'ledger', severity: 'critical', text: 'entries are missing' });
  await eventually(() => expect(inbox.told).toEqual(['raised ledger-halted ledger']));
  await quiet();
  expect(inbox.got).toHaveLength(1);
});

async function receiver(
  answer: (tries: number) => number,
): Promise<{ url: string; got: { headers: IncomingHttpHeaders; body: string }[] }> {
  const got: { headers: IncomingHttpHeaders; body: string }[] = [];
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      got.push({ headers: request.headers, body });
      response.writeHead(answer(got.length), { location: 'http://127.0.0.1:1/' }).end('thanks');
    });
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook?token=t0p`, got };
}

const notice: AlertNotice = {
  id: 'low-stock:Ä-1',
  number: 3,
  kind: 'raised',
  alert: low,
  openedAtMs: 1_700_000_000_000,
  times: 1,
};

function webhookTo(url: string, format: 'json' | 'text' = 'json'): WebhookSender {
  return new WebhookSender({
    name: 'hook',
    url: new Secret(url),
    signingSecret: new Secret('whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'),
    format,
    minSeverity: 'info',
    merchant: 'acme',
  });
}

test('a webhook is signed as Standard Webhooks has it, with one id for all its tries', async () => {
  const { url, got } = await receiver((tries) => (tries === 1 ? 503 : 204));
  const { signal } = new AbortController();
  await expect(webhookTo(url).send(notice, signal)).rejects.toThrow('answers 503');
  await webhookTo(url).send(notice, signal);
  const verifier = new Webhook('whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw');
  const told = got.map(({ headers, body }) => verifier.verify(body, headers as Record<string, string>));
  expect(told[0]).toMatchObject({
    type: 'alert.raised',
    data: { rule: 'low-stock', facts: { available: 2 } },
  });
  expect(got[0]?.headers['webhook-id']).toBe(got[1]?.headers['webhook-id']);
  await webhookTo(url, 'text').send(notice, signal);
  expect(JSON.parse(got[2]!.body)).toEqual({ text: 'acme [warning] low-stock A-1: 2 left' });
});

test('a redirect is not followed, and no failure names the address', async () => {
  const { url } = await receiver(() => 307);
  const { signal } = new AbortController();
  for (const target of [url, 'http://127.0.0.1:1/t0p']) {
    const failure = await webhookTo(target).send(notice, signal).then(String, String);
    expect(failure).toContain('cannot be reached');
    expect(failure).not.toContain('t0p');
  }
});

test('mail arrives; a server that refuses it is a failure without a credential in it', async () => {
  const mails: string[] = [];
  const server = new SMTPServer({
    disabledCommands: ['STARTTLS'],
    allowInsecureAuth: true,
    onAuth: ({ password }, _session, done) => {
      done(password === 'right-one' ? null : new Error(`wrong password ${String(password)}`), { user: 'x' });
    },
    onData: (stream, _session, done) => {
      let text = '';
      stream.on('data', (chunk: Buffer) => (text += chunk.toString()));
      stream.on('end', () => {
        mails.push(text);
        done();
      });
    },
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()));
  const { port } = server.server.address() as AddressInfo;
  const mailer = (password: string): Mailer =>
    new Mailer({
      host: '127.0.0.1',
      port,
      security: 'none',
      user: 'x',
      password: new Secret(password),
      from: 'stockmesh@acme.example',
      to: ['ops@acme.example'],
    });
  const refused = await mailer('canary-wrong').send({ subject: 's', text: 't' }).then(String, String);
  expect(refused).toContain('EAUTH');
  expect(refused).not.toContain('canary-wrong');
  const right = mailer('right-one');
  await new MailNoticeSender(right, 'info', 'acme').send(notice);
  await right.send({
    subject: 'report\r\nBcc: everyone@example.org',
    text: 'see the file',
    attachments: [{ filename: 'drift.csv', content: 'sku,units', contentType: 'text/csv' }],
  });
  expect(mails[0]).toContain('Subject: stockmesh acme: [warning] low-stock A-1');
  expect(mails[0]).toContain('available: 2');
  expect(mails[1]).toContain('filename=drift.csv');
  expect(mails[1]).not.toMatch(/^Bcc:/m);
  await expect(
    right.send({
      subject: 's',
      text: 't',
      attachments: [{ filename: 'x', content: Buffer.alloc(11_000_000), contentType: 'text/plain' }],
    }),
  ).rejects.toThrow('larger');
});
