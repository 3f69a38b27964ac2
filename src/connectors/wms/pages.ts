import { createHash } from 'node:crypto';
import { StockmeshError } from '../../domain/errors.ts';
import type { ApiAnswer, ApiRequest, WmsApi } from './api.ts';
import { idOf } from './count-rows.ts';
import { type JsonPath, compilePath, selectAll, selectOne } from './json-path.ts';
import { type Paging, type RequestTemplate, platform } from './options.ts';
import { type TemplateValues, fillBody, fillParameter, fillText } from './template.ts';

export interface PageSource {
  readonly api: WmsApi;
  readonly baseUrl: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly operation: string;
  readonly request: RequestTemplate;
  readonly paging: Paging;
  readonly rows: JsonPath;
}

export interface SourcePage {
  readonly rows: readonly unknown[];
  readonly answer: ApiAnswer;
}

/** More pages than any account has. */
const maxPages = 10_000;

/**
 * Walks the pages of one reading. It ends by the source's own word only (no next page, a short page, the total reached);
 * everything that could go on for ever or stop too early is an error: a cursor or address seen before, a page equal to
 * the one before, an empty page that claims to have a next one, more pages than there can be.
 */
export async function* pagesOf(
  source: PageSource,
  values: TemplateValues,
  signal: AbortSignal,
): AsyncGenerator<SourcePage> {
  const { paging } = source;
  const size = 'size' in paging ? paging.size : 1;
  const seen = new Set<string>();
  let before: string | undefined;
  let seenRows = 0;
  let next: { readonly values: TemplateValues; readonly url?: string | undefined } | undefined = {
    values: { size, page: paging.kind === 'page' ? paging.first : 1, offset: 0, cursor: null },
  };
  for (let count = 0; next !== undefined; count++) {
    if (count >= maxPages) throw stuck(source, `more than ${maxPages} pages`);
    const request = requestFor(source, { ...values, ...next.values }, size, next.url);
    const answer = await source.api.read(request, signal);
    const rows = selectAll(answer.json, source.rows);
    seenRows += rows.length;
    yield { rows, answer };
    const print = rows.length === 0 ? undefined : printOf(rows);
    if (print !== undefined && print === before) throw stuck(source, 'two pages in a row are the same');
    before = print;
    next = nextOf(source, request.url, answer, { rows: rows.length, seenRows, values: next.values });
    if (next === undefined) continue;
    const place = next.url ?? JSON.stringify(next.values);
    if (seen.has(place)) throw stuck(source, 'a page came twice');
    seen.add(place);
    if (rows.length === 0) throw stuck(source, 'an empty page says that there are more');
  }
}

function nextOf(
  source: PageSource,
  url: string,
  answer: ApiAnswer,
  at: { readonly rows: number; readonly seenRows: number; readonly values: TemplateValues },
): { readonly values: TemplateValues; readonly url?: string | undefined } | undefined {
  const { paging } = source;
  switch (paging.kind) {
    case 'none':
      return undefined;
    case 'page':
    case 'offset': {
      const total = paging.totalPath === undefined ? undefined : totalOf(source, answer, paging.totalPath);
      if (total === undefined ? at.rows < paging.size : at.seenRows >= total || at.rows === 0) {
        // Rows that went while the walk went on have moved others over a page's border.
        if (total !== undefined && at.seenRows < total) throw stuck(source, 'fewer rows than its total');
        return undefined;
      }
      if (at.rows === 0) return undefined;
      const page = Number(at.values['page'] ?? 0) + 1;
      return { values: { ...at.values, page, offset: at.seenRows } };
    }
    case 'cursor': {
      const cursor = idOf(selectOne(answer.json, compilePath(paging.path)));
      return cursor === undefined ? undefined : { values: { ...at.values, cursor } };
    }
    case 'relay': {
      const info = selectOne(answer.json, compilePath(paging.pageInfoPath));
      if (info === undefined) throw invalid(source, 'there is no pageInfo');
      if (selectOne(info, compilePath('hasNextPage')) !== true) return undefined;
      const cursor = idOf(selectOne(info, compilePath('endCursor')));
      if (cursor === undefined) throw invalid(source, 'there is a next page without a cursor');
      return { values: { ...at.values, cursor } };
    }
    case 'next-url': {
      const stated = idOf(selectOne(answer.json, compilePath(paging.path)));
      return stated === undefined ? undefined : { values: at.values, url: sameHost(source, stated, url) };
    }
    case 'link-header': {
      const stated = /<([^>]{1,2000})>\s*;[^,]*\brel="?next"?/i.exec(answer.headers['link'] ?? '')?.[1];
      return stated === undefined ? undefined : { values: at.values, url: sameHost(source, stated, url) };
    }
  }
}

/** A next link goes where the configuration points, or nowhere: it would carry our credentials to another host. */
function sameHost(source: PageSource, stated: string, current: string): string {
  const next = URL.canParse(stated, current) ? new URL(stated, current) : undefined;
  if (next === undefined || next.username !== '' || next.password !== '') {
    throw invalid(source, 'the address of the next page cannot be read');
  }
  if (next.origin !== new URL(source.baseUrl).origin)
    throw invalid(source, 'the next page is on another host');
  return next.href;
}

export function requestFor(
  { baseUrl, headers, operation, request }: Pick<PageSource, 'baseUrl' | 'headers' | 'operation' | 'request'>,
  values: TemplateValues,
  rows: number,
  address?: string,
): ApiRequest {
  const url = new URL(address ?? `${baseUrl}${fillText(request.path, values, encodeURIComponent)}`);
  if (address === undefined) {
    for (const [name, template] of Object.entries(request.query ?? {})) {
      const value = fillParameter(template, values);
      if (value !== undefined) url.searchParams.append(name, value);
    }
  }
  const own = Object.entries(request.headers ?? {}).map(([name, text]) => [name, fillText(text, values)]);
  return {
    method: request.method,
    url: url.href,
    operation,
    headers: { ...headers, ...Object.fromEntries(own) },
    body: request.body === undefined ? undefined : JSON.stringify(fillBody(request.body, values)),
    rows,
  };
}

function totalOf(source: PageSource, answer: ApiAnswer, path: string): number {
  const total = Number(idOf(selectOne(answer.json, compilePath(path))));
  if (!Number.isSafeInteger(total) || total < 0) throw invalid(source, 'the total cannot be read');
  return total;
}

function printOf(rows: readonly unknown[]): string {
  const text = JSON.stringify(rows, (_key, value: unknown) =>
    typeof value === 'bigint' ? String(value) : value,
  );
  return createHash('sha256').update(text).digest('base64');
}

function stuck({ operation }: PageSource, reason: string): StockmeshError {
  return new StockmeshError('CONNECTOR_WALK_STUCK', { platform, operation, reason });
}

function invalid({ operation }: PageSource, reason: string): StockmeshError {
  return new StockmeshError('CONNECTOR_ANSWER_INVALID', { platform, operation, reason });
}
