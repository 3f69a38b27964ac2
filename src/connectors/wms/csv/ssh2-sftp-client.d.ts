/** The part of the optional package that is used; it ships no types of its own. */
declare module 'ssh2-sftp-client' {
  export interface SftpEntry {
    readonly type: string;
    readonly name: string;
    readonly size: number;
    readonly modifyTime: number;
  }

  export default class SftpClient {
    connect(options: {
      readonly host: string;
      readonly port: number;
      readonly username: string;
      readonly password?: string | undefined;
      readonly privateKey?: string | undefined;
      readonly readyTimeout: number;
      readonly hostVerifier: (key: Buffer) => boolean;
    }): Promise<unknown>;
    on(event: 'error' | 'end' | 'close', listener: (error?: Error) => void): void;
    list(path: string): Promise<readonly SftpEntry[]>;
    get(path: string): Promise<Buffer>;
    stat(path: string): Promise<{ readonly size: number }>;
    exists(path: string): Promise<false | string>;
    mkdir(path: string, recursive: boolean): Promise<unknown>;
    put(content: Buffer, path: string): Promise<unknown>;
    rename(from: string, to: string): Promise<unknown>;
    end(): Promise<unknown>;
  }
}
