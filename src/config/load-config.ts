import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { isScalar, LineCounter, parseDocument, stringify, visit } from 'yaml';
import type { z } from 'zod';
import { StockmeshError } from '../domain/errors.ts';
import { completeConfig, type Config, type ConfigProblem, findConflicts } from './configuration.ts';
import { configSchema } from './schema.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Reads, checks and completes the configuration. Throws CONFIG_UNREADABLE or CONFIG_INVALID; every problem found is
 * named by the path of its key, and no message repeats a value, because a value may be a misplaced credential.
 */
export function loadConfig(file: string, env: Environment = process.env): Config {
  const path = resolve(file);
  const raw = readYaml(path);
  const directory = dirname(path);
  const allowLooseFiles = isRecord(raw) && raw['allowLooseSecretFiles'] === true;
  const result = configSchema({ env, directory, allowLooseFiles }).safeParse(raw ?? {});
  const problems = result.success ? findConflicts(result.data) : result.error.issues.flatMap(describeIssue);
  if (!result.success || problems.length > 0) {
    const lines = problems.map(({ path: key, problem }) => `${key} ${problem}`);
    throw new StockmeshError('CONFIG_INVALID', { problems: lines, file: path });
  }
  const config = completeConfig(result.data, directory);
  const serverPath = config.redis.serverPath ?? env['STOCKMESH_REDIS_SERVER'];
  return serverPath === undefined ? config : { ...config, redis: { ...config.redis, serverPath } };
}

/** The configuration in force, as YAML; credentials show as `[redacted]`. */
export function describeConfig(config: Config): string {
  return stringify(JSON.parse(JSON.stringify(config)));
}

function readYaml(path: string): unknown {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    const reason = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown error';
    throw new StockmeshError('CONFIG_UNREADABLE', { file: path, reason }, { cause });
  }
  const lineCounter = new LineCounter();
  // The pretty form of an error quotes the line it is on, which may hold a credential: only code and place are told.
  const document = parseDocument(text, { lineCounter, prettyErrors: false });
  const complain = (what: string, offset: number): never => {
    const { line, col } = lineCounter.linePos(offset);
    throw new StockmeshError('CONFIG_UNREADABLE', {
      file: path,
      reason: `${what} at line ${line}, column ${col}`,
    });
  };
  const [error] = document.errors;
  if (error !== undefined) complain(error.code.toLowerCase().replaceAll('_', ' '), error.pos[0]);
  visit(document, {
    Alias(_key, node) {
      complain('an alias, which is not supported', node.range?.[0] ?? 0);
    },
    Scalar(_key, node) {
      // Platform ids are longer than a number can hold; unquoted, their last digits would change silently.
      const isUnsafe = isScalar(node) && typeof node.value === 'number' && Number.isInteger(node.value);
      if (isUnsafe && !Number.isSafeInteger(node.value)) {
        complain('a number too long to be kept exactly: put it in quotes', node.range?.[0] ?? 0);
      }
    },
  });
  return document.toJS();
}

function describeIssue(issue: z.core.$ZodIssue): readonly ConfigProblem[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({ path: showPath([...issue.path, key]), problem: 'is not a known key' }));
  }
  if (issue.code === 'invalid_union' && 'discriminator' in issue) {
    return [{ path: showPath(issue.path), problem: 'is missing or is none of the known kinds' }];
  }
  const isMissing = issue.code === 'invalid_type' && issue.message.endsWith('received undefined');
  return [{ path: showPath(issue.path), problem: isMissing ? 'is missing' : lowerFirst(issue.message) }];
}

function showPath(path: readonly PropertyKey[]): string {
  const parts = path.map((part) => {
    if (typeof part === 'number') return `[${part}]`;
    return /^[A-Za-z_]\w*$/.test(String(part)) ? `.${String(part)}` : `[${JSON.stringify(String(part))}]`;
  });
  return parts.join('').replace(/^\./, '') || 'the file';
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
