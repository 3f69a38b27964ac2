import { gzipSync } from 'node:zlib';
import type { SandboxClock } from '../shopify/clock.ts';
import type { SeededRandom } from '../shopify/random.ts';
import type { Documents } from './documents.ts';
import type { ListingShelf } from './listings.ts';
import type { Notifications } from './notifications.ts';
import { asRecord, judgePatches } from './patches.ts';
import type { Records } from './records.ts';
import type { SellerSettings } from './settings.ts';

export interface Feed {
  readonly feedId: string;
  readonly feedType: string;
  readonly marketplaceIds: readonly string[];
  readonly inputFeedDocumentId: string;
  readonly createdAt: number;
  status: 'IN_QUEUE' | 'IN_PROGRESS' | 'DONE' | 'FATAL' | 'CANCELLED';
  startedAt: number | null;
  endedAt: number | null;
  resultFeedDocumentId: string | null;
}

export interface FeedsParts {
  readonly sellerId: string;
  readonly shelf: ListingShelf;
  readonly documents: Documents;
  readonly notifications: Notifications;
  readonly records: Records;
  readonly clock: SandboxClock;
  readonly random: SeededRandom;
  readonly settings: SellerSettings;
}

const MAX_MESSAGES = 25_000;

/** Listings feeds, one after the other per seller: one that is stuck holds up all behind it. */
export class Feeds {
  readonly feeds = new Map<string, Feed>();
  readonly #parts: FeedsParts;
  readonly #queue: Feed[] = [];
  #isBusy = false;

  constructor(parts: FeedsParts) {
    this.#parts = parts;
  }

  create(feedType: string, marketplaceIds: readonly string[], inputFeedDocumentId: string): Feed {
    const feed: Feed = {
      feedId: String(50_000_000_000 + this.feeds.size + 1),
      feedType,
      marketplaceIds,
      inputFeedDocumentId,
      createdAt: this.#parts.clock.now(),
      status: 'IN_QUEUE',
      startedAt: null,
      endedAt: null,
      resultFeedDocumentId: null,
    };
    this.feeds.set(feed.feedId, feed);
    this.#queue.push(feed);
    this.#next();
    return feed;
  }

  #next(): void {
    const { clock, random, settings } = this.#parts;
    if (this.#isBusy) return;
    const feed = this.#queue.shift();
    if (!feed) return;
    this.#isBusy = true;
    clock.schedule(random.between(settings.feedQueueMs), () => {
      if (settings.feedFate === 'cancelled') {
        this.#end(feed, 'CANCELLED');
        return;
      }
      feed.status = 'IN_PROGRESS';
      feed.startedAt = clock.now();
      if (settings.feedFate === 'stuck') return;
      clock.schedule(random.between(settings.feedRunMs), () => this.#run(feed));
    });
  }

  #run(feed: Feed): void {
    const { documents, settings } = this.#parts;
    const body = documents.get(feed.inputFeedDocumentId)?.body;
    const messages = body ? messagesOf(body) : null;
    if (settings.feedFate === 'fatal' || messages === null || messages.length > MAX_MESSAGES) {
      this.#end(feed, 'FATAL');
      return;
    }
    const report = Buffer.from(JSON.stringify(this.#apply(feed, messages)));
    const packed = settings.gzip ? gzipSync(report) : report;
    feed.resultFeedDocumentId = documents.add('application/json', packed, settings.gzip).id;
    this.#end(feed, 'DONE');
  }

  #apply(feed: Feed, messages: readonly unknown[]): Record<string, unknown> {
    const { shelf, records, clock, sellerId } = this.#parts;
    const issues: Record<string, unknown>[] = [];
    let accepted = 0;
    for (const message of messages) {
      const { messageId, sku, operationType, patches } = asRecord(message);
      const verdict =
        operationType === 'PATCH' && Array.isArray(patches)
          ? judgePatches(shelf.listings.get(String(sku)), patches)
          : judgePatches(undefined, []);
      for (const violation of verdict.violations) records.violations.add({ at: clock.now(), ...violation });
      for (const { code, message: text, severity } of verdict.issues)
        issues.push({ messageId, sku, code, severity, message: text });
      if (verdict.issues.length > 0) continue;
      accepted += 1;
      for (const change of verdict.changes) shelf.accept(String(sku), change, 'feed');
    }
    return {
      header: { sellerId, version: '2.0', feedId: feed.feedId },
      issues,
      summary: {
        errors: issues.length,
        warnings: 0,
        messagesProcessed: messages.length,
        messagesAccepted: accepted,
        messagesInvalid: messages.length - accepted,
      },
    };
  }

  #end(feed: Feed, status: 'DONE' | 'FATAL' | 'CANCELLED'): void {
    const { clock, notifications, sellerId } = this.#parts;
    feed.status = status;
    feed.endedAt = clock.now();
    this.#isBusy = false;
    notifications.emit('FEED_PROCESSING_FINISHED', {
      feedProcessingFinishedNotification: {
        sellerId,
        accountId: `amzn1.merchant.o.${sellerId}`,
        feedId: feed.feedId,
        feedType: feed.feedType,
        processingStatus: status,
        ...(feed.resultFeedDocumentId === null ? {} : { resultFeedDocumentId: feed.resultFeedDocumentId }),
      },
    });
    this.#next();
  }
}

function messagesOf(body: Buffer): readonly unknown[] | null {
  try {
    const parsed: unknown = JSON.parse(body.toString('utf8'));
    const { header, messages } = asRecord(parsed);
    if (asRecord(header)['version'] !== '2.0' || !Array.isArray(messages) || messages.length === 0)
      return null;
    const ids = new Set(messages.map((message) => asRecord(message)['messageId']));
    return ids.size === messages.length ? messages : null;
  } catch {
    return null;
  }
}
