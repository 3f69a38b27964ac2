import { readFileSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { z } from 'zod';
import { Secret } from '../domain/secret.ts';

const maxSecretBytes = 64 * 1024;

export type SecretSources = {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** `file:` paths are relative to this directory. */
  readonly directory: string;
  /** Files that others may read are refused, unless allowed (container platforms mount secrets as 0444). */
  readonly allowLooseFiles: boolean;
};

/**
 * A credential in the configuration is always a reference: `env:NAME` or `file:PATH`. A value written in place is
 * refused without being repeated, because messages end up in logs.
 */
export function secretReference(sources: SecretSources) {
  return z
    .string()
    .regex(/^(?:env:[A-Za-z_][A-Za-z0-9_]*|file:.+)$/, 'must be a reference: env:NAME or file:PATH')
    .transform((reference, context): Secret => {
      const found = resolveReference(reference, sources);
      if (found instanceof Secret) return found;
      context.addIssue(found);
      return z.NEVER;
    });
}

/** A reference given on the command line: the secret, or why there is none. */
export function readSecret(reference: string, env = process.env): Secret | string {
  if (!/^(?:env:[A-Za-z_][A-Za-z0-9_]*|file:.+)$/.test(reference)) return 'must be env:NAME or file:PATH';
  return resolveReference(reference, { env, directory: '.', allowLooseFiles: false });
}

/** The text of a PEM file named by its path, kept like a credential because one of them is a private key. */
export function textFile(sources: SecretSources) {
  const isPublic = { ...sources, allowLooseFiles: true };
  return z
    .string()
    .min(1)
    .transform((path, context): Secret => {
      const found = resolveReference(`file:${path}`, isPublic);
      if (found instanceof Secret) return found;
      context.addIssue(found);
      return z.NEVER;
    });
}

/** The secret, or why there is none. Names and paths may be told; contents may not. */
function resolveReference(reference: string, sources: SecretSources): Secret | string {
  const name = reference.slice(reference.indexOf(':') + 1);
  if (reference.startsWith('env:')) {
    const value = sources.env[name];
    return value === undefined || value === ''
      ? `environment variable ${name} is not set`
      : new Secret(value);
  }
  const path = resolve(sources.directory, name);
  try {
    const { mode, size } = statSync(path);
    if ((mode & 0o077) !== 0 && !sources.allowLooseFiles) {
      const shown = (mode & 0o777).toString(8).padStart(4, '0');
      return `file ${path} can be read by others (mode ${shown}): chmod 600, or set allowLooseSecretFiles`;
    }
    if (size > maxSecretBytes) return `file ${path} is larger than ${maxSecretBytes} bytes`;
    // Editors end files with a newline, which is no part of any credential.
    const text = readFileSync(path, 'utf8').replace(/\r?\n$/, '');
    return text === '' ? `file ${path} is empty` : new Secret(text);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
    return `file ${path} cannot be read (${code})`;
  }
}
