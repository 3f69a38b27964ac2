/** After a pause of the process timers run before the sockets are read: what has come by then is in time. */
export function limitTime(ms: number, tooLate: () => void): () => void {
  let last: NodeJS.Immediate | undefined;
  const timer = setTimeout(() => (last = setImmediate(tooLate)), ms);
  return () => {
    clearTimeout(timer);
    clearImmediate(last);
  };
}
