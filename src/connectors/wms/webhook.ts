import { createHash, timingSafeEqual } from 'node:crypto';
import type { ParsedDelivery, WebhookHeaders, WebhookVerdict } from '../connector.ts';
import { type PlatformCount, everyItem } from '../counts.ts';
import type { ParkedRow } from '../parked-row.ts';
import type { Clock } from '../ports.ts';
import { type JsonValue, parseRawJson } from '../raw-json.ts';
import { headerOf, isSignedBy } from '../webhook-signature.ts';
import { readMovements } from './changes.ts';
import { CountMapper, idOf } from './count-rows.ts';
import { compilePath, selectAll, selectOne } from './json-path.ts';
import { MovementMapper } from './movement-rows.ts';
import type { CountMapping, WebhookSignature, WebhookSource } from './options.ts';

const defaultToleranceMs = 300_000;
/** More rows than any one event changes. */
const maxRows = 10_000;

const nothing: ParsedDelivery = { orders: [], orderHints: [], levelHints: [], listingHints: [], parked: [] };

/** Deliveries of a declared source: proves them over their raw bytes, then reads what they tell. */
export class WmsWebhooks {
  readonly #source: WebhookSource;
  readonly #clock: Clock;
  #secrets: readonly string[];

  constructor(source: WebhookSource, secrets: readonly string[], clock: Clock) {
    this.#source = source;
    this.#secrets = secrets;
    this.#clock = clock;
  }

