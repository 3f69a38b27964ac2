import type { ChannelId } from '../domain/ids.ts';
import type { ChannelPorts } from '../http/routes/channel-routes.ts';
import type { ChannelModes } from '../mesh/channel-modes.ts';
import type { ChannelStates } from '../mesh/channel-state.ts';
import type { Reconciler } from '../reconcile/reconciler.ts';
import type { ChannelPart } from './channel-part.ts';

/** What an operator may ask and say of a channel, over the running parts. */
export function channelControls(
  modes: ChannelModes,
  states: ChannelStates,
  parts: readonly ChannelPart[],
  seq: () => number,
  reconciler: Pick<Reconciler, 'held' | 'confirm'>,
): ChannelPorts {
  const partOf = (channel: string): ChannelPart | undefined => parts.find(({ id }) => id === channel);
  return {
    mode: (channel) => modes.view(channel as ChannelId),
    setMode: (channel, mode, actor) => modes.set(channel as ChannelId, mode, actor),
    circuit(channel) {
      const part = partOf(channel);
      if (part === undefined) return undefined;
      const { circuit } = part.counting ?? part.publishing;
      const hand = states.hand(part.id);
      return { circuit, byHand: hand?.state ?? null, actor: hand?.actor ?? null, atMs: hand?.atMs ?? null };
    },
    setCircuit: (channel, state, actor) =>
      states.setHand(channel as ChannelId, { state, actor, atMs: Date.now() }),
    guards: () => [
      ...parts.flatMap((part) => part.publishing.guardView() ?? []).filter(({ reason }) => reason !== null),
      ...reconciler.held().map((view) => ({ ...view, what: 'corrections' })),
    ],
    async confirmRun(channel, actor) {
      const part = partOf(channel);
      if (part === undefined) return undefined;
      const released = await part.publishing.confirmRun(seq());
      return { released: released + (await reconciler.confirm(part.id, actor)) };
    },
    plan(channel, limit) {
      const part = partOf(channel);
      if (part === undefined) return undefined;
      return { mode: modes.of(part.id), ...part.publishing.plan(limit) };
    },
  };
}
