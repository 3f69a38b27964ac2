import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { lockDataDir } from '../../src/ledger/data-dir-lock.ts';

let parent: string;
beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), 'sm-lock-'));
});
afterEach(() => rmSync(parent, { recursive: true, force: true }));

test('a second holder is refused, with the process that holds it', async () => {
  const dir = join(parent, 'a');
  const lock = await lockDataDir(dir, 0);
  await expect(lockDataDir(dir, 100)).rejects.toMatchObject({
    code: 'DATA_DIR_LOCKED',
    fields: { dir, pid: String(process.pid) },
  });
  lock.release();
});

test('it is free again after release, and waits for one that is on its way out', async () => {
  const dir = join(parent, 'b');
  const first = await lockDataDir(dir, 0);
  setTimeout(() => first.release(), 100);
  const second = await lockDataDir(dir, 5_000);
  second.release();
  second.release();
});

test('of many that want it at once, exactly one gets it', async () => {
  const dir = join(parent, 'c');
  const outcomes = await Promise.allSettled(Array.from({ length: 8 }, () => lockDataDir(dir, 0)));
  const held = outcomes.filter((outcome) => outcome.status === 'fulfilled');
  expect(held).toHaveLength(1);
  held[0]?.value.release();
});

test('the directory is for its owner alone', async () => {
  const dir = join(parent, 'd');
  (await lockDataDir(dir, 0)).release();
  expect(statSync(dir).mode & 0o777).toBe(0o700);
});
