import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import type { Logger } from 'pino';
import { callerOf } from '../api/authenticate.ts';
import { type PrivateRoutes, scoped } from '../private-route.ts';
import type { ReservationService } from '../reservations/service.ts';
import { mcpServer } from './mcp-tools.ts';

/**
 * `POST /mcp`: the Model Context Protocol over streamable HTTP, without sessions. Every request is whole in itself, so
 * any daemon of the merchant answers it, nothing is kept between two, and there is no stream to be held open.
 */
export function mcpRoutes(service: ReservationService, version: string, log: Logger): PrivateRoutes {
  return (app) => {
    app.post('/mcp', scoped('availability'), async (request, reply) => {
      const server = mcpServer(service, callerOf(request), version);
      const transport = new StreamableHTTPServerTransport({ enableJsonResponse: true });
      reply.raw.once('close', () => {
        server.close().catch((error: unknown) => log.debug({ err: error }, 'mcp'));
      });
      await server.connect(transport);
      // From here on the transport writes the answer.
      reply.hijack();
      for (const [name, value] of Object.entries(reply.getHeaders()))
        if (value !== undefined) reply.raw.setHeader(name, value);
      await transport.handleRequest(request.raw, reply.raw, request.body);
      return reply;
    });
    // A stream to the client and an end of a session are asked for with these; there are none.
    for (const method of ['GET', 'DELETE'] as const) {
      app.route({
        method,
        url: '/mcp',
        ...scoped('availability'),
        handler: async (_request, reply) => {
          reply.code(405).header('allow', 'POST').type('application/json');
          return { jsonrpc: '2.0', error: { code: -32_000, message: 'Method not allowed.' }, id: null };
        },
      });
    }
  };
}
