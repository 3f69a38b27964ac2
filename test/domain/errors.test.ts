import { expect, test } from 'vitest';
import { errorCodes, exitCodeFor, StockmeshError } from '../../src/domain/errors.ts';
import { exitCodes } from '../../src/domain/exit-codes.ts';

test('fills the message from the fields and keeps the cause', () => {
  const cause = new Error('EACCES');
  const error = new StockmeshError('DATA_DIR_LOCKED', { dir: 'var', pid: 42 }, { cause });
  expect(error.message).toBe('The data directory var is in use by the running process 42');
  expect(error.code).toBe('DATA_DIR_LOCKED');
  expect(error.retryable).toBe(false);
  expect(error.cause).toBe(cause);
  expect(error.fields['pid']).toBe(42);
});

test('a field called like an inherited property is not taken from the prototype', () => {
  const error = new StockmeshError('CONFIG_INVALID', { problems: ['a', 'b'] });
  expect(error.message).toBe('The configuration is not valid: a; b');
});

test('the exit code is the one of the table, and "crashed" for anything unforeseen', () => {
  expect(exitCodeFor(new StockmeshError('CONFIG_INVALID', { problems: 'x' }))).toBe(exitCodes.badConfig);
  expect(exitCodeFor(new TypeError('x'))).toBe(exitCodes.crashed);
});

test('codes are upper case, and exit codes are distinct bytes', () => {
  for (const code of Object.keys(errorCodes)) expect(code).toMatch(/^[A-Z][A-Z0-9]*(_[A-Z0-9]+)+$/);
  const numbers = Object.values(exitCodes);
  expect(new Set(numbers).size).toBe(numbers.length);
  for (const number of numbers) expect(number).toBeLessThan(126);
});
