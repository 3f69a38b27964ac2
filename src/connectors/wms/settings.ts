import { StockmeshError } from '../../domain/errors.ts';
import { parseJsonText } from '../raw-json.ts';
import { compilePath } from './json-path.ts';
import { isZone } from './moments.ts';
import type { CountMapping, CsvConnection, HttpConnection, Reading, RequestTemplate } from './options.ts';
import { checkNames } from './template.ts';

const requestNames: ReadonlySet<string> = new Set([
  'size',
  'page',
  'offset',
  'cursor',
  'since',
  'until',
  'place',
  'item',
  'items',
]);

/**
 * An available figure already leaves out orders that the warehouse has allocated. Beside our own commitments the same
 * units would be subtracted twice.
 */
const derivedFigure = /avail|sellable|fulfillable|free_?qty|saleable|salable|atp\b|unreserved/i;

/** Refuses a declaration that cannot work, before the first request. Throws CONFIG_INVALID with every problem found. */
export function checkHttpSource(source: HttpConnection): void {
  const problems: string[] = [];
  const url = URL.canParse(source.baseUrl) ? new URL(source.baseUrl) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol))
    problems.push('baseUrl must be an http(s) address');
  else if (url.username !== '' || url.search !== '' || source.baseUrl.endsWith('/')) {
    problems.push('baseUrl must hold no user, no query and no slash at its end');
  }
  checkReading('snapshot', source.snapshot, problems);
  if (source.lookup !== undefined) checkReading('lookup', source.lookup, problems);
  const { changes, webhook } = source;
  if (changes !== undefined) {
    checkRequest('changes', changes.request);
    compilePath(changes.rows);
    if (changes.use.kind === 'counts') checkMapping('changes', changes.use.map, problems);
    if (changes.use.kind === 'counts' && changes.use.map.duplicates === 'sum') {
      problems.push('changes cannot be counts where rows are summed: use hints, and a lookup');
    }
    if (changes.use.kind === 'hints' && source.lookup === undefined) {
      problems.push('changes that are hints need a lookup');
    }
  }
  for (const [topic, rule] of Object.entries(webhook?.topics ?? {})) {
    if (rule.kind === 'counts') checkMapping(`webhook topic ${topic}`, rule.map, problems);
  }
  if (webhook?.acknowledgement !== undefined && parseJsonText(webhook.acknowledgement).kind === 'bad') {
    problems.push('webhook.acknowledgement must be JSON');
  }
  if (source.zeroMissingAfter !== undefined && source.zeroMissingAfter < 1) {
    problems.push('zeroMissingAfter must be at least 1');
  }
  if (problems.length > 0) throw new StockmeshError('CONFIG_INVALID', { problems });
}

export function checkCsvSource(source: CsvConnection): void {
  const problems: string[] = [];
  const { map, mode, pattern, from } = source;
  let names = '';
  try {
    // Named groups are found by matching nothing at all.
    names = Object.keys(new RegExp(`${pattern}|`).exec('')?.groups ?? {}).join(' ');
  } catch {
    problems.push('pattern is not a regular expression');
  }
  if (mode === 'delta') {
    if (map.change === undefined) problems.push('mode delta needs map.change');
    if (!names.includes('sequence')) {
      problems.push('mode delta needs a pattern with (?<sequence>...): a lost file would be a lost movement');
    }
  } else if (map.onHand === undefined) problems.push(`mode ${mode} needs map.onHand`);
  else if (derivedFigure.test(map.onHand)) problems.push(notPhysical('map.onHand', map.onHand));
  if (source.zone !== undefined && !isZone(source.zone)) problems.push('zone is no time zone');
  if (from.kind === 'sftp') {
    const keys = from.hostKeys.filter((key) => /^SHA256:[A-Za-z0-9+/]{43}=?$/.test(key));
    if (keys.length === 0 || keys.length < from.hostKeys.length) {
      problems.push('hostKeys must hold the fingerprints of the server (SHA256:..., see ssh-keyscan)');
    }
    if ((from.password === undefined) === (from.privateKey === undefined)) {
      problems.push('SFTP needs either password or privateKey');
    }
  }
  if (problems.length > 0) throw new StockmeshError('CONFIG_INVALID', { problems });
}

function checkReading(what: string, reading: Reading, problems: string[]): void {
  checkRequest(what, reading.request);
  compilePath(reading.rows);
  checkMapping(what, reading.map, problems);
  if ('size' in reading.paging && reading.paging.size < 1) problems.push(`${what}: size must be at least 1`);
}

function checkRequest(what: string, request: RequestTemplate): void {
  checkNames(`${what}.path`, request.path, requestNames);
  checkNames(`${what}.query`, request.query, requestNames);
  checkNames(`${what}.headers`, request.headers, requestNames);
  checkNames(`${what}.body`, request.body, requestNames);
}

function checkMapping(what: string, map: CountMapping, problems: string[]): void {
  if (derivedFigure.test(map.onHand)) problems.push(notPhysical(`${what}: onHand`, map.onHand));
  if (map.duplicates === 'sum' && map.rowId === undefined) problems.push(`${what}: sum needs rowId`);
  if (map.asOf?.zone !== undefined && !isZone(map.asOf.zone)) problems.push(`${what}: zone is no time zone`);
  const factor = map.units?.unitFactor ?? 1;
  if (!Number.isSafeInteger(factor) || factor < 1)
    problems.push(`${what}: unitFactor must be a whole number`);
}

function notPhysical(what: string, field: string): string {
  return `${what} is ${field}, which is no physical stock: orders would be subtracted twice. Map the on-hand figure`;
}
