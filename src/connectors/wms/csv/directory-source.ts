import { link, mkdir, open, readdir, stat, unlink, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { StockmeshError } from '../../../domain/errors.ts';
import { platform } from '../options.ts';
import {
  type FileEntry,
  type FileSource,
  type Files,
  freeName,
  maxFiles,
  maxNameAttempts,
} from './file-source.ts';

/** A directory of this machine. */
export function directorySource(path: string): FileSource {
  const directory = resolve(path);
  return {
    account: directory,
    session: async (work) => work(filesOf(directory)),
  };
}

function filesOf(directory: string): Files {
  return {
    async list() {
      const entries: FileEntry[] = [];
      const found = await readdir(directory, { withFileTypes: true }).catch(unreadable(directory));
      for (const entry of found.slice(0, maxFiles)) {
        // A link could lead anywhere.
        if (!entry.isFile()) continue;
        const status = await stat(join(directory, entry.name)).catch(() => undefined);
        if (status === undefined) continue;
        entries.push({ name: entry.name, bytes: status.size, modifiedAtMs: Math.floor(status.mtimeMs) });
      }
      return entries;
    },
    async read(name, maxBytes) {
      const file = await open(join(directory, name), 'r').catch((error: unknown) => {
        if (codeOf(error) === 'ENOENT') return undefined;
        throw error;
      });
      if (file === undefined) return undefined;
      try {
        const { size } = await file.stat();
        if (size > maxBytes) throw new RangeError(`the file has ${size} bytes, ${maxBytes} are allowed`);
        const { buffer, bytesRead } = await file.read(Buffer.alloc(size), 0, size, 0);
        return buffer.subarray(0, bytesRead);
      } finally {
        await file.close();
      }
    },
    async putAway(name, to, reason) {
      const target = join(directory, to);
      await mkdir(target, { recursive: true });
      for (let attempt = 0; attempt < maxNameAttempts; attempt++) {
        const kept = freeName(name, attempt);
        try {
          // A link refuses a name that is taken; a rename would overwrite it.
          await link(join(directory, name), join(target, kept));
        } catch (error) {
          if (codeOf(error) === 'EEXIST') continue;
          throw error;
        }
        if (reason !== undefined) await writeFile(join(target, `${kept}.reason.txt`), `${reason}\n`);
        await unlink(join(directory, name));
        return;
      }
      throw new Error(`${name} was put away ${maxNameAttempts} times before`);
    },
  };
}

function unreadable(directory: string) {
  return (error: unknown): never => {
    const code = codeOf(error) ?? 'unknown error';
    if (code === 'EACCES' || code === 'EPERM') {
      throw new StockmeshError('CONNECTOR_ACCESS_DENIED', {
        platform,
        operation: 'files',
        reason: `the directory ${directory} cannot be read (${code})`,
        remedy: 'Let the daemon read and write the directory',
      });
    }
    throw new StockmeshError('CONNECTOR_UNREACHABLE', {
      platform,
      operation: 'files',
      reason: `the directory ${directory} cannot be read (${code})`,
    });
  };
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error ? String(error.code) : undefined;
}
