import type { JsonSchema, OpenApiDocument, Operation } from './document.ts';

/** The document as one page that needs nothing else: no script, no network. */
export function openApiPage(document: OpenApiDocument): string {
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
  );
  const sections = document.tags.map(({ name }) => {
    const rows = operations.filter(({ operation }) => operation.tags.includes(name));
    return `<h2>${escaped(name)}</h2>${rows.map(sectionOf).join('')}`;
  });
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>stockmesh API</title><style>${style}</style></head><body>
<h1>stockmesh API ${escaped(String(document.info['version']))}</h1>
<p>${escaped(String(document.info['summary']))}. Machine-readable: <a href="/openapi.json">openapi.json</a> (OpenAPI ${document.openapi}).
Send an API key as <code>Authorization: Bearer KEY</code>. Refusals are <code>application/problem+json</code> with a stable <code>code</code>.</p>
${sections.join('\n')}
</body></html>`;
}

const style = `:root{color-scheme:light dark}body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
code,pre{font:13px/1.45 ui-monospace,monospace}details{border:1px solid #8886;border-radius:6px;margin:.5rem 0;padding:.4rem .8rem}
summary{cursor:pointer}b.m{display:inline-block;min-width:3.6rem}table{border-collapse:collapse;width:100%}td,th{text-align:left;vertical-align:top;
padding:.2rem .6rem .2rem 0;border-bottom:1px solid #8884}pre{overflow:auto;max-height:24rem;background:#8881;padding:.6rem;border-radius:4px}`;

function sectionOf({
  path,
  method,
  operation,
}: {
  readonly path: string;
  readonly method: string;
  readonly operation: Operation;
}): string {
  const { parameters = [], requestBody, responses } = operation;
  const rows = parameters.map(
    ({ name, in: place, required, description = '', schema }) =>
      `<tr><td><code>${escaped(name)}</code></td><td>${place}${required ? ', required' : ''}</td><td>${escaped(kindOf(schema))}</td><td>${escaped(description)}</td></tr>`,
  );
  const body = requestBody?.content['application/json']?.schema;
  const answers = Object.entries(responses).map(([status, response]) => {
    const { description, content } = response as {
      readonly description: string;
      readonly content: Readonly<Record<string, { readonly schema: JsonSchema }>>;
    };
    const [type = '', media] = Object.entries(content)[0] ?? [];
    return `<details><summary>${escaped(status)} ${escaped(description)} <code>${escaped(type)}</code></summary>${schemaText(media?.schema)}</details>`;
  });
  return `<details id="${escaped(operation.operationId)}"><summary><b class="m">${escaped(method.toUpperCase())}</b> <code>${escaped(path)}</code> ${escaped(operation.summary)}</summary>
<p>${escaped(operation.description)}</p>${rows.length === 0 ? '' : `<table>${rows.join('')}</table>`}
${body === undefined ? '' : `<h4>Body</h4>${schemaText(body)}`}<h4>Answers</h4>${answers.join('')}</details>`;
}

function schemaText(schema: JsonSchema | undefined): string {
  return schema === undefined ? '' : `<pre>${escaped(JSON.stringify(schema, null, 2))}</pre>`;
}

function kindOf(schema: JsonSchema): string {
  if (Array.isArray(schema['enum'])) return schema['enum'].join(' | ');
  return typeof schema['type'] === 'string' ? schema['type'] : 'one of several forms';
}

function escaped(text: string): string {
  return text.replaceAll(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`);
}
