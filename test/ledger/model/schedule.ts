// Long on purpose: one case per command, and what a reader needs to replay a seed is in one place.
import { expect } from 'vitest';
import type { ChannelId, LocationId, Sku } from '../../../src/domain/ids.ts';
import { CountCommands } from '../../../src/ledger/count-commands.ts';
import { HoldCommands } from '../../../src/ledger/hold-commands.ts';
import { LevelCommands } from '../../../src/ledger/level-commands.ts';
import { OrderCommands } from '../../../src/ledger/order-commands.ts';
import type { LedgerParts } from '../../support/ledger-parts.ts';
import { advance, newOrder, type OrderHistory } from './order-history.ts';
import { PlainLedger } from './plain-ledger.ts';
import { Random } from './random.ts';
import { modelListing, SideCommands } from './side-commands.ts';

const skus = ['plain', 'a:b', '__proto__', 'with space', 'new\nline', 'ä'.repeat(100)];
const location = 'main' as LocationId;
const back = 'back' as LocationId;
const channel = 'shop' as ChannelId;
const longTtlMs = 300 * 86_400_000;
const shortTtlMs = 4_000;
/** One capped step of the ledger's clock passes every short deadline. */
const clockStepMs = 4_900;

/**
 * A seeded run of every command against the ledger and the plain model at once. The ledger's clock stands still between
 * its steps (`frozenLedgerParts`): a short hold must not end between a look at it and the command that is judged by it.
 */
export class Schedule {
  readonly #random: Random;
  readonly #model = new PlainLedger();
  readonly #parts: LedgerParts;
  readonly #holds: HoldCommands;
  readonly #orders: OrderCommands;
  readonly #counts: CountCommands;
  readonly #levels: LevelCommands;
  readonly #side: SideCommands;
  readonly #histories: OrderHistory[] = [];
  readonly #operations: { readonly operationId: string; readonly sku: string; readonly units: number }[] = [];
  #n = 0;
  #beganAtMs = 1_000;

  constructor(parts: LedgerParts, seed: number) {
    this.#parts = parts;
    this.#random = new Random(seed);
    this.#holds = new HoldCommands(parts.caller);
    this.#orders = new OrderCommands(parts.caller);
    this.#counts = new CountCommands(parts.caller);
    this.#levels = new LevelCommands(parts.caller);
    this.#side = new SideCommands(parts, this.#random, this.#model, skus);
  }

