import type { IncomingMessage, ServerResponse } from 'node:http';
import type { SandboxClock } from '../../shopify/clock.ts';
import { parseObject, readBody } from '../../shopify/http/body.ts';
import { type Queue, type QueueMessage, md5Of } from './queue.ts';

type Input = Readonly<Record<string, unknown>>;
type Handler = (input: Input) => Promise<Input> | Input;

class SqsError extends Error {
  readonly type: string;

  constructor(type: string, message: string) {
    super(message);
    this.type = type;
  }
}

/** SQS in the JSON protocol (`x-amz-json-1.0`), as far as a consumer and a producer of one account need it. */
export class SqsEndpoint {
  readonly queues = new Map<string, Queue>();
  /** Access key that requests must be signed with; null: any. Signatures themselves are not checked. */
  accessKeyId: string | null = null;
  /** Answers every request with this error until it is null again. */
  outage: string | null = null;
  readonly #clock: SandboxClock;
  readonly #handlers: Readonly<Record<string, Handler>>;

  constructor(clock: SandboxClock) {
    this.#clock = clock;
    this.#handlers = {
      SendMessage: (input) => this.#send(input),
      ReceiveMessage: (input) => this.#receive(input),
      DeleteMessage: (input) => {
        this.#queue(input).delete(String(input['ReceiptHandle']));
        return {};
      },
      DeleteMessageBatch: (input) => this.#deleteBatch(input),
      ChangeMessageVisibility: (input) => this.#changeVisibility(input),
      GetQueueAttributes: (input) => this.#attributes(input),
      GetQueueUrl: (input) => ({ QueueUrl: this.#byName(String(input['QueueName'])).url }),
      PurgeQueue: (input) => {
        const queue = this.#queue(input);
        for (const message of queue.receive(Number.POSITIVE_INFINITY, 0)) queue.delete(message.receipt);
        return {};
      },
    };
  }

  byArn(arn: string): Queue | undefined {
    return [...this.queues.values()].find((queue) => queue.arn === arn);
  }

  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await readBody(request);
    const action = String(request.headers['x-amz-target'] ?? '').replace(/^AmazonSQS\./, '');
    const input = body.kind === 'read' ? parseObject(body.text) : null;
    try {
      this.#authorise(request);
      const handler = this.#handlers[action];
      if (!handler || !input) throw new SqsError('InvalidAction', `no action ${action}`);
      answer(response, 200, await handler(input));
    } catch (error) {
      const type = error instanceof SqsError ? error.type : 'InternalFailure';
      const message = error instanceof Error ? error.message : String(error);
      answer(response, type === 'ServiceUnavailable' ? 503 : 400, {
        __type: `com.amazonaws.sqs#${type}`,
        message,
      });
    }
  }

  #authorise(request: IncomingMessage): void {
    if (this.outage !== null) throw new SqsError(this.outage, 'out of order');
    const given = request.headers.authorization ?? '';
    const key = /^AWS4-HMAC-SHA256 Credential=([^/]+)\//.exec(given)?.[1];
    if (key === undefined) throw new SqsError('MissingAuthenticationToken', 'the request is not signed');
    if (this.accessKeyId !== null && key !== this.accessKeyId)
      throw new SqsError('InvalidClientTokenId', 'the security token is invalid');
  }

  #queue(input: Input): Queue {
    return this.#byName(String(input['QueueUrl']).split('/').at(-1) ?? '');
  }

  #byName(name: string): Queue {
    const queue = this.queues.get(name);
    if (!queue) throw new SqsError('QueueDoesNotExist', 'The specified queue does not exist.');
    return queue;
  }

  #send(input: Input): Input {
    const body = String(input['MessageBody']);
    const message = this.#queue(input).send(body);
    return { MessageId: message.id, MD5OfMessageBody: md5Of(body) };
  }

  async #receive(input: Input): Promise<Input> {
    const queue = this.#queue(input);
    const max = Number(input['MaxNumberOfMessages'] ?? 1);
    const waitS = Number(input['WaitTimeSeconds'] ?? 0);
    if (max < 1 || max > 10 || waitS < 0 || waitS > 20)
      throw new SqsError('InvalidParameterValue', 'MaxNumberOfMessages 1 to 10, WaitTimeSeconds 0 to 20');
    const visibilityMs =
      input['VisibilityTimeout'] === undefined
        ? queue.visibilityMs
        : Number(input['VisibilityTimeout']) * 1_000;
    const messages = await queue.poll(max, visibilityMs, waitS * 1_000);
    return messages.length === 0 ? {} : { Messages: messages.map((message) => this.#shown(message)) };
  }

  #shown(message: QueueMessage): Input {
    return {
      MessageId: message.id,
      ReceiptHandle: message.receipt,
      Body: message.body,
      MD5OfBody: md5Of(message.body),
      Attributes: {
        ApproximateReceiveCount: String(message.receives),
        SentTimestamp: String(message.sentAt),
        ApproximateFirstReceiveTimestamp: String(this.#clock.now()),
      },
    };
  }

  #deleteBatch(input: Input): Input {
    const queue = this.#queue(input);
    const entries = Array.isArray(input['Entries']) ? (input['Entries'] as readonly Input[]) : [];
    if (entries.length === 0) throw new SqsError('EmptyBatchRequest', 'no entries');
    if (entries.length > 10) throw new SqsError('TooManyEntriesInBatchRequest', 'more than 10 entries');
    for (const entry of entries) queue.delete(String(entry['ReceiptHandle']));
    return { Successful: entries.map((entry) => ({ Id: entry['Id'] })), Failed: [] };
  }

  #changeVisibility(input: Input): Input {
    const seconds = Number(input['VisibilityTimeout']);
    if (!(seconds >= 0 && seconds <= 43_200))
      throw new SqsError('InvalidParameterValue', 'VisibilityTimeout 0 to 43200');
    if (!this.#queue(input).changeVisibility(String(input['ReceiptHandle']), seconds * 1_000))
      throw new SqsError('MessageNotInflight', 'the message is not in flight');
    return {};
  }

  #attributes(input: Input): Input {
    const queue = this.#queue(input);
    return { Attributes: { QueueArn: queue.arn, ApproximateNumberOfMessages: String(queue.depth) } };
  }
}

function answer(response: ServerResponse, status: number, body: Input): void {
  if (response.destroyed) return;
  const text = JSON.stringify(body);
  response.writeHead(status, {
    'Content-Type': 'application/x-amz-json-1.0',
    'Content-Length': Buffer.byteLength(text),
  });
  response.end(text);
}
