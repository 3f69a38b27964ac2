import type { Route } from '../api/route.ts';
import { type PrivateRoutes, scoped } from '../private-route.ts';
import { type OpenApiDocument, openApiDocument } from './document.ts';
import { openApiPage } from './page.ts';

/** `GET /openapi.json` and `GET /docs`: the same document for programs and for people. Both are made when they are first asked for. */
export function openApiRoutes(routes: readonly Route[], version: string): PrivateRoutes {
  return (app) => {
    let document: OpenApiDocument | undefined;
    let json: string | undefined;
    let page: string | undefined;
    const made = (): OpenApiDocument => (document ??= openApiDocument(routes, version));
    app.get('/openapi.json', scoped('open'), async (_request, reply) => {
      reply.type('application/json; charset=utf-8');
      return (json ??= JSON.stringify(made()));
    });
    app.get('/docs', scoped('open'), async (_request, reply) => {
      // Nothing on the page runs or loads.
      reply.header(
        'content-security-policy',
        "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
      );
      reply.type('text/html; charset=utf-8');
      return (page ??= openApiPage(made()));
    });
  };
}
