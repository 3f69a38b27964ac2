import type { ParseArgsConfig } from 'node:util';
import type { Config } from '../../config/configuration.ts';
import type { DaemonClient } from '../daemon-client.ts';

/** The command line could not be understood; ends with exit code 2 and the list of commands. */
export class UsageError extends Error {}

export type VerbOptions = NonNullable<ParseArgsConfig['options']>;

export interface VerbContext {
  readonly config: Config;
  readonly daemon: DaemonClient;
  /** What follows the verb, without options. */
  readonly args: readonly string[];
  /** Options given, by name; only those that the verb declares. */
  readonly options: Readonly<Record<string, unknown>>;
  /** Who asks, for the ledger's and the log's sake. */
  readonly actor: string;
}

/**
 * What a command shows: one row, or an array of rows. With `isFinding` it worked and found something that a script
 * must not overlook (exit code 1).
 */
export interface VerbAnswer {
  readonly result: unknown;
  /** What is printed instead of the rows, unless JSON was asked for; a stream is printed in either case. */
  readonly text?: string | AsyncIterable<Uint8Array> | undefined;
  readonly isFinding?: boolean | undefined;
}

/** One command of the operator. Add it to `all-verbs.ts`. */
export interface Verb {
  readonly name: string;
  /** Lines of the usage text: the command, what it does. */
  readonly usage: readonly (readonly [command: string, meaning: string])[];
  readonly options?: VerbOptions | undefined;
  /** Undefined: the arguments are none of this verb's. */
  run(context: VerbContext): Promise<VerbAnswer> | undefined;
}

/** An answer of the daemon as it is. */
export async function shown(result: Promise<unknown>): Promise<VerbAnswer> {
  return { result: await result };
}
