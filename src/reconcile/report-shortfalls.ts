import { type Html, html } from './html.ts';
import type { PostMortem } from './post-mortem.ts';
import { type Bar, barChart } from './report-charts.ts';
import { type Clock, duration, money, plural } from './report-numbers.ts';
import { oversellTitles } from './report-words.ts';
import type { Report } from './report.ts';

const maxRowsShown = 300;

export function shortfallSection(report: Report, clock: Clock): Html {
  if (report.shortfalls.length === 0)
    return html`<h2>Sold without stock</h2>
      <p>No unit was sold that was not there.</p>`;
  const causes = [...new Set(report.shortfalls.map(({ cause }) => cause))];
  const bars = causes.map((cause): Bar => {
    const units = report.shortfalls.reduce((sum, one) => sum + (one.cause === cause ? one.units : 0), 0);
    return { label: oversellTitles[cause], value: units, shown: plural(units, 'unit'), tone: 'bad' };
  });
  const shown = report.shortfalls.slice(0, maxRowsShown);
  return html`<h2>Sold without stock</h2>
    ${barChart('Units oversold by cause', bars, Math.max(...bars.map(({ value }) => value)))}
    <div class="scroll">
      <table>
        <thead>
          <tr>
            <th>When</th>
            <th>SKU</th>
            <th class="number">Units</th>
            <th class="number">Value</th>
            <th>Why</th>
            <th>Orders to refund or to ask to wait</th>
          </tr>
        </thead>
        <tbody>
          ${shown.map((one) => shortfallRow(one, report.currency, clock))}
        </tbody>
      </table>
    </div>`;
}

function shortfallRow(one: PostMortem, currency: string, clock: Clock): Html {
  const orders = one.refunds
    .map(({ channel, orderId, units }) => `${channel} ${orderId} (${units})`)
    .join(', ');
  const still =
    one.stillOpenUnits > 0 ? html` <span class="tag bad">${one.stillOpenUnits} still missing</span>` : '';
  return html`<tr>
    <td>${clock.minute(one.openedAtMs)}</td>
    <td class="sku">${one.sku}</td>
    <td class="number">${one.units}</td>
    <td class="number">${one.value === null ? '' : money(one.value, currency)}</td>
    <td><b>${oversellTitles[one.cause]}.</b> ${one.reason}.${still}</td>
    <td>${orders}</td>
  </tr> `;
}

export function bufferSection(report: Report): Html {
  if (report.buffers.length === 0) return html``;
  return html`<h2>What would have prevented it</h2>
    <p class="soft">
      Units to keep back on a channel: what sold there in the time it did not know, at least what was missing.
    </p>
    <div class="scroll">
      <table>
        <thead>
          <tr>
            <th>Channel</th>
            <th>SKU</th>
            <th class="number">Keep back</th>
            <th class="number">Times</th>
            <th>Because</th>
            <th>It did not know for</th>
          </tr>
        </thead>
        <tbody>
          ${report.buffers.slice(0, maxRowsShown).map(
            (advice) =>
              html`<tr>
                <td>${advice.channel}</td>
                <td class="sku">${advice.sku}</td>
                <td class="number">${plural(advice.units, 'unit')}</td>
                <td class="number">${advice.shortfalls}</td>
                <td>${oversellTitles[advice.cause]}</td>
                <td>${duration(advice.longestGapMs)}</td>
              </tr> `,
          )}
        </tbody>
      </table>
    </div>`;
}
