import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Fault } from '../shopify/faults.ts';
import { parseObject, readBody, sendJson } from '../shopify/http/body.ts';
import type { Account } from './account.ts';
import type { Records } from './records.ts';
import type { WarehouseOptions } from './warehouse.ts';

/** What the control API may reach of the sandbox. */
export interface ControlHost {
  readonly records: Records;
  readonly accounts: ReadonlyMap<string, Account>;
  add(options: WarehouseOptions): Account;
}

type Input = Record<string, unknown>;
type Action = (account: Account, input: Input) => unknown;

/** Remote control for other processes, trusted input: `/_control/<what>` and `/_control/warehouses/<name>/<what>`. */
export async function handleControl(
  host: ControlHost,
  url: URL,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const [, , what, name, action = ''] = url.pathname.split('/').map((part) => decodeURIComponent(part));
  const body = await readBody(request);
  const input = body.kind === 'read' ? parseObject(body.text === '' ? '{}' : body.text) : null;
  try {
    const result = input && answer(host, request.method === 'POST', what, name, action, input);
    if (result === undefined || result === null) sendJson(response, 404, { error: `no ${url.pathname}` });
    else sendJson(response, 200, result);
  } catch (error) {
    sendJson(response, 400, { error: error instanceof Error ? error.message : String(error) });
  }
}

function answer(
  host: ControlHost,
  isPost: boolean,
  what: string | undefined,
  name: string | undefined,
  action: string,
  input: Input,
): unknown {
  if (what === 'health') return { ok: true };
  if (what === 'violations' || what === 'audit' || what === 'requests')
    return { [what]: host.records[what].all() };
  if (what !== 'warehouses') return undefined;
  if (name === undefined) {
    return isPost
      ? describeAccount(host.add(input as unknown as WarehouseOptions))
      : { warehouses: [...host.accounts.values()].map(describeAccount) };
  }
  const account = host.accounts.get(name);
  if (!account) throw new Error(`no warehouse ${name}`);
  return (isPost ? COMMANDS : QUERIES)[action]?.(account, input);
}

export const describeAccount = ({ warehouse }: Account) => ({
  name: warehouse.name,
  kind: warehouse.kind,
  baseUrl: warehouse.baseUrl,
  places: warehouse.places,
  username: warehouse.options.username ?? 'user@example.com',
  password: warehouse.options.password ?? 'secret',
  accessToken: warehouse.options.accessToken ?? 'pat-sandbox',
});

type Lines = readonly { readonly sku: string; readonly units: number }[];

const COMMANDS: Readonly<Record<string, Action>> = {
  items: ({ warehouse }, input) => ({
    items: (input['items'] as readonly { sku: string; onHand?: number; place?: string }[]).map((item) =>
      warehouse.addItem(item),
    ),
  }),
  adjust: ({ warehouse }, input) => warehouse.adjust(input['sku'] as string, Number(input['change']), input),
  ship: ({ warehouse }, input) =>
    warehouse.ship(input['lines'] as Lines, input['place'] as string | undefined),
  faults: ({ warehouse }, input) => {
    warehouse.setFaults(input['faults'] as readonly Fault[]);
    return { ok: true };
  },
  webhooks: ({ desk }, input) => Object.assign(desk.behaviour, input),
  'expire-tokens': ({ api }) => {
    api.tokens.expireAll();
    return { ok: true };
  },
};

const QUERIES: Readonly<Record<string, Action>> = {
  stock: ({ warehouse }) => ({ stock: warehouse.shelves() }),
  deliveries: ({ desk }) => ({ deliveries: desk.log }),
  subscriptions: ({ desk }) => ({ subscriptions: desk.subscriptions() }),
};
