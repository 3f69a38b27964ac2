/** The package ships typings that its `exports` map does not point to. Only what the bench uses. */
declare module 'redlock' {
  import type { Redis } from 'ioredis';

  export interface Lock {
    release(): Promise<unknown>;
  }
  export default class Redlock {
    constructor(
      clients: Iterable<Redis>,
      settings?: {
        readonly retryCount: number;
        readonly retryDelay: number;
        readonly retryJitter: number;
        readonly driftFactor: number;
      },
    );
    acquire(resources: string[], durationMs: number): Promise<Lock>;
    on(event: 'error', listener: (error: Error) => void): this;
  }
}
