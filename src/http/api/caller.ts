/**
 * What a route asks of who calls it:
 * availability: what could be had, and one's own holds · reserve: reserve, extend, commit, release · read: every figure
 * of the daemon · operator: steer it · adjust: move stock by hand · admin: API keys.
 */
export const scopes = ['availability', 'reserve', 'read', 'operator', 'adjust', 'admin'] as const;
export type Scope = (typeof scopes)[number];

/** Decides pool, buffer, limits and the default time to live. */
export const callerClasses = ['agent', 'checkout', 'operator'] as const;
export type CallerClass = (typeof callerClasses)[number];

/** An agent may never move stock by hand, whatever its key was given. */
export const agentScopes: ReadonlySet<Scope> = new Set(['availability', 'reserve']);

export interface Caller {
  /** Public id of the key; `local` for whoever is on this machine while no key is configured. */
  readonly keyId: string;
  readonly class: CallerClass;
  readonly scopes: ReadonlySet<Scope>;
  /** The one agent the key stands for; absent: the request names it. */
  readonly agentId?: string | undefined;
}

/** Agents stay agents even when their key's record was given more by hand. */
export function isAllowed(caller: Caller, scope: Scope): boolean {
  if (caller.class === 'agent' && !agentScopes.has(scope)) return false;
  return caller.scopes.has(scope);
}

/** Whoever is on this machine while no key is configured. */
export const localOperator: Caller = { keyId: 'local', class: 'operator', scopes: new Set(scopes) };
