/** What waits to be sent, by topic. Topics take turns; the one at the front goes next. */
export class TopicTurns<Job> {
  readonly #queues = new Map<string, Job[]>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  add(topic: string, job: Job): void {
    this.#size += 1;
    const queue = this.#queues.get(topic);
    if (queue === undefined) this.#queues.set(topic, [job]);
    else queue.push(job);
  }

  next(): Job | undefined {
    const front = this.#queues.entries().next().value;
    if (front === undefined) return undefined;
    const [topic, queue] = front;
    this.#queues.delete(topic);
    const job = queue.shift();
    if (queue.length > 0) this.#queues.set(topic, queue);
    this.#size -= 1;
    return job;
  }

  clear(): void {
    this.#queues.clear();
    this.#size = 0;
  }
}
