import { parentPort } from 'node:worker_threads';
import type { FastifyInstance } from 'fastify';
import { readEnvironment } from '../../config/environment.ts';
import type { ParsedDelivery, WebhookHeaders } from '../../connectors/connector.ts';
import { shopifyDoorbells } from '../../connectors/shopify/doorbells.ts';
import { StockmeshError } from '../../domain/errors.ts';
import { closeListener, listenOn } from '../../http/listener.ts';
import { createPublicServer, type DeliveryAnswer, type RawDelivery } from '../../http/public-server.ts';
import { levelNotice } from '../../mesh/level-notice.ts';
import { armFailpoints } from '../../telemetry/failpoint.ts';
import {
  addressOf,
  type FromThread,
  type ListenWish,
  type OpenAddresses,
  type ToThread,
} from './messages.ts';
import { NoteBox } from './note-box.ts';

/** The thread of the public listener; what it is for, and its states, are told at `WebhookThread`. */
if (parentPort === null) throw new Error('this file is the entry of a thread');
const port = parentPort;
const environment = readEnvironment();
armFailpoints(environment.failpoint, environment.isProduction);

const tell = (message: FromThread, transfer: readonly ArrayBuffer[] = []): void =>
  port.postMessage(message, transfer);
const notes = new NoteBox((some) => tell({ kind: 'notes', ...some }));
const ears = new Map<string, (raw: Uint8Array, headers: WebhookHeaders) => ParsedDelivery | undefined>();
const waiting = new Map<number, (answer: DeliveryAnswer) => void>();
let open: OpenAddresses = new Map();
let app: FastifyInstance | undefined;
let lastId = 0;

port.on('message', (message: ToThread) => {
  switch (message.kind) {
    case 'listen':
      void listen(message.wish);
      return;
    case 'open':
      open = message.open;
      return;
    case 'answer':
      waiting.get(message.id)?.(message.answer);
      waiting.delete(message.id);
      return;
    case 'noted':
      notes.noted();
      return;
    case 'close':
      void close(message.graceMs);
  }
});

async function listen({ host, port: tcpPort, limits, doorbells, open: first }: ListenWish): Promise<void> {
  open = first;
  for (const source of doorbells) ears.set(source.channel, shopifyDoorbells(source));
  app = createPublicServer({
    limits,
    find: (platform, channelId) => open.get(addressOf(platform, channelId)),
    hear,
    receive,
    refused: (channel, outcome, reason) => notes.refused(channel, outcome, reason),
    answered: (tookMs) => notes.answered(tookMs),
    log: { error: (what: unknown) => tell({ kind: 'defect', ...defectOf(what) }) },
  });
  try {
    tell({ kind: 'listening', ...(await listenOn(app, { host, port: tcpPort })) });
  } catch (error) {
    if (!(error instanceof StockmeshError) || error.code !== 'LISTEN_FAILED') throw error;
    const { address, reason } = error.fields;
    tell({ kind: 'failed', address: String(address), reason: String(reason) });
  }
}

async function close(graceMs: number): Promise<void> {
  if (app !== undefined) await closeListener(app, graceMs);
  tell({ kind: 'closed' });
}

function hear({ channel, raw, headers }: RawDelivery): boolean {
  const parsed = ears.get(channel)?.(raw, headers);
  const notice = parsed === undefined ? undefined : levelNotice(parsed);
  return notice !== undefined && notes.ring({ channel, notice });
}

function receive({ raw, ...delivery }: RawDelivery): Promise<DeliveryAnswer> {
  const id = ++lastId;
  // A small body is a piece of a buffer that others use too: only a copy can change hands.
  const copy = new Uint8Array(raw);
  return new Promise((resolve) => {
    waiting.set(id, resolve);
    const headers = { ...delivery.headers };
    tell({ kind: 'delivery', id, ...delivery, headers, raw: copy }, [copy.buffer]);
  });
}

/** An error that goes to another thread as it is loses its class, and may hold what cannot go. */
function defectOf(what: unknown): { readonly requestId: string; readonly what: string } {
  const { err, requestId = '' } = what as { readonly err?: unknown; readonly requestId?: string };
  return { requestId, what: err instanceof Error ? (err.stack ?? err.message) : String(err) };
}
