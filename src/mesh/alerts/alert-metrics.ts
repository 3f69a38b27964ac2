import { Counter, Gauge, type Registry } from 'prom-client';

export class AlertMetrics {
  readonly open: Gauge<'rule' | 'severity'>;
  readonly raised: Counter<'rule' | 'outcome'>;
  readonly notices: Counter<'sender' | 'outcome'>;

  constructor(registry: Registry) {
    const registers = [registry];
    this.open = new Gauge({
      name: 'stockmesh_alerts_open',
      help: 'Alerts that last',
      labelNames: ['rule', 'severity'],
      registers,
    });
    this.raised = new Counter({
      name: 'stockmesh_alerts_raised_total',
      help: 'Times something was found worth an alert, by what came of it',
      labelNames: ['rule', 'outcome'],
      registers,
    });
    this.notices = new Counter({
      name: 'stockmesh_alert_notices_total',
      help: 'Messages to people, by what became of them',
      labelNames: ['sender', 'outcome'],
      registers,
    });
  }
}
