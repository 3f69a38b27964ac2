import type {
  AdjustRequest,
  AdjustResult,
  ApplyCountResult,
  ApplyOrderResult,
  ChangeResult,
  CommitRequest,
  CommitResult,
  CountRequest,
  ExtendResult,
  HoldView,
  Ledger,
  OrderRouting,
  PeekResult,
  ReleaseResult,
  ReserveRequest,
  ReserveResult,
  TransferRequest,
} from './contract.ts';
import type { OrderSnapshot } from '../domain/order.ts';
import type { Sku } from '../domain/ids.ts';
import { CountCommands } from './count-commands.ts';
import { HoldCommands } from './hold-commands.ts';
import { LevelCommands, type Retention, type SweepResult } from './level-commands.ts';
import { OrderCommands } from './order-commands.ts';
import { RememberedOrders } from './remembered-orders.ts';
import type { ScriptCaller } from './script-caller.ts';
import type { ServerClock } from './server-clock.ts';

/** The ledger on Redis: every command is one script call, see the modules it is made of. */
export class RedisLedger implements Ledger {
  readonly #holds: HoldCommands;
  readonly #levels: LevelCommands;
  readonly #orders: RememberedOrders;
  readonly #counts: CountCommands;
  readonly #clock: ServerClock;

  constructor(caller: ScriptCaller, clock: ServerClock, retention?: Retention) {
    this.#holds = new HoldCommands(caller);
    this.#levels = new LevelCommands(caller, retention);
    this.#orders = new RememberedOrders(new OrderCommands(caller), () => caller.epoch);
    this.#counts = new CountCommands(caller);
    this.#clock = clock;
  }

  reserve(request: ReserveRequest): Promise<ReserveResult> {
    return this.#holds.reserve(request);
  }
  change(replacedId: string, request: ReserveRequest): Promise<ChangeResult> {
    return this.#holds.change(replacedId, request);
  }
  extend(request: Parameters<Ledger['extend']>[0]): Promise<ExtendResult> {
    return this.#holds.extend(request);
  }
  commit(request: CommitRequest): Promise<CommitResult> {
    return this.#holds.commit(request);
  }
  release(request: { holdId: string; actor: string }): Promise<ReleaseResult> {
    return this.#holds.release(request);
  }
  hold(holdId: string): Promise<HoldView | undefined> {
    return this.#holds.hold(holdId);
  }
  applyOrder(order: OrderSnapshot, routing: OrderRouting): Promise<ApplyOrderResult> {
    return this.#orders.applyOrder(order, routing);
  }
  applyCount(count: CountRequest): Promise<ApplyCountResult> {
    return this.#counts.applyCount(count);
  }
  adjust(request: AdjustRequest): Promise<AdjustResult> {
    return this.#counts.adjust(request);
  }
  transfer(request: TransferRequest): Promise<AdjustResult> {
    return this.#counts.transfer(request);
  }
  peek(skus: readonly Sku[]): Promise<PeekResult> {
    return this.#levels.peek(skus);
  }
  sweep(limit: number): Promise<SweepResult> {
    return this.#levels.sweep(limit);
  }
  nowMs(): number {
    return this.#clock.nowMs();
  }
}
