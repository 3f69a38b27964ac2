import {
  type IncomingMessage,
  type OutgoingHttpHeader,
  type OutgoingHttpHeaders,
  ServerResponse,
} from 'node:http';

/** A request as our listeners take it in. */
interface Identified extends IncomingMessage {
  /** Under which the log and the answer name it. */
  requestId?: string;
}

type Headers = OutgoingHttpHeaders | OutgoingHttpHeader[];

export function identify(request: IncomingMessage, id: string): string {
  (request as Identified).requestId = id;
  return id;
}

/**
 * Answers that say what every answer of a listener says, whoever writes them: routes, the framework's refusals, a
 * transport that took the connection over. As a hook of the framework the same cost each request a turn through it and a
 * look-up per header.
 */
export function answerClass(isClosing: () => boolean): typeof ServerResponse {
  return class<Request extends IncomingMessage> extends ServerResponse<Request> {
    override writeHead(statusCode: number, first?: string | Headers, second?: Headers): this {
      const { requestId } = this.req as IncomingMessage as Identified;
      const isWhole = second === undefined && typeof first === 'object' && !Array.isArray(first);
      // Made for this answer alone, by the framework: added to, because a copy costs more than what is added.
      const headers: OutgoingHttpHeaders = isWhole && Object.isExtensible(first) ? first : {};
      if (requestId !== undefined) headers['x-request-id'] = requestId;
      headers['x-content-type-options'] = 'nosniff';
      headers['cache-control'] = 'no-store';
      // A connection that was busy when the closing began would be kept alive after its answer.
      if (isClosing()) headers['connection'] = 'close';
      if (headers === first) return super.writeHead(statusCode, headers);
      for (const name in headers) this.setHeader(name, headers[name] ?? '');
      return typeof first === 'string'
        ? super.writeHead(statusCode, first, second)
        : super.writeHead(statusCode, first);
    }
  };
}
