/**
 * Deliveries that are fetched instead of pushed (a queue, a directory). The source knows its transport; durability is the
 * caller's: `accept` resolves only when the delivery is where no crash can lose it, and only then does the source tell the
 * other side that it may forget it. Repeats are normal, so the caller recognises a delivery by its id.
 */
export interface InboundDelivery {
  readonly deliveryId: string;
  readonly topic: string;
  /** What the connector's `parseWebhook` reads, as it was received. */
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
}

export type AcceptInbound = (delivery: InboundDelivery) => Promise<void>;

export interface InboundSource {
  /** Begins to fetch. Failures of the other side are waited out here, never thrown. */
  start(accept: AcceptInbound): void;
  /** Takes no more; resolves when what is in hand is accepted or left for a later run. */
  close(): Promise<void>;
  readonly health: InboundHealth;
}

export type InboundHealth =
  | { readonly kind: 'idle' }
  | { readonly kind: 'ok'; readonly lastAnswerAtMs: number }
  | { readonly kind: 'failing'; readonly reason: string; readonly failures: number };
