export interface ServerEvent {
  readonly id: string;
  readonly event: string;
  readonly data: Readonly<Record<string, unknown>>;
}

export interface FollowedEvents {
  all(): readonly ServerEvent[];
  movements(): readonly ServerEvent[];
  comments(): readonly string[];
  /** As a browser would send it when it comes back. */
  lastEventId(): string;
  isEnded(): boolean;
  close(): void;
}

/** Reads server-sent events as the HTML standard says; Node has no EventSource of its own. */
export async function followEvents(
  url: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<FollowedEvents> {
  const abort = new AbortController();
  const response = await fetch(url, { headers, signal: abort.signal });
  if (!response.ok || response.body === null) throw new Error(`${response.status} ${await response.text()}`);
  const events: ServerEvent[] = [];
  const comments: string[] = [];
  let lastId = '';
  let isEnded = false;
  const read = async (body: ReadableStream<Uint8Array>): Promise<void> => {
    const decoder = new TextDecoder();
    let text = '';
    for await (const chunk of body) {
      text += decoder.decode(chunk, { stream: true });
      for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
        take(text.slice(0, end));
        text = text.slice(end + 2);
      }
    }
  };
  const take = (block: string): void => {
    let event = 'message';
    let data: string | undefined;
    for (const line of block.split('\n')) {
      if (line.startsWith(':')) comments.push(line.slice(1).trim());
      else if (line.startsWith('id: ')) lastId = line.slice(4);
      else if (line.startsWith('event: ')) event = line.slice(7);
      else if (line.startsWith('data: ')) data = line.slice(6);
    }
    if (data !== undefined)
      events.push({ id: lastId, event, data: JSON.parse(data) as Record<string, unknown> });
  };
  read(response.body)
    .catch(() => undefined)
    .finally(() => (isEnded = true));
  return {
    all: () => events,
    movements: () => events.filter(({ event }) => event === 'movement'),
    comments: () => comments,
    lastEventId: () => lastId,
    isEnded: () => isEnded,
    close: () => abort.abort(),
  };
}
