import { Counter, Gauge, Histogram, type Registry } from 'prom-client';

/** What reconciliation did and found, per channel. */
export class ReconcileMetrics {
  readonly rows: Counter<'channel' | 'verdict'>;
  readonly findings: Counter<'channel' | 'verdict'>;
  readonly openFindings: Gauge<'channel' | 'state'>;
  readonly driftUnits: Gauge<'channel'>;
  readonly actions: Counter<'channel' | 'action'>;
  readonly runs: Counter<'channel' | 'kind' | 'state'>;
  readonly runSeconds: Histogram<'channel' | 'kind'>;
  readonly watched: Gauge<'channel'>;
  /** Since the last complete cycle or full run of the channel ended. */
  readonly cycleAgeSeconds: Gauge<'channel'>;

  constructor(registry: Registry) {
    const registers = [registry];
    this.rows = new Counter({
      name: 'stockmesh_reconcile_rows_total',
      help: 'Rows read and judged, by what was said of them at the first look',
      labelNames: ['channel', 'verdict'],
      registers,
    });
    this.findings = new Counter({
      name: 'stockmesh_reconcile_findings_total',
      help: 'Differences that were proven',
      labelNames: ['channel', 'verdict'],
      registers,
    });
    this.openFindings = new Gauge({
      name: 'stockmesh_drift_open',
      help: 'Findings that are not resolved',
      labelNames: ['channel', 'state'],
      registers,
    });
    this.driftUnits = new Gauge({
      name: 'stockmesh_drift_units',
      help: 'Sum of the absolute differences of findings that are not resolved',
      labelNames: ['channel'],
      registers,
    });
    this.actions = new Counter({
      name: 'stockmesh_reconcile_actions_total',
      help: 'What was done about findings, by policy or by a person',
      labelNames: ['channel', 'action'],
      registers,
    });
    this.runs = new Counter({
      name: 'stockmesh_reconcile_runs_total',
      help: 'Runs that ended',
      labelNames: ['channel', 'kind', 'state'],
      registers,
    });
    this.runSeconds = new Histogram({
      name: 'stockmesh_reconcile_run_seconds',
      help: 'Duration of runs',
      labelNames: ['channel', 'kind'],
      buckets: [0.1, 0.5, 1, 5, 15, 60, 300, 900, 3_600, 14_400],
      registers,
    });
    this.watched = new Gauge({
      name: 'stockmesh_reconcile_watched',
      help: 'Listings whose read needs an explanation',
      labelNames: ['channel'],
      registers,
    });
    this.cycleAgeSeconds = new Gauge({
      name: 'stockmesh_reconcile_cycle_age_seconds',
      help: 'Time since every listing of the channel was last read and judged',
      labelNames: ['channel'],
      registers,
    });
  }
}
