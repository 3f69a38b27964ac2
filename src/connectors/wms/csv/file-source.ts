/** A place where a warehouse leaves its files: a directory here, or one on an SFTP server. */
export interface FileSource {
  /** Shown to people. */
  readonly account: string;
  /** Runs `work` on one connection. */
  session<T>(work: (files: Files) => Promise<T>, signal: AbortSignal): Promise<T>;
}

export interface Files {
  /** Plain files, at most `maxFiles`; sub-directories are not entered. */
  list(): Promise<readonly FileEntry[]>;
  /** Undefined: the file went meanwhile. Throws for one that is larger than `maxBytes`. */
  read(name: string, maxBytes: number): Promise<Uint8Array | undefined>;
  /** Moves the file to `done/` or `failed/`; with a reason, writes `<name>.reason.txt` beside it. Never overwrites. */
  putAway(name: string, to: 'done' | 'failed', reason?: string): Promise<void>;
}

export interface FileEntry {
  readonly name: string;
  readonly bytes: number;
  readonly modifiedAtMs: number;
}

export const maxFiles = 10_000;

/** The name under which a file is put away when that name is taken. */
export function freeName(name: string, attempt: number): string {
  return attempt === 0 ? name : `${name}.${attempt}`;
}

export const maxNameAttempts = 1_000;
