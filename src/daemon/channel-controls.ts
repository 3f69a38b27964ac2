import type { ChannelId } from '../domain/ids.ts';
import type { ChannelPorts } from '../http/routes/channel-routes.ts';
import type { ChannelModes } from '../mesh/channel-modes.ts';
import type { ChannelPart } from './channel-part.ts';

/** What an operator may ask and say of a channel, over the running parts. */
export function channelControls(modes: ChannelModes, parts: readonly ChannelPart[]): ChannelPorts {
  const partOf = (channel: string): ChannelPart | undefined => parts.find(({ id }) => id === channel);
  return {
    mode: (channel) => modes.view(channel as ChannelId),
    setMode: (channel, mode, actor) => modes.set(channel as ChannelId, mode, actor),
    plan(channel, limit) {
      const part = partOf(channel);
      if (part === undefined) return undefined;
      return { mode: modes.of(part.id), ...part.publishing.plan(limit) };
    },
  };
}
