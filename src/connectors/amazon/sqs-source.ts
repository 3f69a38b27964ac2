import { setTimeout as delay } from 'node:timers/promises';
import {
  ChangeMessageVisibilityCommand,
  DeleteMessageBatchCommand,
  type Message,
  ReceiveMessageCommand,
  SQSClient,
} from '@aws-sdk/client-sqs';
import type { AcceptInbound, InboundDelivery, InboundHealth, InboundSource } from '../inbound-source.ts';
import type { Clock, ConnectorLog } from '../ports.ts';
import { readEnvelope } from './notification.ts';

export interface AwsCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string | undefined;
}

export interface SqsSourceOptions {
  readonly queueUrl: string;
  readonly region: string;
  /** Where requests go instead of AWS (an emulator, a VPC endpoint). */
  readonly endpoint?: string | undefined;
  /** Absent: what the machine provides (role, profile, environment). */
  readonly credentials?: AwsCredentials | undefined;
  readonly clock: Clock;
  readonly log: ConnectorLog;
  /** Long poll; 20 seconds is the most that SQS allows. */
  readonly waitS?: number | undefined;
  /** How long a received message stays hidden from others; extended while it is being accepted. */
  readonly visibilityS?: number | undefined;
  readonly maxBackOffMs?: number | undefined;
}

/** The most that one receive gives. */
const maxMessages = 10;
/** A message that is not accepted comes again after this, longer each time it was received. */
const firstRetryS = 2;
const maxRetryS = 300;
/** The longest that an accepted message waits for others to be deleted with it. */
const longestDeleteWaitMs = 1_000;
/** SQS ends any claim on a message after twelve hours. */
const maxExtensions = 40;

/**
 * Notifications from an SQS queue.
 *
 *   idle --start--> receiving --messages--> accepting --accepted--> kept for deletion --ten, or a moment later--> deleted
 *                                                     --refused--> hidden a while, then received again
 *   receiving --AWS fails--> waiting, longer each time --> receiving
 *   any --close--> closed: what was not accepted comes again after its visibility
 *
 * A message is deleted only after `accept` resolved, that is when it is durable on our side. SQS delivers at least once and
 * in any order; a message whose delete was lost comes again and is recognised by its id. What cannot be read is accepted
 * too, so that it ends up parked instead of circling in the queue.
 *
 * Deletes are gathered while the next messages are received already: at a few messages a second each came alone, and its
 * delete was half of the requests and stood between it and the next one.
 */
export class SqsSource implements InboundSource {
  readonly #options: SqsSourceOptions;
  readonly #client: SQSClient;
  readonly #closing = new AbortController();
  readonly #waitS: number;
  readonly #visibilityS: number;
  #health: InboundHealth = { kind: 'idle' };
  #loop: Promise<void> | undefined;
  #failures = 0;
  /** Receipts of accepted messages that are still in the queue. */
  #accepted: string[] = [];
  #deleteTimer: NodeJS.Timeout | undefined;
  #deleted: Promise<void> = Promise.resolve();

