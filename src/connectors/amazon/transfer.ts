import { createGunzip } from 'node:zlib';
import { StockmeshError } from '../../domain/errors.ts';
import type { HttpClient } from '../http.ts';
import { platform } from './options.ts';

const maxDocumentBytes = 2 * 1024 ** 3;

/** A document of a feed or report: its address is signed, lives five minutes and is a credential of its own. */
export interface DocumentLink {
  readonly url: string;
  readonly isGzip: boolean;
}

/**
 * Up- and downloads of documents at addresses that Amazon hands out. Nothing of the API goes there, least of all a
 * token, and nothing of the address appears in what is thrown.
 */
export class DocumentTransfer {
  readonly #http: HttpClient;
  readonly #isPlainAllowed: boolean;

  constructor(http: HttpClient, baseUrl: string) {
    this.#http = http;
    // An emulator on this machine hands out plain addresses; Amazon never does.
    this.#isPlainAllowed = baseUrl.startsWith('http:');
  }

  async upload(url: string, body: Uint8Array, contentType: string, signal: AbortSignal): Promise<void> {
    const operation = 'upload of a document';
    this.#check(url, operation);
    const answer = await this.#http.send({
      method: 'PUT',
      url,
      operation,
      headers: { 'content-type': contentType },
      body,
      signal,
    });
    if (answer.status < 200 || answer.status >= 300) throw failed(operation, `HTTP ${answer.status}`);
  }

  /** The decoded text as it comes; bounded by size and by `signal`. */
  async *text(link: DocumentLink, charset: string | undefined, signal: AbortSignal): AsyncGenerator<string> {
    const operation = 'download of a document';
    this.#check(link.url, operation);
    const answer = await this.#http.stream({ method: 'GET', url: link.url, operation, signal });
    if (answer.status !== 200) {
      answer.body.destroy();
      throw failed(operation, `HTTP ${answer.status}`);
    }
    const decoder = decoderOf(charset ?? charsetOf(answer.headers['content-type']));
    const unpacked = link.isGzip ? answer.body.pipe(createGunzip()) : answer.body;
    // `pipe` hands over bytes, not failures.
    answer.body.on('error', (error) => unpacked.destroy(error));
    let bytes = 0;
    try {
      for await (const chunk of unpacked as AsyncIterable<Buffer>) {
        bytes += chunk.length;
        if (bytes > maxDocumentBytes) throw failed(operation, `it is larger than ${maxDocumentBytes} bytes`);
        yield decoder.decode(chunk, { stream: true });
      }
      yield decoder.decode();
    } catch (error) {
      if (error instanceof StockmeshError) throw error;
      throw failed(operation, error instanceof Error ? error.name : 'it broke off');
    } finally {
      answer.body.destroy();
    }
  }

  #check(url: string, operation: string): void {
    const protocol = URL.canParse(url) ? new URL(url).protocol : '';
    if (protocol === 'https:' || (protocol === 'http:' && this.#isPlainAllowed)) return;
    throw failed(operation, 'its address is not https');
  }
}

function charsetOf(contentType: string | undefined): string | undefined {
  return /charset="?([^;"\s]+)/i.exec(contentType ?? '')?.[1];
}

/** Reports come as UTF-8, Cp1252 or, in Japan, Shift_JIS; a letter that does not fit is shown as such, never dropped. */
function decoderOf(charset: string | undefined): InstanceType<typeof TextDecoder> {
  const label = (charset ?? 'utf-8').toLowerCase().replace(/^cp1252$/, 'windows-1252');
  try {
    return new TextDecoder(label);
  } catch {
    return new TextDecoder('utf-8');
  }
}

function failed(operation: string, reason: string): StockmeshError {
  return new StockmeshError('CONNECTOR_BULK_FAILED', { platform, operation, reason });
}
