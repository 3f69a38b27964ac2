import { StockmeshError } from '../../domain/errors.ts';
import type { HttpAnswer } from '../http.ts';
import { parseRawJson } from '../raw-json.ts';
import { idOf } from './count-rows.ts';
import { type JsonPath, compilePath, selectAll, selectOne } from './json-path.ts';
import type { ThrottleRule } from './options.ts';

interface CompiledRule {
  readonly rule: ThrottleRule;
  readonly text: RegExp | undefined;
  readonly path: JsonPath | undefined;
  readonly waitPath: JsonPath | undefined;
}

/** Text rules look at no more than this. */
const maxText = 4_096;
const defaultWaitMs = 5_000;
const maxWaitMs = 600_000;

const tooManyRequests: ThrottleRule = { status: 429, waitHeader: 'retry-after', waitUnit: 's' };

/**
 * Which answers mean "later", and how much later. Warehouses say it in every way there is: 429, 403 with a sentence
 * (Logiwa), 200 with an error code (ShipHero).
 */
export class Throttling {
  readonly #rules: readonly CompiledRule[];

  constructor(rules: readonly ThrottleRule[] = []) {
    this.#rules = [...rules, tooManyRequests].map((rule) => ({
      rule,
      text: rule.text === undefined ? undefined : compileText(rule.text),
      path: rule.path === undefined ? undefined : compilePath(rule.path),
      waitPath: rule.waitPath === undefined ? undefined : compilePath(rule.waitPath),
    }));
  }

  /** The wait in ms when the answer is a refusal for now; undefined when it is not. */
  waitOf(answer: HttpAnswer, nowMs: number): number | undefined {
    for (const compiled of this.#rules) {
      const { rule } = compiled;
      if (rule.status !== answer.status) continue;
      const text =
        compiled.text === undefined
          ? undefined
          : (compiled.text.exec(Buffer.from(answer.body.subarray(0, maxText)).toString('utf8')) ?? null);
      if (text === null) continue;
      const body =
        compiled.path === undefined && compiled.waitPath === undefined ? undefined : jsonOf(answer);
      if (compiled.path !== undefined && !holds(body, compiled.path, rule.equals)) continue;
      const stated =
        text?.[1] ??
        (rule.waitHeader === undefined ? undefined : answer.headers[rule.waitHeader]) ??
        (compiled.waitPath === undefined ? undefined : selectOne(body, compiled.waitPath));
      const waitMs = readWait(stated, rule.waitUnit ?? 's', nowMs) ?? defaultWaitMs;
      return Math.min(Math.max(waitMs, 1), maxWaitMs);
    }
    return undefined;
  }
}

function holds(body: unknown, path: JsonPath, equals: string | number | undefined): boolean {
  const values = selectAll(body, path);
  return equals === undefined ? values.length > 0 : values.some((value) => idOf(value) === String(equals));
}

/** "16", "16 seconds", or an HTTP date. */
function readWait(stated: unknown, unit: 's' | 'ms', nowMs: number): number | undefined {
  if (typeof stated === 'number') return unit === 's' ? stated * 1_000 : stated;
  if (typeof stated !== 'string') return undefined;
  const number = /^\s*(\d{1,9}(?:\.\d+)?)/.exec(stated)?.[1];
  if (number !== undefined) return unit === 's' ? Number(number) * 1_000 : Number(number);
  const dateMs = Date.parse(stated);
  return Number.isNaN(dateMs) ? undefined : dateMs - nowMs;
}

function jsonOf(answer: HttpAnswer): unknown {
  const parsed = parseRawJson(answer.body);
  return parsed.kind === 'ok' ? parsed.value : undefined;
}

function compileText(source: string): RegExp {
  try {
    return new RegExp(source, 'i');
  } catch {
    throw new StockmeshError('CONFIG_INVALID', {
      problems: [`throttling text ${JSON.stringify(source.slice(0, 100))} is not a regular expression`],
    });
  }
}
