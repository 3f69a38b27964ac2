/** A write as its author tells it. Times are the author's clock, which is the emulator's up to `clockMs`. */
export interface ToldWrite {
  readonly sku: string;
  readonly to: number;
  /** Start of the reading the number stems from. */
  readonly readAtMs: number;
  /** When its author had the platform's answer. */
  readonly answeredAtMs: number;
}

export interface CountedExposure {
  /** Units that buyers took between a reading and the apply of a number that stems from it, each once; given back: less. */
  readonly units: number;
  /** Of these, units taken between two readings of one moment, either of which the number may stem from. */
  readonly unsure: number;
  /** Numbers that were applied. */
  readonly applied: number;
  /** Of these, whose write or whose reading nobody told of. */
  readonly untold: number;
}

type Happening =
  | { readonly kind: 'read'; readonly atMs: number }
  | { readonly kind: 'taken'; readonly atMs: number; readonly units: number }
  | { readonly kind: 'applied'; readonly atMs: number; readonly to: number };

const clockMs = 25;
/** An author that was held up has a clock that is so much behind: it tells the time by the last answer it has read. */
const heldUpMs = 300;
/** An answer comes at most so long after its write was applied. */
const answerMs = 10_000;

/** A run that is longer is not counted to its end. */
const maxHappenings = 500_000;

/**
 * What happened to the listings of a platform of plain numbers, in its own order: readings served, units taken by its own
 * orders, numbers applied. From it follows what the platform left exposed, whatever the author of the writes believes.
 */
export class ExposureCount {
  readonly #happened = new Map<string, Happening[]>();
  #size = 0;

  read(sku: string, atMs: number): void {
    this.#add(sku, { kind: 'read', atMs });
  }

  taken(sku: string, atMs: number, units: number): void {
    if (units !== 0) this.#add(sku, { kind: 'taken', atMs, units });
  }

  applied(sku: string, atMs: number, to: number): void {
    this.#add(sku, { kind: 'applied', atMs, to });
  }

  count(writes: readonly ToldWrite[]): CountedExposure {
    const bySku = Map.groupBy(writes, ({ sku }) => sku);
    let units = 0;
    let applied = 0;
    let untold = 0;
    let unsure = 0;
    for (const [sku, happened] of this.#happened) {
      const left = new Set(bySku.get(sku));
      /** What was taken before this place is counted already. */
      let countedTo = 0;
      for (const [place, happening] of happened.entries()) {
        if (happening.kind !== 'applied') continue;
        applied++;
        const write = newestFor(happening.to, happening.atMs, left);
        if (write !== undefined) left.delete(write);
        const from =
          write === undefined
            ? -1
            : happened.findIndex(({ kind, atMs }) => kind === 'read' && atMs >= write.readAtMs - clockMs);
        if (from < 0 || from > place) {
          untold++;
          continue;
        }
        const start = Math.max(from, countedTo);
        const latest = happened.findLastIndex(
          ({ kind, atMs }, at) => at <= place && kind === 'read' && atMs <= (write?.readAtMs ?? 0) + heldUpMs,
        );
        for (const [at, other] of happened.slice(start, place).entries()) {
          if (other.kind !== 'taken') continue;
          units += other.units;
          if (start + at < latest) unsure += Math.abs(other.units);
        }
        countedTo = Math.max(countedTo, place);
      }
    }
    return { units, unsure, applied, untold };
  }

  #add(sku: string, happening: Happening): void {
    if (this.#size++ >= maxHappenings) return;
    const happened = this.#happened.get(sku);
    if (happened === undefined) this.#happened.set(sku, [happening]);
    else happened.push(happening);
  }
}

/** The platform applies in order: of several writes of the number the newest is meant. */
function newestFor(to: number, appliedAtMs: number, writes: Iterable<ToldWrite>): ToldWrite | undefined {
  let newest: ToldWrite | undefined;
  for (const write of writes) {
    const isPossible =
      write.to === to &&
      write.readAtMs <= appliedAtMs + clockMs &&
      write.answeredAtMs <= appliedAtMs + answerMs;
    if (isPossible && (newest === undefined || write.answeredAtMs > newest.answeredAtMs)) newest = write;
  }
  return newest;
}
