import { randomBytes } from 'node:crypto';
import type { SandboxClock } from '../shopify/clock.ts';
import type { SellerSettings } from './settings.ts';

export interface StoredDocument {
  readonly id: string;
  /** What an upload must declare. */
  readonly contentType: string;
  readonly isUpload: boolean;
  body: Buffer | null;
  readonly isGzip: boolean;
}

interface Link {
  readonly documentId: string;
  readonly expiresAt: number;
}

/** Documents of feeds and reports, at signed addresses that live five minutes. */
export class Documents {
  readonly #clock: SandboxClock;
  readonly #settings: SellerSettings;
  readonly #documents = new Map<string, StoredDocument>();
  readonly #links = new Map<string, Link>();
  #count = 0;
  /** Where links point, without a slash at its end. */
  baseUrl = '';

  constructor(clock: SandboxClock, settings: SellerSettings) {
    this.#clock = clock;
    this.#settings = settings;
  }

  add(contentType: string, body: Buffer | null, isGzip: boolean): StoredDocument {
    this.#count += 1;
    const id = `amzn1.tortuga.4.na.sandbox-${this.#count}`;
    const document = { id, contentType, isUpload: body === null, body, isGzip };
    this.#documents.set(id, document);
    return document;
  }

  get(id: string): StoredDocument | undefined {
    return this.#documents.get(id);
  }

  link(document: StoredDocument): string {
    const key = randomBytes(16).toString('hex');
    this.#links.set(key, {
      documentId: document.id,
      expiresAt: this.#clock.now() + this.#settings.documentTtlMs,
    });
    return `${this.baseUrl}/_documents/${key}?X-Amz-Signature=${key}`;
  }

  /** Undefined: no such address, or its time is over. */
  follow(key: string): StoredDocument | undefined {
    const link = this.#links.get(key);
    if (!link || link.expiresAt <= this.#clock.now()) return undefined;
    return this.#documents.get(link.documentId);
  }
}
