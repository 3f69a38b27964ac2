import { Counter, Gauge, type Registry } from 'prom-client';

/** What log retention does, for the daemon's registry. */
export class RetentionMetrics {
  readonly #archived: Counter;
  readonly #segments: Counter;
  readonly #trimmed: Counter;
  readonly #droppedCursors: Counter;
  readonly #failures: Counter;
  readonly #entries: Gauge;
  readonly #notJoined: Gauge;

  constructor(registry: Registry) {
    const registers = [registry];
    this.#archived = new Counter({
      name: 'stockmesh_log_archived_entries_total',
      help: 'Entries written to the archive',
      registers,
    });
    this.#segments = new Counter({
      name: 'stockmesh_log_archived_segments_total',
      help: 'Segments written to the archive',
      registers,
    });
    this.#trimmed = new Counter({
      name: 'stockmesh_log_trimmed_entries_total',
      help: 'Archived entries dropped from Redis',
      registers,
    });
    this.#droppedCursors = new Counter({
      name: 'stockmesh_log_dropped_cursors_total',
      help: 'Channel cursors older than the log, dropped for a full resync',
      registers,
    });
    this.#failures = new Counter({
      name: 'stockmesh_log_retention_failures_total',
      help: 'Runs of log retention that failed',
      registers,
    });
    this.#entries = new Gauge({
      name: 'stockmesh_log_entries',
      help: 'Entries of the log in Redis after the last run of retention',
      registers,
    });
    this.#notJoined = new Gauge({
      name: 'stockmesh_log_retention_not_joined',
      help: '1 while the archive of this daemon does not reach up to the log',
      registers,
    });
  }

  segment(entries: number): void {
    this.#archived.inc(entries);
    this.#segments.inc();
  }

  length(entries: number): void {
    this.#entries.set(entries);
  }

  failed(): void {
    this.#failures.inc();
  }

  trimmed(entries: number, droppedCursors: number): void {
    this.#trimmed.inc(entries);
    this.#droppedCursors.inc(droppedCursors);
  }

  joined(isJoined: boolean): void {
    this.#notJoined.set(isJoined ? 0 : 1);
  }
}
