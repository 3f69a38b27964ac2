import { once } from 'node:events';
import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js';
import { readSecret } from '../../config/secret-reference.ts';
import type { Secret } from '../../domain/secret.ts';
import { type Caller, localOperator } from '../../http/api/caller.ts';
import { mcpServer } from '../../http/mcp/mcp-tools.ts';
import { remoteReservations } from '../../http/mcp/remote-reservations.ts';
import type { DaemonClient } from '../daemon-client.ts';
import { UsageError, type Verb, type VerbAnswer } from './verb.ts';

/** The daemon judges every call by the key; nothing is refused before it. */
const whoeverTheKeyIs: Caller = localOperator;

export const mcpVerb: Verb = {
  name: 'mcp',
  usage: [
    [
      'mcp',
      'tools for agents (Model Context Protocol) over standard input and output\n' +
        '(--key env:NAME or file:PATH: the API key they act with)',
    ],
  ],
  options: { key: { type: 'string' } },
  run: ({ daemon, args, options }) => {
    if (args.length > 0) return undefined;
    const { key } = options;
    const secret = typeof key === 'string' ? readSecret(key) : undefined;
    if (typeof secret === 'string') throw new UsageError(`--key ${secret}`);
    return serve(daemon, secret);
  },
};

/** Until the client closes our standard input. */
async function serve(daemon: DaemonClient, key: Secret | undefined): Promise<VerbAnswer> {
  const { version } = await daemon.get<{ version: string }>('/healthz');
  const server = mcpServer(remoteReservations(daemon.origin, key), whoeverTheKeyIs, version);
  await server.connect(new StdioServerTransport());
  await once(process.stdin, 'end');
  await server.close();
  return { result: [], text: '' };
}
