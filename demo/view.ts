import type { Percentiles } from './shelf-clock.ts';

export interface ChannelFigures {
  readonly id: string;
  readonly platform: string;
  readonly skus: number;
  readonly orders: number;
  /** Sales elsewhere that it does not show yet. */
  readonly waiting: number;
  readonly shelfMs: Percentiles;
  /** As the daemon tells it. */
  readonly status: string;
}

export interface DemoFigures {
  readonly phase: string;
  readonly elapsedMs: number;
  readonly ordersIn: number;
  readonly ordersPlanned: number;
  readonly linesRefused: number;
  readonly adjustmentsIn: number;
  readonly adjustmentsPlanned: number;
  readonly movements: number;
  readonly position: string;
  readonly waiting: number;
  readonly oversold: number;
  /** Over the Shopify shops. */
  readonly shelfMs: Percentiles;
  readonly channels: readonly ChannelFigures[];
  readonly warehouseStatus: string;
}

const redrawEveryMs = 200;
const printEveryMs = 5_000;

/** A block that redraws itself on a terminal; a plain block every few seconds elsewhere (pipes, CI, log files). */
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

/** One line per channel, the same in the live block and in the summary. */
export function channelLines(f: DemoFigures): readonly string[] {
  const rows = f.channels.map((channel) => {
    const { p50, p95, p99 } = channel.shelfMs;
    return [
      channel.id.padEnd(8),
      channel.platform.padEnd(8),
      `${channel.skus} SKUs`.padEnd(10),
      `${channel.orders} orders`.padEnd(11),
      `waiting ${channel.waiting}`.padEnd(13),
      `sale-to-shelf p50 ${p50} p95 ${p95} p99 ${p99} ms`.padEnd(52),
      channel.status,
    ].join(' ');
  });
  const adjusted = `${f.adjustmentsIn} of ${f.adjustmentsPlanned} write-offs and finds`;
  return [...rows, `${'wms'.padEnd(8)} ${'shiphero'.padEnd(8)} ${adjusted.padEnd(88)} ${f.warehouseStatus}`];
}

function plainLine(f: DemoFigures): string {
  const perChannel = f.channels
    .map(
      ({ id, shelfMs, waiting }) =>
        `${id} ${shelfMs.p50}/${shelfMs.p99}${waiting > 0 ? ` (${waiting})` : ''}`,
    )
    .join('  ');
  return [
    `${(f.elapsedMs / 1000).toFixed(0).padStart(3)} s`,
    f.phase.padEnd(10),
    `orders ${f.ordersIn}/${f.ordersPlanned}`,
    `adjustments ${f.adjustmentsIn}/${f.adjustmentsPlanned}`,
    `sequence ${f.position}`,
    `waiting ${f.waiting}`,
    `sale-to-shelf p50/p99 ms: ${perChannel}`,
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
    row('oversold', String(f.oversold)),
    ...channelLines(f).map((line) => `  ${line}`),
  ];
}
