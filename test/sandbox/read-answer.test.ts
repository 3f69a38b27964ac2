import { expect, test } from 'vitest';
import { readAnswer } from '../../sandbox/posting/read-answer.ts';

const answer = (...lines: string[]): string => lines.join('\r\n');

test.each([
  ['no HTTP at all', 'SSH-2.0-OpenSSH_9.6\r\n\r\n', false],
  ['a connection that ends before the head does', 'HTTP/1.1 200 OK\r\n', true],
  ['a body that ends before its length', answer('HTTP/1.1 200 OK', 'Content-Length: 3', '', 'ab'), true],
  ['a chunk without a size', answer('HTTP/1.1 200 OK', 'Transfer-Encoding: chunked', '', 'zz', ''), false],
  ['a head without end', `HTTP/1.1 200 OK\r\nX: ${'x'.repeat(70_000)}`, false],
])('%s is malformed', (_, text, isEnded) => {
  expect(readAnswer(text, isEnded).kind).toBe('malformed');
});

test.each([
  ['a length', answer('HTTP/1.1 200 OK', 'Content-Length: 2', '', 'ok'), 200, false, true],
  ['length 0', answer('HTTP/1.1 503 Later', 'content-length: 0', '', ''), 503, true, true],
  ['a status without a body', answer('HTTP/1.1 204 No Content', '', ''), 204, true, true],
  [
    'chunks',
    answer('HTTP/1.1 200 OK', 'Transfer-Encoding: chunked', '', '2', 'ok', '0', '', ''),
    200,
    false,
    true,
  ],
  ['no chunks', answer('HTTP/1.1 200 OK', 'transfer-encoding: chunked', '', '0', '', ''), 200, true, true],
  [
    'trailers',
    answer('HTTP/1.1 200 OK', 'Transfer-Encoding: chunked', '', '0', 'X: y', '', ''),
    200,
    true,
    true,
  ],
  [
    'news before it',
    answer('HTTP/1.1 103 Hints', 'X: y', '', 'HTTP/1.1 201 Made', 'Content-Length: 0', '', ''),
    201,
    true,
    true,
  ],
  [
    'a wish to close',
    answer('HTTP/1.1 200 OK', 'Connection: close', 'Content-Length: 0', '', ''),
    200,
    true,
    false,
  ],
  ['an old version', answer('HTTP/1.0 200 OK', 'Content-Length: 0', '', ''), 200, true, false],
])('an answer with %s is read whole, however it is cut', (_, text, status, isEmpty, isKept) => {
  expect(readAnswer(text, false)).toEqual({ kind: 'whole', status, isEmpty, isKept });
  for (let cut = 0; cut < text.length; cut++)
    expect(readAnswer(text.slice(0, cut), false), text.slice(0, cut)).toEqual({ kind: 'partial' });
});

test('without a length the answer ends with its connection', () => {
  const text = answer('HTTP/1.1 200 OK', '', 'ok');
  expect(readAnswer(text, false)).toEqual({ kind: 'partial' });
  expect(readAnswer(text, true)).toEqual({ kind: 'whole', status: 200, isEmpty: false, isKept: false });
});

test('of a long answer the rest is not waited for', () => {
  const text = answer('HTTP/1.1 500 Oops', 'Content-Length: 1000000', '', 'x'.repeat(70_000));
  expect(readAnswer(text, false)).toEqual({ kind: 'whole', status: 500, isEmpty: false, isKept: false });
});
