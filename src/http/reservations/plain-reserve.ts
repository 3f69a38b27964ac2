interface OneSku {
  sku: string;
  quantity: number;
  agent_id?: string;
  session_id?: string;
  ttl_seconds?: number;
}

/** Texts of which every one is a SKU; most are written like this. */
const plainSku = /^[A-Za-z0-9][A-Za-z0-9 ._/-]{0,79}$/;
const plainId = /^[A-Za-z0-9][A-Za-z0-9._:@-]{0,99}$/;

/**
 * The body nearly every reserve has (one SKU, nothing unusual), read at a tenth of what its schema takes. Undefined:
 * whatever it is, good or bad, the schema judges it. What is answered is what the schema answers, member for member.
 */
export function readPlainReserve(input: unknown): OneSku | undefined {
  if (typeof input !== 'object' || input === null) return undefined;
  let [sku, agentId, sessionId] = ['', '', ''];
  let [quantity, ttlSeconds] = [0, 0];
  for (const name in input) {
    const value = (input as Readonly<Record<string, unknown>>)[name];
    switch (name) {
      case 'sku':
        if (typeof value !== 'string' || !plainSku.test(value)) return undefined;
        sku = value;
        break;
      case 'quantity':
        if (!isWhole(value, 1_000_000)) return undefined;
        quantity = value;
        break;
      case 'agent_id':
        if (typeof value !== 'string' || !plainId.test(value)) return undefined;
        agentId = value;
        break;
      case 'session_id':
        if (typeof value !== 'string' || !plainId.test(value)) return undefined;
        sessionId = value;
        break;
      case 'ttl_seconds':
        if (!isWhole(value, 86_400)) return undefined;
        ttlSeconds = value;
        break;
      default:
        return undefined;
    }
  }
  if (sku === '' || quantity === 0) return undefined;
  // In the order of the schema: fingerprints of requests are made of it.
  const body: OneSku = { sku, quantity };
  if (agentId !== '') body.agent_id = agentId;
  if (sessionId !== '') body.session_id = sessionId;
  if (ttlSeconds !== 0) body.ttl_seconds = ttlSeconds;
  return body;
}

function isWhole(value: unknown, max: number): value is number {
  return Number.isInteger(value) && (value as number) >= 1 && (value as number) <= max;
}