  async step(): Promise<string> {
    this.#n += 1;
    const steps: readonly (readonly [number, () => Promise<string>])[] = [
      [26, () => this.#reserve()],
      [8, () => this.#reserveAgain()],
      [10, () => this.#commit()],
      [6, () => this.#release()],
      [4, () => this.#extend()],
      [18, () => this.#deliver()],
      [12, () => this.#orderEvent()],
      [8, () => this.#receive()],
      [4, () => this.#receiveAgain()],
      [2, () => this.#stepClock()],
      [2, () => this.#sweep()],
      [5, () => this.#side.transfer(this.#n)],
      [5, () => this.#side.count(this.#n)],
      [5, () => this.#side.provision()],
      [6, () => this.#side.write(this.#n)],
      [3, () => this.#side.moveCursor()],
    ];
    let draw = this.#random.below(steps.reduce((sum, [weight]) => sum + weight, 0));
    for (const [weight, run] of steps) {
      draw -= weight;
      if (draw < 0) return run();
    }
    throw new Error('unreachable');
  }

  async compare(): Promise<void> {
    await this.#learnExpiries();
    const { levels } = await this.#levels.peek(skus as Sku[]);
    for (const sku of skus) {
      const level = levels.get(sku as Sku)?.get(location);
      const real = {
        onHand: level?.onHand ?? 0,
        committed: level?.committed ?? 0,
        reserved: level?.reserved ?? 0,
      };
      const plain = {
        onHand: this.#model.onHand.get(sku) ?? 0,
        committed: this.#model.committed(sku),
        reserved: this.#model.reserved(sku),
      };
      expect(real, `level of ${JSON.stringify(sku)} after step ${this.#n}`).toEqual(plain);
      const behind = levels.get(sku as Sku)?.get(back)?.onHand ?? 0;
      expect(behind, `${JSON.stringify(sku)} at the back after step ${this.#n}`).toBe(
        this.#model.onHandBack(sku),
      );
    }
    await this.#side.compare();
  }

  /** Only the ledger knows when its clock passed a deadline: short holds may have ended, the others not. */
  async #learnExpiries(): Promise<void> {
    for (const hold of this.#model.holds.values()) {
      if (hold.state !== 'held' || hold.ttlMs !== shortTtlMs) continue;
      const view = await this.#holds.hold(hold.holdId);
      if (view?.state === 'expired') hold.state = 'expired';
      else expect(view?.state, `hold ${hold.holdId}`).toBe('held');
    }
  }

  #live(): string[] {
    return [...this.#model.holds.values()]
      .filter(({ state, ttlMs }) => state === 'held' && ttlMs === longTtlMs)
      .map(({ holdId }) => holdId);
  }

  async #reserve(): Promise<string> {
    const lines = Array.from({ length: 1 + this.#random.below(3) }, () => ({
      sku: this.#random.pick(skus),
      units: 1 + this.#random.below(5),
    }));
    const hold = {
      holdId: `hold-${this.#n}`,
      ttlMs: this.#random.chance(0.3) ? shortTtlMs : longTtlMs,
      lines,
    };
    await this.#learnExpiries();
    const request = requestOf(hold);
    const answers = await Promise.all(
      Array.from({ length: this.#random.chance(0.2) ? 3 : 1 }, () => this.#holds.reserve(request)),
    );
    await this.#learnExpiries();
    const short = this.#model.reserve(hold);
    for (const answer of answers) {
      if (short === undefined) expect(answer.kind).toBe('held');
      else
        expect(answer).toMatchObject({
          kind: 'denied',
          reason: 'out-of-stock',
          available: expect.any(Number),
        });
    }
    return `reserve ${hold.holdId}: ${short === undefined ? 'held' : 'denied'}`;
  }

  async #reserveAgain(): Promise<string> {
    const holds = [...this.#model.holds.values()];
    if (holds.length === 0) return 'nothing to repeat';
    const hold = this.#random.pick(holds);
    await this.#learnExpiries();
    const answer = await this.#holds.reserve(requestOf(hold));
    if (answer.kind === 'held') expect(answer.repeated).toBe(true);
    else if (hold.ttlMs === longTtlMs) expect(answer).toEqual({ kind: 'ended', state: hold.state });
    else expect(answer.kind).toBe('ended');
    const other = await this.#holds.reserve({
      ...requestOf(hold),
      lines: [{ sku: 'other' as Sku, units: 99, locations: [location] }],
    });
    expect(other.kind).toBe('fingerprint-mismatch');
    return `repeat ${hold.holdId}`;
  }

  async #commit(): Promise<string> {
    const live = this.#live();
    if (live.length === 0) return 'nothing to commit';
    const holdId = this.#random.pick(live);
    const hold = this.#model.holds.get(holdId);
    const history = this.#random.chance(0.6) ? this.#anyHistory() : undefined;
    const order = history === undefined ? undefined : { channel, orderId: history.orderId };
    const first = hold?.lines[0];
    const part =
      this.#random.chance(0.3) && first !== undefined ? [{ sku: first.sku as Sku, units: 1 }] : undefined;
    const request = { holdId, actor: 'test', order, part };
    const answers = [await this.#holds.commit(request), await this.#holds.commit(request)];
    expect(answers.map((answer) => [answer.kind, answer.kind === 'committed' && answer.repeated])).toEqual([
      ['committed', false],
      ['committed', true],
    ]);
    const kept =
      part === undefined ? undefined : new Map(part.map(({ sku, units }) => [sku as string, units]));
    this.#model.commit(holdId, order === undefined ? `direct ${holdId}` : order.orderId, kept);
    expect(await this.#holds.release({ holdId, actor: 'test' })).toEqual({
      kind: 'ended',
      state: 'committed',
    });
    return `commit ${holdId}${order === undefined ? '' : ` as ${order.orderId}`}${part === undefined ? '' : ' in part'}`;
  }

  async #release(): Promise<string> {
    const live = this.#live();
    if (live.length === 0) return 'nothing to release';
    const holdId = this.#random.pick(live);
    expect(await this.#holds.release({ holdId, actor: 'test' })).toMatchObject({
      kind: 'released',
      repeated: false,
    });
    expect(await this.#holds.release({ holdId, actor: 'test' })).toMatchObject({
      kind: 'released',
      repeated: true,
    });
    const hold = this.#model.holds.get(holdId);
    if (hold !== undefined) hold.state = 'released';
    expect((await this.#holds.commit({ holdId, actor: 'test' })).kind).toBe('ended');
    return `release ${holdId}`;
  }

  async #extend(): Promise<string> {
    const live = this.#live();
    if (live.length === 0) return 'nothing to extend';
    const holdId = this.#random.pick(live);
    const answer = await this.#holds.extend({
      holdId,
      ttlMs: longTtlMs,
      operationId: `extend-${this.#n}`,
      maxExtensions: 2,
    });
    expect(['extended', 'too-many-extensions']).toContain(answer.kind);
    expect(
      (await this.#holds.extend({ holdId: 'nobody', ttlMs: 1_000, operationId: 'x', maxExtensions: 1 })).kind,
    ).toBe('unknown-hold');
    return `extend ${holdId}: ${answer.kind}`;
  }

  #anyHistory(): OrderHistory {
    if (this.#histories.length === 0 || this.#random.chance(0.25)) {
      this.#histories.push(newOrder(this.#random, `order-${this.#n}`, skus));
    }
    return this.#random.pick(this.#histories);
  }

  async #orderEvent(): Promise<string> {
    const history = this.#anyHistory();
    advance(this.#random, history);
    return this.#deliverVersion(history, history.versions.length - 1);
  }

  /** Any version there ever was: late, early, doubled. */
  async #deliver(): Promise<string> {
    const history = this.#anyHistory();
    return this.#deliverVersion(history, this.#random.below(history.versions.length));
  }

  async #deliverVersion(history: OrderHistory, version: number): Promise<string> {
    const counters = history.versions[version] ?? [];
    const isLatest = version === history.versions.length - 1;
    // Only a platform that was asked now shows the present; a delivery may be old.
    const source = isLatest && this.#random.chance(0.5) ? 'fetch' : 'push';
    this.#beganAtMs += 1;
    const beganAtMs = this.#beganAtMs;
    const lines = history.lines.map(({ lineId, sku }, i) => ({
      lineId,
      sku: sku as Sku,
      counters: counters[i] ?? expectNever(),
      takenIsKnown: true,
      listingId: modelListing(sku),
    }));
    // A page may cut the list short; what is absent says nothing.
    const shown = this.#random.chance(0.2) ? lines.slice(0, 1) : lines;
    const snapshot = {
      channel,
      orderId: history.orderId,
      placedAtMs: 1_000,
      changedAtMs: 1_000 + version,
      source,
      beganAtMs,
      lines: shown,
    } as const;
    const routing = {
      locations: [{ location, wmsOwned: false }],
      listingKind: 'delta',
      actor: 'test',
    } as const;
    await this.#orders.applyOrder(snapshot, routing);
    const again = await this.#orders.applyOrder(snapshot, routing);
    expect(again.movements, 'a repeated snapshot moves nothing').toBe(0);
    for (const line of shown) {
      const before = this.#model.countersOf(history.orderId, line.lineId);
      this.#model.applyLine(history.orderId, line.lineId, {
        sku: line.sku,
        counters: line.counters,
        source,
        beganAtMs,
      });
      const after = this.#model.countersOf(history.orderId, line.lineId);
      const onHand =
        before.shipped -
        after.shipped +
        (before.writtenOff - after.writtenOff) +
        (after.restocked - before.restocked);
      if (onHand !== 0) this.#model.adjust(line.sku, onHand);
    }
    return `deliver ${history.orderId} version ${version} (${source}, ${shown.length} lines)`;
  }

  async #receive(): Promise<string> {
    const operation = {
      operationId: `receipt-${this.#n}`,
      sku: this.#random.pick(skus),
      units: this.#random.below(20) - 3,
    };
    this.#operations.push(operation);
    expect(await this.#counts.adjust(adjustmentOf(operation))).toMatchObject({
      kind: 'adjusted',
      repeated: false,
    });
    this.#model.adjust(operation.sku, operation.units);
    return `receive ${operation.units} of ${JSON.stringify(operation.sku.slice(0, 12))}`;
  }

  async #receiveAgain(): Promise<string> {
    if (this.#operations.length === 0) return 'no receipt to repeat';
    const operation = this.#random.pick(this.#operations);
    expect(await this.#counts.adjust(adjustmentOf(operation))).toMatchObject({
      kind: 'adjusted',
      repeated: true,
    });
    const other = await this.#counts.adjust(adjustmentOf({ ...operation, units: operation.units + 1 }));
    expect(other.kind).toBe('fingerprint-mismatch');
    return `repeat ${operation.operationId}`;
  }

  async #stepClock(): Promise<string> {
    // Back by an hour, forward by an hour (capped to five seconds), or just past the short deadlines.
    const byMs = this.#random.pick([-3_600_000, 3_600_000, clockStepMs]);
    await this.#parts.stepClock(byMs);
    this.#side.clockStepped(byMs);
    return `clock ${byMs > 0 ? '+' : ''}${byMs} ms`;
  }

  async #sweep(): Promise<string> {
    const { expired } = await this.#levels.sweep(100);
    return `sweep: ${expired} expired`;
  }
}

function requestOf(hold: {
  readonly holdId: string;
  readonly ttlMs: number;
  readonly lines: readonly { readonly sku: string; readonly units: number }[];
}) {
  return {
    holdId: hold.holdId,
    ttlMs: hold.ttlMs,
    actor: 'test',
    agent: 'agent-1',
    pool: 'agents',
    lines: hold.lines.map(({ sku, units }) => ({ sku: sku as Sku, units, locations: [location] })),
  };
}

function adjustmentOf(operation: {
  readonly operationId: string;
  readonly sku: string;
  readonly units: number;
}) {
  return {
    ...operation,
    sku: operation.sku as Sku,
    movement: 'adjusted',
    location,
    reference: operation.operationId,
    reason: 'model',
    actor: 'test',
  } as const;
}

function expectNever(): never {
  throw new Error('a version without its line');
}
