/**
 * Estimate of the ledger server's wall clock. A reply's time is compared with its arrival, so the estimate lags the
 * server by the way back: the safe side for `beganAtMs` (a fetch is never believed to have begun later than it did).
 */
export class ServerClock {
  #offsetMs = 0;

  observe(serverMs: number): void {
    if (serverMs > 0) this.#offsetMs = serverMs - Date.now();
  }

  nowMs(): number {
    return Date.now() + this.#offsetMs;
  }
}
