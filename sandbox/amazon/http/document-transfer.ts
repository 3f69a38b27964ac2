import type { IncomingMessage, ServerResponse } from 'node:http';
import type { SandboxSeller } from '../seller.ts';

const MAX_UPLOAD_BYTES = 64 * 1024 * 1024;

/** The storage behind signed addresses. It knows no tokens and answers in XML. */
export async function handleDocument(
  seller: SandboxSeller,
  key: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes <= MAX_UPLOAD_BYTES) chunks.push(chunk);
  }
  const document = seller.documents.follow(key);
  if (!document || bytes > MAX_UPLOAD_BYTES) {
    refuse(response, 403, 'Request has expired');
    return;
  }
  if (request.headers['x-amz-access-token'] !== undefined)
    seller.violate('malformed-request', 'an access token was sent to the storage of documents');
  if (request.method === 'PUT' && document.isUpload) {
    if (request.headers['content-type'] !== document.contentType) {
      seller.violate('document-content-type', String(request.headers['content-type']));
      refuse(response, 403, 'SignatureDoesNotMatch');
      return;
    }
    document.body = Buffer.concat(chunks);
    response.writeHead(200).end();
    return;
  }
  if (request.method === 'GET' && document.body !== null) {
    response.writeHead(200, {
      'Content-Type': document.contentType,
      'Content-Length': document.body.length,
    });
    response.end(document.body);
    return;
  }
  refuse(response, 404, 'NoSuchKey');
}

function refuse(response: ServerResponse, status: number, code: string): void {
  response.writeHead(status, { 'Content-Type': 'application/xml' });
  response.end(`<?xml version="1.0"?><Error><Code>${code}</Code></Error>`);
}
