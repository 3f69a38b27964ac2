import { type Html, html } from './html.ts';

export interface Bar {
  readonly label: string;
  readonly value: number;
  readonly shown: string;
  /** A CSS class that gives the colour. */
  readonly tone: 'good' | 'warn' | 'bad' | 'plain';
}

const barHeight = 26;
const labelWidth = 250;
const plotWidth = 400;

/** Horizontal bars, each with its label and its number: readable without a legend and without colour. */
export function barChart(title: string, bars: readonly Bar[], max: number): Html {
  const height = bars.length * barHeight + 8;
  const rows = bars.map(({ label, value, shown, tone }, index) => {
    const y = index * barHeight + 4;
    const width = max <= 0 ? 0 : Math.max(value > 0 ? 2 : 0, (value / max) * plotWidth);
    return html`<text x="${labelWidth - 10}" y="${y + 15}" text-anchor="end">${label}</text
      ><rect
        class="${tone}"
        x="${labelWidth}"
        y="${y + 2}"
        width="${round(width)}"
        height="${barHeight - 8}"
        rx="3"
      /><text class="number" x="${labelWidth + round(width) + 8}" y="${y + 15}">${shown}</text>`;
  });
  return html`<svg
    class="chart"
    role="img"
    aria-label="${title}"
    viewBox="0 0 ${labelWidth + plotWidth + 90} ${height}"
  >
    <title>${title}</title>
    ${rows}
  </svg>`;
}

export interface Point {
  readonly atMs: number;
  readonly value: number;
}

export interface Line {
  readonly label: string;
  readonly points: readonly Point[];
}

const lineWidth = 720;
const lineHeight = 170;
const labelGap = 14;
const axis = { left: 46, bottom: 24, top: 10, right: 120 } as const;

/** Values over time; each line carries its name at its end. */
export function lineChart(
  title: string,
  lines: readonly Line[],
  span: { readonly sinceMs: number; readonly untilMs: number },
  dayOf: (atMs: number) => string,
): Html {
  const max = Math.max(1, ...lines.flatMap(({ points }) => points.map(({ value }) => value)));
  const length = Math.max(1, span.untilMs - span.sinceMs);
  const x = (atMs: number): number =>
    round(axis.left + ((atMs - span.sinceMs) / length) * (lineWidth - axis.left - axis.right));
  const y = (value: number): number =>
    round(lineHeight - axis.bottom - (value / max) * (lineHeight - axis.bottom - axis.top));
  const grid = [0, 0.5, 1].map((part) => {
    const value = Math.round(max * part);
    return html`<line
        class="grid"
        x1="${axis.left}"
        x2="${lineWidth - axis.right}"
        y1="${y(value)}"
        y2="${y(value)}"
      /><text x="${axis.left - 8}" y="${y(value) + 4}" text-anchor="end">${value}</text>`;
  });
  const ends = [span.sinceMs, span.untilMs].map((atMs, index) => {
    return html`<text x="${x(atMs)}" y="${lineHeight - 6}" text-anchor="${index === 0 ? 'start' : 'end'}"
      >${dayOf(atMs)}</text
    >`;
  });
  const labelAt = labelHeights(lines.map(({ points }) => y(points.at(-1)?.value ?? 0)));
  const drawn = lines.map(({ label, points }, index) => {
    const path = points.map(({ atMs, value }) => `${x(atMs)},${y(value)}`).join(' ');
    const last = points.at(-1);
    const dots = points.map(
      ({ atMs, value }) => html`<circle class="line${index % 4}" cx="${x(atMs)}" cy="${y(value)}" r="2.5" />`,
    );
    const name =
      last === undefined
        ? ''
        : html`<text class="line${index % 4}" x="${x(last.atMs) + 8}" y="${(labelAt[index] ?? 0) + 4}"
            >${label}</text
          >`;
    return html`<polyline class="line${index % 4}" points="${path}" />${dots}${name}`;
  });
  return html`<svg class="chart" role="img" aria-label="${title}" viewBox="0 0 ${lineWidth} ${lineHeight}">
    <title>${title}</title>
    ${grid}${ends}${drawn}
  </svg>`;
}

/** Names of lines that end at the same height stand above each other. */
function labelHeights(ends: readonly number[]): readonly number[] {
  const heights = [...ends];
  const order = ends.map((_, index) => index).toSorted((a, b) => (ends[b] ?? 0) - (ends[a] ?? 0));
  let lowest = lineHeight - axis.bottom;
  for (const index of order) {
    const height = Math.min(heights[index] ?? 0, lowest);
    heights[index] = height;
    lowest = height - labelGap;
  }
  return heights;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
