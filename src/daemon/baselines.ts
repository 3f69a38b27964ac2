import { open, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { ChannelId } from '../domain/ids.ts';

const fileName = 'baselines.json';
const content = z.record(z.string(), z.int().nonnegative());

/**
 * When each channel was first connected, on the daemon's own disk. No log has it, and after a loss of Redis a new moment in
 * its place would take every order since the real one for older than the ledger.
 */
export class Baselines {
  readonly #path: string;
  readonly #known: Map<string, number>;

  private constructor(path: string, known: Map<string, number>) {
    this.#path = path;
    this.#known = known;
  }

  static async load(dataDir: string): Promise<Baselines> {
    const path = join(dataDir, fileName);
    const text = await readFile(path, 'utf8').catch(() => '{}');
    return new Baselines(path, new Map(Object.entries(content.parse(JSON.parse(text)))));
  }

  get(channel: ChannelId): number | undefined {
    return this.#known.get(channel);
  }

  async keep(channel: ChannelId, atMs: number): Promise<void> {
    if (this.#known.get(channel) === atMs) return;
    this.#known.set(channel, atMs);
    const file = await open(`${this.#path}.new`, 'w', 0o600);
    await file.writeFile(JSON.stringify(Object.fromEntries(this.#known)));
    await file.sync();
    await file.close();
    await rename(`${this.#path}.new`, this.#path);
  }
}