  constructor(options: SqsSourceOptions) {
    this.#options = options;
    this.#waitS = options.waitS ?? 20;
    this.#visibilityS = options.visibilityS ?? 60;
    const { region, endpoint, credentials } = options;
    this.#client = new SQSClient({
      region,
      maxAttempts: 2,
      requestHandler: { connectionTimeout: 5_000, requestTimeout: this.#waitS * 1_000 + 10_000 },
      ...(endpoint === undefined ? {} : { endpoint }),
      ...(credentials === undefined ? {} : { credentials: identityOf(credentials) }),
    });
  }

  get health(): InboundHealth {
    return this.#health;
  }

  start(accept: AcceptInbound): void {
    this.#loop ??= this.#run(accept);
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#loop;
    this.#deleteAccepted();
    await this.#deleted;
    this.#client.destroy();
  }

  async #run(accept: AcceptInbound): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      try {
        const messages = await this.#receive();
        this.#failures = 0;
        this.#health = { kind: 'ok', lastAnswerAtMs: this.#options.clock.nowMs() };
        if (messages.length > 0) await this.#handle(messages, accept);
      } catch (error) {
        if (signal.aborted) return;
        await this.#backOff(error);
      }
    }
  }

  async #receive(): Promise<readonly Message[]> {
    const answer = await this.#client.send(
      new ReceiveMessageCommand({
        QueueUrl: this.#options.queueUrl,
        MaxNumberOfMessages: maxMessages,
        WaitTimeSeconds: this.#waitS,
        VisibilityTimeout: this.#visibilityS,
        MessageSystemAttributeNames: ['ApproximateReceiveCount'],
        // The older name of the same: not every queue that speaks SQS knows the newer one.
        AttributeNames: ['All'],
      }),
      { abortSignal: this.#closing.signal },
    );
    return answer.Messages ?? [];
  }

  async #handle(messages: readonly Message[], accept: AcceptInbound): Promise<void> {
    await Promise.all(
      messages.map(async (message) => {
        if (await this.#take(message, accept)) this.#gather(message.ReceiptHandle ?? '');
      }),
    );
  }

  async #take(message: Message, accept: AcceptInbound): Promise<boolean> {
    const settled = new AbortController();
    const extending = this.#extend(message, settled.signal);
    try {
      await accept(deliveryOf(message));
      return true;
    } catch (error) {
      const reason = error instanceof Error ? error.message : 'unknown failure';
      this.#options.log.warn({ messageId: message.MessageId, reason }, 'a queue message comes again later');
      settled.abort();
      // One that is under way may arrive after the retry's, and would hide the message for its longer time.
      await extending;
      const times = Number(message.Attributes?.ApproximateReceiveCount ?? 1) || 1;
      await this.#hide(message, Math.min(maxRetryS, firstRetryS * 2 ** Math.min(times - 1, 20)));
      return false;
    } finally {
      settled.abort();
      await extending;
    }
  }

  /** While the ledger is slow the message must not show up at another daemon, or here a second time. */
  async #extend(message: Message, signal: AbortSignal): Promise<void> {
    const everyMs = (this.#visibilityS * 1_000) / 2;
    for (let count = 0; count < maxExtensions; count++) {
      await rest(everyMs, signal);
      if (signal.aborted) return;
      await this.#hide(message, this.#visibilityS);
    }
  }

  async #hide(message: Message, visibilityS: number): Promise<void> {
    const { queueUrl, log } = this.#options;
    try {
      await this.#client.send(
        new ChangeMessageVisibilityCommand({
          QueueUrl: queueUrl,
          ReceiptHandle: message.ReceiptHandle,
          VisibilityTimeout: visibilityS,
        }),
      );
    } catch (error) {
      // It then comes again sooner, which is harmless.
      log.debug({ messageId: message.MessageId, reason: nameOf(error) }, 'visibility not changed');
    }
  }

  #gather(receipt: string): void {
    this.#accepted.push(receipt);
    if (this.#accepted.length >= maxMessages) return this.#deleteAccepted();
    // Far within its visibility, at least half of which is left.
    const waitMs = Math.min(longestDeleteWaitMs, (this.#visibilityS * 1_000) / 10);
    this.#deleteTimer ??= setTimeout(() => this.#deleteAccepted(), waitMs);
  }

  /** In one request, whose entries are at most ten as those of a receive. */
  #deleteAccepted(): void {
    clearTimeout(this.#deleteTimer);
    this.#deleteTimer = undefined;
    const receipts = this.#accepted;
    this.#accepted = [];
    if (receipts.length > 0) this.#deleted = this.#deleted.then(() => this.#delete(receipts));
  }

  async #delete(receipts: readonly string[]): Promise<void> {
    const { queueUrl, log } = this.#options;
    const entries = receipts.map((receipt, index) => ({ Id: String(index), ReceiptHandle: receipt }));
    try {
      const answer = await this.#client.send(
        new DeleteMessageBatchCommand({ QueueUrl: queueUrl, Entries: entries }),
      );
      for (const failed of answer.Failed ?? [])
        log.warn({ code: failed.Code }, 'an accepted queue message was not deleted and comes again');
    } catch (error) {
      log.warn({ reason: nameOf(error) }, 'accepted queue messages were not deleted and come again');
    }
  }

  async #backOff(error: unknown): Promise<void> {
    this.#failures++;
    const { log, maxBackOffMs = 60_000 } = this.#options;
    const reason = nameOf(error);
    this.#health = { kind: 'failing', reason, failures: this.#failures };
    const waitMs =
      Math.min(maxBackOffMs, 500 * 2 ** Math.min(this.#failures, 10)) * (0.5 + Math.random() / 2);
    log.warn({ reason, failures: this.#failures, waitMs: Math.round(waitMs) }, 'the queue cannot be read');
    await rest(waitMs, this.#closing.signal);
  }
}

function identityOf({ accessKeyId, secretAccessKey, sessionToken }: AwsCredentials) {
  return { accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) };
}

function deliveryOf(message: Message): InboundDelivery {
  const body = (message.Body ?? '').toWellFormed();
  const reading = readEnvelope(Buffer.from(body));
  const headers = { 'content-type': 'application/json' };
  if (reading.kind === 'unreadable') {
    // Its own id: nothing in it can be trusted to be one.
    return { deliveryId: `sqs|${message.MessageId ?? ''}`, topic: 'unreadable', body, headers };
  }
  const { type, id } = reading.envelope;
  return { deliveryId: `${type}|${id}`, topic: type, body, headers };
}

/** Ends early, and quietly, when the signal says so. */
async function rest(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await delay(ms, undefined, { signal });
  } catch {
    // Aborted: the caller looks at the signal.
  }
}

/** AWS errors quote the request, and the chain of credentials names files: only the kind of failure is told. */
function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : 'unknown failure';
}
