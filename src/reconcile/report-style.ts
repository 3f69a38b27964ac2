/** In the file itself: a report is mailed and kept, and must look the same without a network in years. */
export const reportStyle = `
:root { --ink: #1c2330; --soft: #5b6576; --line: #dde2ea; --paper: #fff; --wash: #f5f7fa; --good: #1f8a5b; --warn: #b7791f; --bad: #c0392b; --plain: #4a6fa5; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6eaf1; --soft: #9aa5b6; --line: #2e3645; --paper: #151a22; --wash: #1d2430; --good: #4cc38a; --warn: #e0a94a; --bad: #ef7f72; --plain: #86a8dc; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 32px 24px 64px; max-width: 1080px; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif; }
h1 { font-size: 26px; margin: 0 0 4px; } h2 { font-size: 19px; margin: 40px 0 8px; } p { margin: 4px 0 12px; } .soft { color: var(--soft); }
.verdict { display: flex; gap: 14px; align-items: center; padding: 16px 20px; border-radius: 10px; background: var(--wash); border-left: 6px solid var(--good); margin: 20px 0; font-size: 17px; }
.verdict.warn { border-color: var(--warn); } .verdict.bad { border-color: var(--bad); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(190px, 1fr)); gap: 12px; margin: 16px 0; }
.tile { background: var(--wash); border-radius: 10px; padding: 14px 16px; } .tile b { display: block; font-size: 26px; line-height: 1.2; font-variant-numeric: tabular-nums; } .tile span { color: var(--soft); font-size: 13px; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; width: 100%; font-size: 14px; margin: 8px 0 16px; }
th, td { text-align: left; padding: 7px 10px; border-bottom: 1px solid var(--line); vertical-align: top; } th { color: var(--soft); font-weight: 600; font-size: 12.5px; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; } td.sku { min-width: 9ch; font-family: ui-monospace, SFMono-Regular, Menlo, monospace; font-size: 13px; word-break: break-word; }
.tag { display: inline-block; padding: 1px 8px; border-radius: 99px; background: var(--wash); border: 1px solid var(--line); font-size: 12.5px; white-space: nowrap; }
.tag.bad { color: var(--bad); border-color: currentColor; } .tag.warn { color: var(--warn); border-color: currentColor; } .tag.good { color: var(--good); border-color: currentColor; }
details { margin: 2px 0; } summary { cursor: pointer; color: var(--soft); font-size: 13px; } details table { font-size: 12.5px; }
.chart { width: 100%; max-width: 760px; height: auto; font-size: 12.5px; } .chart text { fill: var(--ink); } .chart .number { fill: var(--soft); } .chart .grid { stroke: var(--line); }
.chart .good { fill: var(--good); } .chart .warn { fill: var(--warn); } .chart .bad { fill: var(--bad); } .chart .plain { fill: var(--plain); }
.chart polyline { fill: none; stroke-width: 2; } .chart .line0 { stroke: var(--plain); } .chart .line1 { stroke: var(--warn); } .chart .line2 { stroke: var(--good); } .chart .line3 { stroke: var(--bad); }
.chart text.line0, .chart circle.line0 { stroke: none; fill: var(--plain); } .chart text.line1, .chart circle.line1 { stroke: none; fill: var(--warn); } .chart text.line2, .chart circle.line2 { stroke: none; fill: var(--good); } .chart text.line3, .chart circle.line3 { stroke: none; fill: var(--bad); }
footer { margin-top: 48px; color: var(--soft); font-size: 13px; border-top: 1px solid var(--line); padding-top: 12px; }
@media print { body { max-width: none; padding: 0; } details { display: none; } .verdict, .tile { border: 1px solid var(--line); } }
`;
