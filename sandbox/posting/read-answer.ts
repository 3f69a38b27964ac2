/** `isKept`: another request may follow on the same connection. */
export interface WholeAnswer {
  readonly kind: 'whole';
  readonly status: number;
  readonly isEmpty: boolean;
  readonly isKept: boolean;
}

export type AnswerSoFar = WholeAnswer | { readonly kind: 'partial' } | { readonly kind: 'malformed' };

/** Of a longer answer the rest is not waited for: what counts of it is its status. */
const maxChars = 65_536;

const partial: AnswerSoFar = { kind: 'partial' };
const malformed: AnswerSoFar = { kind: 'malformed' };

/** `text`: all bytes of an HTTP/1 answer so far, one character each. `isEnded`: the receiver will send no more. */
export function readAnswer(text: string, isEnded: boolean): AnswerSoFar {
  const headEnd = text.indexOf('\r\n\r\n');
  if (headEnd === -1) return isEnded || text.length > maxChars ? malformed : partial;
  const [, version, digits] = /^HTTP\/1\.([01]) (\d{3})/.exec(text) ?? [];
  if (digits === undefined) return malformed;
  const status = Number(digits);
  const bodyStart = headEnd + 4;
  // Informational: the answer itself is still to come.
  if (status < 200) return readAnswer(text.slice(bodyStart), isEnded);
  const head = text.slice(0, headEnd);
  const end = bodyEnd(text, bodyStart, head, status, isEnded);
  if (end === 'malformed') return malformed;
  if (end === undefined && text.length > maxChars)
    return { kind: 'whole', status, isEmpty: false, isKept: false };
  if (end === undefined) return isEnded ? malformed : partial;
  const isKept =
    version === '1' && !isEnded && end.at === text.length && !/\r\nconnection: *close/i.test(head);
  return { kind: 'whole', status, isEmpty: end.isEmpty, isKept };
}

type BodyEnd = { readonly at: number; readonly isEmpty: boolean } | 'malformed' | undefined;

/** Undefined: it has not come yet. */
function bodyEnd(text: string, from: number, head: string, status: number, isEnded: boolean): BodyEnd {
  if (status === 204 || status === 304) return { at: from, isEmpty: true };
  if (/\r\ntransfer-encoding: *chunked/i.test(head)) return lastChunkEnd(text, from);
  const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
  // Without a length the end of the connection is the end of the body.
  if (length === undefined) return isEnded ? { at: text.length, isEmpty: text.length === from } : undefined;
  const at = from + Number(length);
  return at > text.length ? undefined : { at, isEmpty: at === from };
}

function lastChunkEnd(text: string, from: number): BodyEnd {
  for (let at = from; ;) {
    const lineEnd = text.indexOf('\r\n', at);
    if (lineEnd === -1) return undefined;
    const size = Number.parseInt(text.slice(at, lineEnd), 16);
    if (Number.isNaN(size)) return 'malformed';
    if (size === 0) {
      // An empty line, behind trailers if there are any.
      const end = text.indexOf('\r\n\r\n', lineEnd);
      return end === -1 ? undefined : { at: end + 4, isEmpty: at === from };
    }
    at = lineEnd + 2 + size + 2;
  }
}
