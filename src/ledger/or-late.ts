/**
 * What `work` comes to, or `late` when it takes longer. After a pause of the process timers run before the sockets are read:
 * an answer that has come by then is in time.
 */
export async function orLate<Done, Late>(work: Promise<Done>, ms: number, late: Late): Promise<Done | Late> {
  let timer: NodeJS.Timeout | undefined;
  const timeUp = new Promise<Late>((resolve) => {
    timer = setTimeout(() => setImmediate(resolve, late), ms);
  });
  try {
    return await Promise.race([work, timeUp]);
  } finally {
    clearTimeout(timer);
  }
}
