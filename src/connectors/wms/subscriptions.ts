import type { SubscriptionReport, SubscriptionTarget } from '../connector.ts';
import type { TokenStore } from '../ports.ts';
import { isRecord } from '../raw-json.ts';
import type { WmsApi } from './api.ts';
import { idOf } from './count-rows.ts';
import { compilePath, selectAll, selectOne } from './json-path.ts';
import { shipBobTopics } from './shipbob.ts';
import { tokenOf } from './token-request.ts';
import type { WmsWebhooks } from './webhook.ts';

export interface Subscriptions {
  /** Secrets that were shown when a subscription was made, by whichever daemon made it. */
  load(): Promise<void>;
  run(target: SubscriptionTarget, mayCreate: boolean, signal: AbortSignal): Promise<SubscriptionReport>;
}

interface Parts {
  readonly api: WmsApi;
  readonly baseUrl: string;
  readonly webhooks: WmsWebhooks;
  readonly tokens: TokenStore;
  readonly secrets: readonly string[];
}

interface Found {
  readonly topics: readonly string[];
  readonly url: string;
  readonly problem: string | undefined;
}

const shipHeroTopics = ['Inventory Update', 'Inventory Change', 'Shipment Update'] as const;
const shopName = 'stockmesh';

/** For sources that cannot be told where to send: a person sets it up there. */
export const noSubscriptions: Subscriptions = {
  load: async () => undefined,
  run: async () => ({ present: [], created: [], missing: [], problems: [] }),
};

export function shipHeroSubscriptions(parts: Parts): Subscriptions {
  const ask = async (query: string, variables: object, signal: AbortSignal): Promise<unknown> => {
    const answer = await parts.api.read(
      {
        method: 'POST',
        url: `${parts.baseUrl}/graphql`,
        operation: 'webhooks',
        headers: {},
        body: JSON.stringify({ query, variables }),
        rows: 100,
      },
      signal,
    );
    return answer.json;
  };
  const list = async (signal: AbortSignal): Promise<readonly Found[]> => {
    const query =
      'query Webhooks { webhooks { request_id data(first: 100) { edges { node { id name url shop_name enabled health } } } } }';
    const nodes = selectAll(await ask(query, {}, signal), compilePath('data.webhooks.data.edges[*].node'));
    return nodes.filter(isRecord).map((node) => ({
      topics: [idOf(node['name']) ?? ''],
      url: idOf(node['url']) ?? '',
      // Events of a disabled webhook are thrown away there.
      problem:
        node['enabled'] === false || node['health'] === 'UNHEALTHY'
          ? 'is unhealthy or switched off in ShipHero: switch it on there'
          : undefined,
    }));
  };
  const create = async (topic: string, url: string, signal: AbortSignal): Promise<string | undefined> => {
    const query =
      'mutation Create($data: CreateWebhookInput!) { webhook_create(data: $data) { request_id webhook { name url shared_signature_secret } } }';
    const answer = await ask(query, { data: { name: topic, url, shop_name: shopName } }, signal);
    return tokenOf(selectOne(answer, compilePath('data.webhook_create.webhook.shared_signature_secret')));
  };
  return registry(parts, shipHeroTopics, list, create);
}

export function shipBobSubscriptions(parts: Parts): Subscriptions {
  const url = `${parts.baseUrl}/webhook`;
  const base = { operation: 'webhooks', headers: {}, rows: 1 } as const;
  const list = async (signal: AbortSignal): Promise<readonly Found[]> => {
    const answer = await parts.api.read(
      { ...base, method: 'GET', url: `${url}?RecordsPerPage=250`, body: undefined },
      signal,
    );
    return selectAll(answer.json, compilePath('items[*]'))
      .filter(isRecord)
      .map((item) => ({
        topics: selectAll(item, compilePath('topics[*]')).map(String),
        url: idOf(item['url']) ?? '',
        problem: item['enabled'] === false ? 'is switched off in ShipBob: delete it there' : undefined,
      }));
  };
  const create = async (
    topic: string,
    callback: string,
    signal: AbortSignal,
  ): Promise<string | undefined> => {
    const [secret] = parts.secrets;
    const body = { topics: [topic], url: callback, description: shopName, ...(secret ? { secret } : {}) };
    const answer = await parts.api.read({ ...base, method: 'POST', url, body: JSON.stringify(body) }, signal);
    return secret ?? tokenOf(selectOne(answer.json, compilePath('secret')));
  };
  return registry(parts, shipBobTopics, list, create);
}

/**
 * Keeps one subscription per topic. The platform shows a secret once, when it makes it: it is stored before the next topic
 * is asked for, and loaded again by every daemon.
 */
function registry(
  { webhooks, tokens, secrets }: Parts,
  topics: readonly string[],
  list: (signal: AbortSignal) => Promise<readonly Found[]>,
  create: (topic: string, url: string, signal: AbortSignal) => Promise<string | undefined>,
): Subscriptions {
  const load = async (topic: string): Promise<boolean> => {
    const stored = await tokens.load(secretName(topic));
    if (stored === undefined) return secrets.length > 0;
    webhooks.addSecret(stored.accessToken);
    return true;
  };
  return {
    async load() {
      for (const topic of topics) await load(topic);
    },
    async run({ callbackUrl }, mayCreate, signal) {
      const report = {
        present: [] as string[],
        created: [] as string[],
        missing: [] as string[],
        problems: [] as string[],
      };
      const found = await list(signal);
      for (const topic of topics) {
        const ours = found.find((one) => one.url === callbackUrl && one.topics.includes(topic));
        if (ours !== undefined) {
          report.present.push(topic);
          if (ours.problem !== undefined) report.problems.push(`${topic} ${ours.problem}`);
          if (!(await load(topic)))
            report.problems.push(`${topic}: its secret is not known; delete the webhook and it is made anew`);
          continue;
        }
        if (!mayCreate) {
          report.missing.push(topic);
          continue;
        }
        const secret = await create(topic, callbackUrl, signal);
        if (secret !== undefined) {
          await tokens.renew(secretName(topic), async () => ({ accessToken: secret }));
          webhooks.addSecret(secret);
        }
        report.created.push(topic);
      }
      return report;
    },
  };
}

function secretName(topic: string): string {
  return `webhook-${topic.toLowerCase().replace(/[^a-z0-9]+/g, '-')}`;
}
