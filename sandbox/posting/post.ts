/** For the connection alone, within the time of the post. */
export const connectTimeoutMs = 1_000;

export interface Post {
  readonly uri: string;
  /** Without the length of the body. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** From now to the last byte of the answer. */
  readonly timeoutMs: number;
}

export type PostAnswer =
  | { readonly kind: 'answered'; readonly status: number; readonly isEmpty: boolean }
  | { readonly kind: 'timeout' }
  | { readonly kind: 'unreachable'; readonly wasReused: boolean };