  /** A secret that the platform made for a subscription of ours. */
  addSecret(secret: string): void {
    if (!this.#secrets.includes(secret)) this.#secrets = [...this.#secrets, secret].slice(-8);
  }

  verify(raw: Uint8Array, headers: WebhookHeaders): WebhookVerdict {
    const problem = this.#signatureProblem(this.#source.signature, raw, headers);
    if (problem !== undefined) return { kind: 'forged', reason: problem };
    const parsed = parseRawJson(raw);
    if (parsed.kind === 'bad') return { kind: 'malformed', reason: parsed.reason };
    const topic = this.#topicOf(parsed.value, headers);
    if (topic === undefined) return { kind: 'malformed', reason: 'there is no topic' };
    return { kind: 'genuine', deliveryId: `${topic}|${this.#idOf(raw, parsed.value, headers)}`, topic };
  }

  parse(raw: Uint8Array, headers: WebhookHeaders): ParsedDelivery {
    const parsed = parseRawJson(raw);
    const body: JsonValue = parsed.kind === 'ok' ? parsed.value : null;
    const topic = this.#topicOf(body, headers) ?? '';
    const isOurs = Object.hasOwn(this.#source.topics, topic);
    const rule = isOurs ? this.#source.topics[topic] : undefined;
    if (parsed.kind === 'bad') return { ...nothing, parked: [parkedDelivery(topic, parsed.reason)] };
    if (rule === undefined)
      return { ...nothing, parked: [parkedDelivery(topic, 'the topic is not one of ours')] };
    switch (rule.kind) {
      case 'ignore':
        return nothing;
      case 'hint': {
        const items = (rule.itemIds ?? []).flatMap((path) => idsAt(body, path));
        // Whatever changed, somebody has to look: without a name, at everything.
        return { ...nothing, levelHints: items.length > 0 ? items : [everyItem] };
      }
      case 'movements': {
        const rows = selectAll(body, compilePath(rule.rows)).slice(0, maxRows);
        return { ...nothing, ...pick(readMovements(rows, new MovementMapper(rule.map))) };
      }
      case 'counts':
        return this.#counts(body, rule.rows, rule.map);
    }
  }

  /**
   * A figure without a moment or version may be an old one, sent again: it only says which item to read. So does one that
   * is a part of a sum.
   */
  #counts(body: JsonValue, path: string, map: CountMapping): ParsedDelivery {
    const mapper = new CountMapper(map);
    const counts: PlatformCount[] = [];
    const hints = new Set<string>();
    const parked: ParkedRow[] = [];
    for (const item of selectAll(body, compilePath(path)).slice(0, maxRows)) {
      for (const mapped of mapper.map(item, { askedAtMs: this.#clock.nowMs() })) {
        if (mapped.kind === 'skipped') continue;
        if (mapped.kind === 'bad') {
          if (mapped.itemId !== undefined) hints.add(mapped.itemId);
          else parked.push(mapped.row);
        } else if (mapped.row.isDated && map.duplicates !== 'sum') {
          const { sku, itemId, locationId, onHand, asOfMs, version } = mapped.row;
          counts.push({ sku, itemId, locationId, onHand, asOfMs, version });
        } else hints.add(mapped.row.itemId);
      }
    }
    return { ...nothing, counts, levelHints: [...hints], parked };
  }

  #signatureProblem(rule: WebhookSignature, raw: Uint8Array, headers: WebhookHeaders): string | undefined {
    switch (rule.kind) {
      case 'token': {
        const given = headerOf(headers, rule.header.toLowerCase());
        const isOurs = this.#secrets.some((secret) => isSameText(`${rule.prefix ?? ''}${secret}`, given));
        return isOurs ? undefined : 'the token is missing or wrong';
      }
      case 'basic': {
        const given = headerOf(headers, 'authorization');
        const isOurs = this.#secrets.some((secret) => {
          const pair = Buffer.from(`${rule.username}:${secret}`).toString('base64');
          return isSameText(`Basic ${pair}`, given);
        });
        return isOurs ? undefined : 'user or password are missing or wrong';
      }
      case 'standard-webhooks':
        return this.#standardProblem(rule.toleranceMs, raw, headers);
      case 'hmac': {
        const signature = headerOf(headers, rule.header.toLowerCase());
        if (signature === undefined) return 'there is no signature';
        const stamp =
          rule.timestampHeader === undefined ? '' : headerOf(headers, rule.timestampHeader.toLowerCase());
        const id = rule.idHeader === undefined ? '' : headerOf(headers, rule.idHeader.toLowerCase());
        if (stamp === undefined || id === undefined) return 'a signed header is missing';
        if (rule.timestampHeader !== undefined && !this.#isRecent(stamp, rule.toleranceMs)) {
          return 'the timestamp is too far from now';
        }
        const parts = { ts: stamp, id, appKey: rule.appKey ?? '', app_key: rule.appKey ?? '' };
        const scheme = {
          algorithm: rule.algorithm,
          encoding: rule.encoding,
          prefix: rule.prefix,
          template: rule.signed.replace('{app_key}', '{appKey}'),
        };
        const isGenuine = isSignedBy(scheme, this.#secrets, { raw, signature, parts });
        return isGenuine ? undefined : 'the signature does not fit the body';
      }
    }
  }

  /** https://www.standardwebhooks.com: several signatures may stand side by side while a secret is replaced. */
  #standardProblem(
    toleranceMs: number | undefined,
    raw: Uint8Array,
    headers: WebhookHeaders,
  ): string | undefined {
    const id = headerOf(headers, 'webhook-id');
    const stamp = headerOf(headers, 'webhook-timestamp', 32);
    const stated = headerOf(headers, 'webhook-signature', 4_096);
    if (id === undefined || stamp === undefined || stated === undefined) return 'there is no signature';
    if (!this.#isRecent(stamp, toleranceMs)) return 'the timestamp is too far from now';
    const scheme = { algorithm: 'sha256', encoding: 'base64', template: '{id}.{ts}.{body}' } as const;
    const keys = this.#secrets.map((secret) => Buffer.from(secret.replace(/^whsec_/, ''), 'base64'));
    const parts = { id, ts: stamp };
    const isGenuine = stated
      .split(' ')
      .slice(0, 8)
      .filter((signature) => signature.startsWith('v1,'))
      .some((signature) => isSignedBy(scheme, keys, { raw, signature: signature.slice(3), parts }));
    return isGenuine ? undefined : 'the signature does not fit the body';
  }

  #isRecent(stamp: string, toleranceMs = defaultToleranceMs): boolean {
    if (!/^\d{9,16}$/.test(stamp)) return false;
    // Seconds until the year 5138.
    const ms = stamp.length > 11 ? Number(stamp) : Number(stamp) * 1_000;
    return Math.abs(this.#clock.nowMs() - ms) <= toleranceMs;
  }

  #topicOf(body: JsonValue, headers: WebhookHeaders): string | undefined {
    const { topic } = this.#source;
    if ('constant' in topic) return topic.constant;
    if ('header' in topic) return headerOf(headers, topic.header.toLowerCase(), 128);
    const stated = selectOne(body, compilePath(topic.path));
    const text = idOf(
      stated === undefined && topic.otherwise !== undefined
        ? selectOne(body, compilePath(topic.otherwise))
        : stated,
    );
    return text !== undefined && text.length <= 128 ? text : undefined;
  }

  #idOf(raw: Uint8Array, body: JsonValue, headers: WebhookHeaders): string {
    const { deliveryId } = this.#source;
    const stated =
      deliveryId === undefined
        ? undefined
        : 'header' in deliveryId
          ? headerOf(headers, deliveryId.header.toLowerCase(), 128)
          : idOf(selectOne(body, compilePath(deliveryId.path)));
    return stated ?? createHash('sha256').update(raw).digest('hex');
  }
}

function idsAt(body: JsonValue, path: string): readonly string[] {
  const found = selectAll(body, compilePath(path)).slice(0, maxRows);
  return [...new Set(found.map((value) => idOf(value)).filter((value) => value !== undefined))];
}

function pick({ movements, parked }: Pick<ParsedDelivery, 'movements' | 'parked'>) {
  return { movements, parked };
}

function parkedDelivery(topic: string, reason: string): ParkedRow {
  return { what: 'delivery', reference: `topic:${topic}`.slice(0, 255), reason, content: '{}' };
}

function isSameText(expected: string, given: string | undefined): boolean {
  if (given === undefined) return false;
  const hash = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(hash(expected), hash(given));
}
