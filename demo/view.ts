export interface DemoFigures {
  readonly phase: string;
  readonly elapsedMs: number;
  readonly ordersIn: number;
  readonly ordersPlanned: number;
  readonly linesRefused: number;
  readonly movements: number;
  readonly position: string;
  readonly waiting: number;
  readonly oversold: number;
  readonly shelfMs: { readonly p50: number; readonly p95: number; readonly p99: number };
}

const redrawEveryMs = 200;
const printEveryMs = 3_000;

/** A block that redraws itself on a terminal; one plain line every few seconds elsewhere (pipes, CI, log files). */
export class DemoView {
  readonly #isLive: boolean;
  #lastAtMs = 0;
  #drawnRows = 0;

  constructor(isLive: boolean) {
    this.#isLive = isLive;
  }

  show(figures: DemoFigures, isFinal = false): void {
    const nowMs = performance.now();
    if (!isFinal && nowMs - this.#lastAtMs < (this.#isLive ? redrawEveryMs : printEveryMs)) return;
    this.#lastAtMs = nowMs;
    if (!this.#isLive) {
      process.stdout.write(`${plainLine(figures)}\n`);
      return;
    }
    const rows = block(figures);
    // Cursor up over the last block, clear to the end of the screen, draw again.
    const back = this.#drawnRows > 0 ? `\u001b[${this.#drawnRows}A\u001b[J` : '';
    process.stdout.write(`${back}${rows.join('\n')}\n`);
    this.#drawnRows = rows.length;
  }

  /** A line above the block. */
  say(text: string): void {
    if (this.#isLive && this.#drawnRows > 0) process.stdout.write(`\u001b[${this.#drawnRows}A\u001b[J`);
    this.#drawnRows = 0;
    process.stdout.write(`${text}\n`);
  }
}

function plainLine(f: DemoFigures): string {
  return [
    `${(f.elapsedMs / 1000).toFixed(0).padStart(3)} s`,
    f.phase.padEnd(10),
    `orders ${f.ordersIn}/${f.ordersPlanned}`,
    `movements ${f.movements}`,
    `sequence ${f.position}`,
    `waiting ${f.waiting}`,
    `sale-to-shelf p50 ${f.shelfMs.p50} p99 ${f.shelfMs.p99} ms`,
    `oversold ${f.oversold}`,
  ].join('  ');
}

function block(f: DemoFigures): string[] {
  const width = 40;
  const done = f.ordersPlanned === 0 ? 0 : Math.round((f.ordersIn / f.ordersPlanned) * width);
  const row = (label: string, value: string): string => `  ${label.padEnd(22)}${value}`;
  return [
    '',
    row(f.phase, `[${'='.repeat(done)}${' '.repeat(width - done)}] ${(f.elapsedMs / 1000).toFixed(0)} s`),
    row('orders in', `${f.ordersIn} of ${f.ordersPlanned} (${f.linesRefused} lines refused: sold out)`),
    row('movements', String(f.movements)),
    row('sequence', f.position),
    row('sales on their way', String(f.waiting)),
    row('sale-to-shelf', `p50 ${f.shelfMs.p50} ms   p95 ${f.shelfMs.p95} ms   p99 ${f.shelfMs.p99} ms`),
    row('oversold', String(f.oversold)),
  ];
}
