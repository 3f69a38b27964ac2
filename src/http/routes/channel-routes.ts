import type { Logger } from 'pino';
import { z } from 'zod';
import { StockmeshError } from '../../domain/errors.ts';
import { parseInput, type PrivateRoutes, scoped } from '../private-route.ts';

export interface ChannelPorts {
  /** Undefined: the channel is not configured. */
  mode(channel: string): object | undefined;
  setMode(channel: string, mode: 'off' | 'observe' | 'dry-run' | 'live', actor: string): Promise<void>;
  /** The circuit in this daemon, and what a person last said of it. */
  circuit(channel: string): object | undefined;
  setCircuit(channel: string, state: 'open' | 'closed', actor: string): Promise<void>;
  /** Channels of which a run of changes is held, and which listings. */
  guards(): readonly object[];
  confirmRun(channel: string, actor: string): Promise<object | undefined>;
  /** What would be written to a channel that only watches. */
  plan(channel: string, limit: number): object | undefined;
}

const channelPath = z.object({ channel: z.string().min(1).max(64) });
const modeChange = z.strictObject({
  mode: z.enum(['off', 'observe', 'dry-run', 'live']),
  actor: z.string().min(1).max(200),
});
const circuitChange = z.strictObject({
  state: z.enum(['open', 'closed']),
  actor: z.string().min(1).max(200),
});
const confirmation = z.strictObject({ actor: z.string().min(1).max(200) });
const planQuery = z.object({ limit: z.coerce.number().int().min(1).max(10_000).default(1_000) });

/** What an operator asks and says of one channel. */
export function channelRoutes(ports: ChannelPorts, log: Logger): PrivateRoutes {
  return (app) => {
    app.get('/channels/:channel/mode', scoped('read'), async (request) => {
      const { channel } = parseInput(channelPath, request.params);
      return { channel, ...known(ports.mode(channel)) };
    });

    app.post('/channels/:channel/mode', scoped('operator'), async (request) => {
      const { channel } = parseInput(channelPath, request.params);
      known(ports.mode(channel));
      const { mode, actor } = parseInput(modeChange, request.body);
      log.warn({ channel, mode, actor }, 'an operator changes the mode of a channel');
      await ports.setMode(channel, mode, actor);
      return { channel, ...known(ports.mode(channel)) };
    });

    app.get('/channels/:channel/circuit', scoped('read'), async (request) => {
      const { channel } = parseInput(channelPath, request.params);
      return { channel, ...known(ports.circuit(channel)) };
    });

    app.post('/channels/:channel/circuit', scoped('operator'), async (request) => {
      const { channel } = parseInput(channelPath, request.params);
      known(ports.circuit(channel));
      const { state, actor } = parseInput(circuitChange, request.body);
      log.warn({ channel, state, actor }, 'an operator turns the circuit of a channel');
      await ports.setCircuit(channel, state, actor);
      return { channel, ...known(ports.circuit(channel)) };
    });

    app.get('/guard', scoped('read'), async () => ({ channels: ports.guards() }));

    app.post('/channels/:channel/guard/confirm', scoped('operator'), async (request) => {
      const { channel } = parseInput(channelPath, request.params);
      const { actor } = parseInput(confirmation, request.body);
      log.warn({ channel, actor }, 'an operator confirms a run of changes');
      return { channel, ...known(await ports.confirmRun(channel, actor)) };
    });

    app.get('/channels/:channel/plan', scoped('read'), async (request) => {
      const { channel } = parseInput(channelPath, request.params);
      const { limit } = parseInput(planQuery, request.query);
      return { channel, ...known(ports.plan(channel, limit)) };
    });
  };
}

export function known<T>(found: T | undefined): T {
  if (found === undefined) throw new StockmeshError('HTTP_NOT_FOUND', {});
  return found;
}
