import { hash } from 'node:crypto';
import type { LocationId, Sku } from '../domain/ids.ts';
import { maxUnits } from '../domain/quantity.ts';
import type {
  ChangeResult,
  CommitRequest,
  CommitResult,
  DenialReason,
  ExtendResult,
  HeldLine,
  HoldState,
  HoldView,
  Ledger,
  ReleaseResult,
  ReserveLine,
  ReserveRequest,
  ReserveResult,
} from './contract.ts';
import { GroupCommit } from './group-commit.ts';
import { GS, RS, US } from './keys.ts';
import { checkOptionalText, checkText, checkWhole, invalid } from './request-checks.ts';
import type { ScriptCaller } from './script-caller.ts';

const maxLines = 200;
const maxLocations = 64;
/** Lines of one script call: it keeps the server from everybody else for well under 10 ms. */
const maxBatchLines = 64;
const maxWaiting = 10_000;
const maxTtlMs = 366 * 86_400_000;

interface PreparedReserve {
  readonly holdId: string;
  readonly lineCount: number;
  readonly packed: string;
}

/** reserve, change, extend, commit, release and a look at a hold. Holds end exactly once; see scripts/include/holds.lua. */
export class HoldCommands implements Pick<
  Ledger,
  'reserve' | 'change' | 'extend' | 'commit' | 'release' | 'hold'
> {
  readonly #caller: ScriptCaller;
  readonly #reserves: GroupCommit<PreparedReserve, ReserveResult>;

  constructor(caller: ScriptCaller) {
    this.#caller = caller;
    this.#reserves = new GroupCommit(
      'reserve',
      { maxBatch: maxBatchLines, maxInFlight: 2, maxWaiting, pairs: true },
      (request) => request.lineCount,
      (requests) => this.#reserveAll(requests),
    );
  }

  /** No promise beside the one of its call. */
  reserve(request: ReserveRequest): Promise<ReserveResult> {
    let prepared: PreparedReserve;
    try {
      prepared = prepareReserve(request);
    } catch (error) {
      return Promise.reject(error);
    }
    return this.#reserves.add(prepared);
  }

  async #reserveAll(requests: readonly PreparedReserve[]): Promise<readonly ReserveResult[]> {
    const reply = await this.#caller.call(
      'reserve',
      requests.map((request) => request.packed),
    );
    return requests.map((request, index) =>
      readAnswer(request.holdId, String(reply.fields[index]), reply.seq),
    );
  }

  async change(replacedId: string, request: ReserveRequest): Promise<ChangeResult> {
    const { packed } = prepareReserve(request);
    const reply = await this.#caller.call('change', [checkText('hold id', replacedId), packed]);
    const answer = String(reply.fields[0]);
    const [outcome, state] = answer.split(US);
    if (outcome === 'replaced-unknown') return { kind: 'replaced-unknown' };
    if (outcome === 'replaced-ended') return { kind: 'replaced-ended', state: state as HoldState };
    return readAnswer(request.holdId, answer, reply.seq);
  }

  async extend(request: Parameters<Ledger['extend']>[0]): Promise<ExtendResult> {
    const reply = await this.#caller.call('extend', [
      checkText('hold id', request.holdId),
      checkWhole('ttlMs', request.ttlMs, 1, maxTtlMs),
      checkText('operation id', request.operationId),
      checkWhole('maxExtensions', request.maxExtensions, 0, 10_000),
      '',
    ]);
    switch (reply.outcome) {
      case 'extended':
        return { kind: 'extended', expiresAtMs: Number(reply.fields[2]), repeated: reply.fields[1] === 1 };
      case 'ended':
        return { kind: 'ended', state: reply.fields[0] as HoldState };
      default:
        return { kind: reply.outcome as 'too-many-extensions' | 'unknown-hold' };
    }
  }

  async commit(request: CommitRequest): Promise<CommitResult> {
    const { holdId, order = { channel: 'direct', orderId: request.holdId }, part } = request;
    const parts = part === undefined ? [] : flattenParts(part);
    const reply = await this.#caller.call('commit', [
      checkText('hold id', holdId),
      checkOptionalText('actor', request.actor),
      checkText('channel', order.channel),
      checkText('order id', order.orderId),
      fingerprintOf([order.channel, order.orderId, ...parts]),
      part === undefined ? '' : part.length,
      ...parts,
    ]);
    switch (reply.outcome) {
      case 'committed':
        return { kind: 'committed', seq: Number(reply.fields[0]), repeated: reply.fields[1] === 1 };
      case 'ended':
        return { kind: 'ended', state: reply.fields[0] as HoldState };
      case 'part-exceeds-hold':
        return { kind: 'part-exceeds-hold', sku: reply.fields[0] as Sku };
      default:
        return { kind: reply.outcome as 'expired' | 'unknown-hold' | 'fingerprint-mismatch' };
    }
  }

  async release(request: { holdId: string; actor: string }): Promise<ReleaseResult> {
    const reply = await this.#caller.call('release', [
      checkText('hold id', request.holdId),
      checkOptionalText('actor', request.actor),
    ]);
    switch (reply.outcome) {
      case 'released':
        return { kind: 'released', seq: Number(reply.fields[0]), repeated: reply.fields[1] === 1 };
      case 'ended':
        return { kind: 'ended', state: reply.fields[0] as HoldState };
      default:
        return { kind: 'unknown-hold' };
    }
  }

  async hold(holdId: string): Promise<HoldView | undefined> {
    const reply = await this.#caller.call('show-hold', [checkText('hold id', holdId)]);
    if (reply.outcome !== 'hold') return undefined;
    const text = (index: number): string => String(reply.fields[index]);
    return {
      holdId,
      state: text(0) as HoldState,
      deadlineInMs: Number(reply.fields[1]),
      lines: readLines(text(2)),
      agent: text(3),
      pool: text(4),
      settlesOn: text(5) === '' ? 'external' : text(5),
      channel: text(6),
      orderId: text(7),
    };
  }
}

