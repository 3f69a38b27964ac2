import type { IncomingMessage, ServerResponse } from 'node:http';
import { type SandboxClock, realClock } from '../clock.ts';

const MAX_BODY_BYTES = 16 * 1024 * 1024;

export type BodyResult = { readonly kind: 'read'; readonly text: string } | { readonly kind: 'too-large' };

/** By events: an async iterator over the body costs as much as everything else about a small request. */
export function readBody(request: IncomingMessage): Promise<BodyResult> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    const keep = (chunk: Buffer): void => {
      bytes += chunk.length;
      chunks.push(chunk);
      if (bytes <= MAX_BODY_BYTES) return;
      resolve({ kind: 'too-large' });
      // What still comes is thrown away.
      request.off('data', keep).resume();
    };
    request.on('data', keep);
    request.on('end', () => resolve({ kind: 'read', text: Buffer.concat(chunks).toString() }));
    request.on('error', reject);
  });
}

/**
 * Node writes its own Date once a second, and later when the process pauses: a client that takes its bearings from a date
 * of the second before believes this side to be behind.
 */
export function dateOf(clock: SandboxClock): Record<string, string> {
  return { Date: new Date(clock.now()).toUTCString() };
}

/** One that was set by the clock of a shop stays. */
function defaultDate(response: ServerResponse): Record<string, string> {
  return response.hasHeader('date') ? {} : dateOf(realClock);
}

export function sendJson(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Record<string, string> = {},
): void {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  response.writeHead(status, {
    'Content-Type': 'application/json; charset=utf-8',
    'Content-Length': Buffer.byteLength(text),
    ...defaultDate(response),
    ...headers,
  });
  response.end(text);
}

export function sendHtml(
  response: ServerResponse,
  status: number,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, {
    'Content-Type': 'text/html; charset=utf-8',
    ...defaultDate(response),
    ...headers,
  });
  response.end(
    '<!DOCTYPE html><html><head><title>Something went wrong</title></head><body>500</body></html>',
  );
}

/** Parsed JSON object, or null for anything else. */
export function parseObject(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : null;
  } catch {
    return null;
  }
}
