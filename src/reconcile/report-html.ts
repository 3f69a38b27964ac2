import { verdicts } from '../domain/verdict.ts';
import type { Finding } from './finding.ts';
import { Html, html } from './html.ts';
import { type Bar, barChart, lineChart } from './report-charts.ts';
import { type Clock, clockOf, count, duration, money, plural } from './report-numbers.ts';
import { reportStyle } from './report-style.ts';
import { bufferSection, shortfallSection } from './report-shortfalls.ts';
import { findingSentence, stepTitles, verdictTitles } from './report-words.ts';
import type { ChannelSummary, Report } from './report.ts';

const maxRowsShown = 300;

/** The report as one file that needs no network, no script and no explanation. */
export function reportHtml(report: Report): string {
  const clock = clockOf(report.timeZone);
  const page = html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'" />
        <title>Stock report ${report.merchant}, ${clock.day(report.untilMs)}</title>
        <style>
          ${raw(reportStyle)}
        </style>
      </head>
      <body>
        <h1>Stock report: ${report.merchant}</h1>
        <p class="soft">
          ${clock.minute(report.sinceMs)} to ${clock.minute(report.untilMs)} (${report.timeZone})
        </p>
        ${headline(report)} ${tiles(report)} ${channelSection(report, clock)} ${findingSection(report, clock)}
        ${shortfallSection(report, clock)} ${bufferSection(report)} ${runSection(report, clock)}
        <footer>
          Made ${clock.minute(report.madeAtMs)} by stockmesh from ledger position ${report.position}. Report
          ${report.id}. Every number can be traced: <code>stockmesh explain SKU</code>.
        </footer>
      </body>
    </html> `;
  return page.text;
}

/** The style sheet is ours; in an HTML file it must stand as it is. */
function raw(text: string): Html {
  return new Html(text);
}

function openOf(report: Report): readonly Finding[] {
  return report.findings.filter(({ state }) => state !== 'resolved');
}

function headline(report: Report): Html {
  const open = openOf(report).length;
  const parked = report.findings.filter(({ state }) => state === 'parked').length;
  const decisions =
    parked === 0
      ? ''
      : ` ${plural(parked, 'difference')} ${parked === 1 ? 'waits' : 'wait'} for your decision.`;
  const short = report.shortfalls.filter(({ stillOpenUnits }) => stillOpenUnits > 0).length;
  const unread = report.channels
    .filter(({ runs, aborted }) => runs === aborted)
    .map(({ channel }) => channel);
  if (short > 0)
    return html`<div class="verdict bad">
      ${plural(short, 'product')} ${short === 1 ? 'is' : 'are'} promised more often than there is stock. The
      list of orders is below.${decisions}
    </div>`;
  if (open > 0)
    return html`<div class="verdict warn">
      ${plural(open, 'difference')} ${open === 1 ? 'is' : 'are'} not settled yet. What is known of
      ${open === 1 ? 'it' : 'them'} is below.${decisions}
    </div>`;
  if (unread.length > 0)
    return html`<div class="verdict warn">
      No difference is known, but ${unread.join(', ')} could not be compared in this time.
    </div>`;
  return html`<div class="verdict">Every channel shows what it should. Nothing waits for you.</div>`;
}

function tiles(report: Report): Html {
  const rows = report.channels.reduce((sum, channel) => sum + channel.rows, 0);
  const resolved = report.findings.length - openOf(report).length;
  const units = report.shortfalls.reduce((sum, shortfall) => sum + shortfall.units, 0);
  const values = report.shortfalls.flatMap(({ value }) => (value === null ? [] : [value]));
  const worth =
    values.length === 0
      ? ''
      : ` worth ${money(
          values.reduce((a, b) => a + b, 0),
          report.currency,
        )}`;
  return html`<div class="tiles">
    <div class="tile">
      <b>${count(rows)}</b><span>numbers compared on ${plural(report.channels.length, 'channel')}</span>
    </div>
    <div class="tile">
      <b>${count(report.findings.length)}</b><span>differences found, ${count(resolved)} settled</span>
    </div>
    <div class="tile"><b>${count(units)}</b><span>units oversold${worth}</span></div>
    <div class="tile"><b>${count(openOf(report).length)}</b><span>differences open now</span></div>
  </div>`;
}

function channelSection(report: Report, clock: Clock): Html {
  const bars = report.channels.map(({ channel, agreePercent }): Bar => ({
    label: channel,
    value: agreePercent ?? 0,
    shown: agreePercent === null ? 'not compared' : `${agreePercent} %`,
    tone: agreePercent === 100 ? 'good' : (agreePercent ?? 0) >= 99 ? 'warn' : 'bad',
  }));
  return html`<h2>Do the channels agree?</h2>
    <p class="soft">Of 100 numbers compared, how many were right, or had the right one already on its way.</p>
    ${barChart('Numbers that agree, per channel', bars, 100)}
    <div class="scroll">
      <table>
        <thead>
          <tr>
            <th>Channel</th>
            <th class="number">Compared</th>
            <th class="number">Comparisons</th>
            <th class="number">Stopped</th>
            <th class="number">Units off</th>
            <th class="number">Open</th>
            <th>Last compared</th>
            <th>A full look took</th>
            <th>At the platform's published limits, at least</th>
          </tr>
        </thead>
        <tbody>
          ${report.channels.map((channel) => channelRow(channel, clock))}
        </tbody>
      </table>
    </div>`;
}

function channelRow(channel: ChannelSummary, clock: Clock): Html {
  const { lastRunAtMs, cycleMs, publishedCycleMs } = channel;
  return html`<tr>
    <td>${channel.channel}</td>
    <td class="number">${count(channel.rows)}</td>
    <td class="number">${channel.runs}</td>
    <td class="number">${channel.aborted}</td>
    <td class="number">${count(channel.driftUnits)}</td>
    <td class="number">${channel.openFindings}</td>
    <td>${lastRunAtMs === null ? 'never' : clock.minute(lastRunAtMs)}</td>
    <td>${cycleMs === null ? '' : duration(cycleMs)}</td>
    <td>${publishedCycleMs === null ? '' : duration(publishedCycleMs)}</td>
  </tr> `;
}

function findingSection(report: Report, clock: Clock): Html {
  const bars = verdicts.flatMap((verdict): Bar[] => {
    const found = report.findings.filter((finding) => finding.verdict === verdict).length;
    return found === 0
      ? []
      : [{ label: verdictTitles[verdict], value: found, shown: String(found), tone: 'plain' }];
  });
  if (bars.length === 0)
    return html`<h2>What differed</h2>
      <p>Nothing differed in this time.</p>`;
  const sorted = report.findings.toSorted((a, b) => rank(a) - rank(b) || b.openedAtMs - a.openedAtMs);
  const shown = sorted.slice(0, maxRowsShown);
  const hidden = report.findings.length - shown.length + report.leftOut.findings;
  return html`<h2>What differed, and why</h2>
    ${barChart('Differences by kind', bars, Math.max(...bars.map(({ value }) => value)))}
    <div class="scroll">
      <table>
        <thead>
          <tr>
            <th>Found</th>
            <th>Channel</th>
            <th>SKU</th>
            <th>What happened</th>
            <th></th>
          </tr>
        </thead>
        <tbody>
          ${shown.map((finding) => findingRow(finding, clock))}
        </tbody>
      </table>
    </div>
    ${hidden > 0 ? html`<p class="soft">${count(hidden)} more are in the CSV and JSON files of this report.</p>` : ''}`;
}

function rank(finding: Finding): number {
  return finding.state === 'parked' ? 0 : finding.state === 'resolved' ? 2 : 1;
}

const stateTags: Readonly<Record<Finding['state'], string>> = {
  open: 'open',
  acted: 'being corrected',
  parked: 'your decision',
  frozen: 'frozen by you',
  resolved: 'settled',
};

function findingRow(finding: Finding, clock: Clock): Html {
  const tone = finding.state === 'resolved' ? 'good' : finding.state === 'parked' ? 'bad' : 'warn';
  const word = stateTags[finding.state];
  return html`<tr>
    <td>${clock.minute(finding.openedAtMs)}</td>
    <td>${finding.channel}</td>
    <td class="sku">${finding.sku || finding.listingId}</td>
    <td>
      <b>${verdictTitles[finding.verdict]}.</b> ${findingSentence(finding)}
      <details>
        <summary>what was done</summary>
        <table>
          <thead>
            <tr>
              <th>When</th>
              <th>Step</th>
              <th class="number">Old</th>
              <th class="number">New</th>
              <th>Rule</th>
              <th>Reason</th>
              <th>By</th>
              <th>Sequence</th>
            </tr>
          </thead>
          <tbody>
            ${finding.steps.map(
              (step) =>
                html`<tr>
                  <td>${clock.minute(step.atMs)}</td>
                  <td>${stepTitles[step.what]}</td>
                  <td class="number">${step.from ?? ''}</td>
                  <td class="number">${step.to ?? ''}</td>
                  <td>${finding.rule}</td>
                  <td>${step.reason}</td>
                  <td>${step.actor}</td>
                  <td>${step.position}</td>
                </tr> `,
            )}
          </tbody>
        </table>
      </details>
    </td>
    <td><span class="tag ${tone}">${word}</span></td>
  </tr> `;
}

function runSection(report: Report, clock: Clock): Html {
  if (report.runs.length === 0)
    return html`<h2>Comparisons</h2>
      <p>No comparison ran in this time.</p>`;
  const lines = report.channels.map(({ channel }) => ({
    label: channel,
    points: report.runs
      .filter((run) => run.channel === channel && run.state === 'completed')
      .map((run) => ({ atMs: run.startedAtMs, value: run.driftUnits }))
      .toReversed(),
  }));
  const drawn = lines.filter(({ points }) => points.length > 1);
  const chart =
    drawn.length === 0
      ? ''
      : lineChart('Units off, per comparison', drawn, report, (atMs) => clock.day(atMs));
  return html`<h2>Comparisons</h2>
    ${chart}
    <div class="scroll">
      <table>
        <thead>
          <tr>
            <th>Started</th>
            <th>Channel</th>
            <th>Kind</th>
            <th>Ended</th>
            <th class="number">Rows</th>
            <th class="number">New differences</th>
            <th class="number">Settled</th>
            <th>By</th>
          </tr>
        </thead>
        <tbody>
          ${report.runs.slice(0, 100).map((run) => {
            const end = run.state === 'aborted' ? `stopped: ${run.reason}` : run.state;
            return html`<tr>
              <td>${clock.minute(run.startedAtMs)}</td>
              <td>${run.channel}</td>
              <td>${run.kind}${run.isDryRun ? ' (dry run)' : ''}</td>
              <td>${end}</td>
              <td class="number">${count(run.rows)}</td>
              <td class="number">${run.opened}</td>
              <td class="number">${run.resolved}</td>
              <td>${run.actor}</td>
            </tr> `;
          })}
        </tbody>
      </table>
    </div>`;
}
