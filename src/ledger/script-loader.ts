import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface LoadedScript {
  readonly text: string;
  readonly sha: string;
}

/** The scripts of one epoch. The stamp is part of the text, so each epoch has SHAs of its own. */
export type ScriptSet = ReadonlyMap<string, LoadedScript>;

export interface ScriptSource {
  /** Every script but `open`, stamped. */
  stampedFor(epoch: number): ScriptSet;
  /** The text of `open`, the one script that knows no epoch. */
  readonly open: string;
}

const scriptsDir = fileURLToPath(new URL('./scripts/', import.meta.url));
const includeLine = /^--- @include "([^"]+)"[ \t]*$/gm;

/**
 * Reads every script once and resolves `--- @include "include/x.lua"` lines: each file is put in at its first
 * mention and left out at later ones. `replacements` puts other text in place of an include (tests replace the clock).
 */
export function readScripts(replacements: Readonly<Record<string, string>> = {}): ScriptSource {
  const resolved = new Map<string, string>();
  for (const file of readdirSync(scriptsDir)) {
    if (file.endsWith('.lua')) {
      resolved.set(file.slice(0, -'.lua'.length), resolveIncludes(file, new Set(), replacements));
    }
  }
  const open = resolved.get('open');
  if (open === undefined) throw new Error(`no open.lua in ${scriptsDir}`);
  resolved.delete('open');
  return {
    open,
    stampedFor(epoch) {
      return new Map([...resolved].map(([name, text]) => [name, stamp(text, epoch)]));
    },
  };
}

function resolveIncludes(
  file: string,
  seen: Set<string>,
  replacements: Readonly<Record<string, string>>,
): string {
  seen.add(file);
  const text = replacements[file] ?? readFileSync(join(scriptsDir, file), 'utf8');
  return text.replace(includeLine, (_line, included: string) =>
    seen.has(included) ? '' : resolveIncludes(included, seen, replacements),
  );
}

/** The `#!lua` line must stay first: with it Redis refuses a script as a whole or not at all (memory, disk, role). */
function stamp(text: string, epoch: number): LoadedScript {
  if (!Number.isSafeInteger(epoch) || epoch < 1) throw new RangeError(`not an epoch: ${epoch}`);
  const end = text.startsWith('#!') ? text.indexOf('\n') + 1 : 0;
  const stamped = `${text.slice(0, end)}local EPOCH = ${epoch}\n${text.slice(end)}`;
  return { text: stamped, sha: createHash('sha1').update(stamped).digest('hex') };
}
