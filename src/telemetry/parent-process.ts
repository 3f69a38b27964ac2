/**
 * Calls back once when the process that started us is gone. `npm start` killed with SIGKILL cannot pass a signal on;
 * without this the daemon would go on unseen, hold its directory and its ports, and refuse its successor.
 * Returns a function that ends the watch.
 */
export function watchParent(onGone: () => void, pollMs = 100): () => void {
  const parent = process.ppid;
  const timer = setInterval(() => {
    // An orphan gets another parent; there is no event for it.
    if (process.ppid === parent) return;
    clearInterval(timer);
    onGone();
  }, pollMs);
  timer.unref();
  return () => clearInterval(timer);
}
