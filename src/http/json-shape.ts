import { isUtf8 } from 'node:buffer';

/** Deeper than any platform nests; parsers and schema checks further in may recurse. */
export const maxJsonDepth = 64;

/** Why bytes are not JSON we take; undefined when they are. Looks at the depth before anything is built from them. */
export function jsonProblem(raw: Buffer): string | undefined {
  if (raw.length === 0) return 'the body is empty';
  if (!isUtf8(raw)) return 'the body is not UTF-8';
  if (depthOf(raw) > maxJsonDepth) return `the body is nested deeper than ${maxJsonDepth} levels`;
  try {
    JSON.parse(raw.toString('utf8'));
    return undefined;
  } catch {
    return 'the body is not JSON';
  }
}

const quote = 0x22;
const backslash = 0x5c;

function depthOf(raw: Buffer): number {
  let depth = 0;
  let deepest = 0;
  let isText = false;
  for (let at = 0; at < raw.length; at++) {
    const byte = raw[at];
    if (isText) {
      if (byte === backslash) at++;
      else if (byte === quote) isText = false;
    } else if (byte === quote) isText = true;
    else if (byte === 0x5b || byte === 0x7b) deepest = Math.max(deepest, ++depth);
    else if (byte === 0x5d || byte === 0x7d) depth--;
  }
  return deepest;
}