function prepareReserve(request: ReserveRequest): PreparedReserve {
  const { lines } = request;
  if (lines.length === 0 || lines.length > maxLines) throw invalid(`lines must be 1 to ${maxLines}`);
  const holdId = checkText('hold id', request.holdId);
  const ttlMs = checkWhole('ttlMs', request.ttlMs, 1, maxTtlMs);
  const agent = checkOptionalText('agent', request.agent);
  const pool = checkOptionalText('pool', request.pool);
  const settlesOn = request.settlesOn === 'external' ? '' : checkOptionalText('settlesOn', request.settlesOn);
  const actor = checkOptionalText('actor', request.actor);
  // What policy compiled (locations, caps, units to keep) may differ between a call and its repeat.
  let asked = `${ttlMs}${GS}${agent}${GS}${pool}${GS}${settlesOn}`;
  for (const line of lines) asked += `${GS}${line.sku}${GS}${line.units}`;
  const head = `${holdId}${US}${rememberedHash(asked)}${US}${ttlMs}${US}${actor}${US}${agent}${US}${pool}${US}${settlesOn}`;
  // One argument instead of a dozen: reading arguments is a third of what a short script costs.
  const packed = `${head}${US}${lines.length === 1 ? packLine(lines[0]) : lines.map(packLine).join(RS)}`;
  return { holdId, lineCount: lines.length, packed };
}

function packLine(line: ReserveLine | undefined): string {
  if (line === undefined) throw invalid('a line is missing');
  const { locations } = line;
  if (locations.length === 0 || locations.length > maxLocations) {
    throw invalid(`locations of a line must be 1 to ${maxLocations}`);
  }
  if (locations.length > 1 && new Set(locations).size !== locations.length) {
    throw invalid('a line names a location twice');
  }
  for (const location of locations) {
    if (checkText('location', location).includes(',')) throw invalid('a location holds a comma');
  }
  const sku = checkText('sku', line.sku);
  const units = checkWhole('units', line.units, 1, maxUnits);
  const keep = checkWhole('keepUnits', line.keepUnits ?? 0, -maxUnits, maxUnits);
  const poolCap =
    line.poolCapUnits === undefined ? '' : checkWhole('poolCapUnits', line.poolCapUnits, 0, maxUnits);
  const agentCap =
    line.agentCapUnits === undefined ? '' : checkWhole('agentCapUnits', line.agentCapUnits, 0, maxUnits);
  return `${sku}${GS}${units}${GS}${keep}${GS}${poolCap}${GS}${agentCap}${GS}${locations.join(',')}`;
}

function flattenParts(part: readonly { readonly sku: Sku; readonly units: number }[]): (string | number)[] {
  const flat: (string | number)[] = [];
  let total = 0;
  for (const { sku, units } of part) {
    total += checkWhole('units', units, 0, maxUnits);
    flat.push(checkText('sku', sku), units);
  }
  if (part.length > maxLines || total === 0)
    throw invalid('a part keeps at least one unit of at most 200 SKUs');
  return flat;
}

/** 96 bits: enough to tell a repeat from another request under the same id. GS cannot occur in a field. */
export function fingerprintOf(fields: readonly (string | number)[]): string {
  return hashOf(fields.join(GS));
}

function hashOf(joined: string): string {
  return hash('sha1', joined, 'base64url').slice(0, 16);
}

const maxHashes = 1_000;
const maxHashedLength = 200;
const hashes = new Map<string, string>();

/** Buyers of a hot SKU ask for the same units on the same terms. */
function rememberedHash(joined: string): string {
  if (joined.length > maxHashedLength) return hashOf(joined);
  let known = hashes.get(joined);
  if (known === undefined) {
    known = hashOf(joined);
    if (hashes.size >= maxHashes) hashes.clear();
    hashes.set(joined, known);
  }
  return known;
}

function readAnswer(holdId: string, answer: string, seq: number): ReserveResult {
  const [outcome = '', ...fields] = answer.split(US);
  switch (outcome) {
    case 'held':
      return {
        kind: 'held',
        holdId,
        seq: Number(fields[0]),
        expiresAtMs: Number(fields[1]),
        repeated: fields[2] === '1',
        lines: readLines(String(fields[3])),
      };
    case 'denied':
      return {
        kind: 'denied',
        reason: fields[0] as DenialReason,
        sku: fields[1] as Sku,
        available: Number(fields[2]),
        seq,
      };
    case 'ended':
      return { kind: 'ended', state: fields[0] as HoldState };
    default:
      return { kind: 'fingerprint-mismatch' };
  }
}

function readLines(text: string): readonly HeldLine[] {
  return text.includes(RS) ? text.split(RS).map(readLine) : [readLine(text)];
}

function readLine(text: string): HeldLine {
  const [sku, location, units] = text.split(GS);
  return { sku: sku as Sku, location: location as LocationId, units: Number(units) };
}
