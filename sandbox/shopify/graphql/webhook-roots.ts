import { isGiven } from './given.ts';
import { isoSeconds } from '../ids.ts';
import { addressProblem } from '../webhooks/subscriptions.ts';
import type { Subscription, SubscriptionInput } from '../webhooks/subscriptions.ts';
import { paginate } from './connection.ts';
import type { PageArguments } from './connection.ts';
import type { RequestContext, Resolver, TypeResolvers } from './context.ts';
import { topLevelError, userError } from './failures.ts';
import type { UserError } from './failures.ts';

interface RawInput {
  readonly uri?: string | null;
  readonly callbackUrl?: string | null;
  readonly format?: string | null;
  readonly includeFields?: readonly string[] | null;
  readonly filter?: string | null;
  readonly name?: string | null;
}

interface SubscriptionPayload {
  readonly webhookSubscription: Subscription | null;
  readonly userErrors: readonly UserError[];
}

/** Address errors name the deprecated input even when `uri` was sent: recorded. */
const refused = (field: string, message: string): SubscriptionPayload => ({
  webhookSubscription: null,
  userErrors: [userError(['webhookSubscription', field], null, message)],
});

const SCOPE_BY_TOPIC: readonly (readonly [RegExp, string])[] = [
  [/^INVENTORY_/, 'read_inventory'],
  [/^(ORDERS|REFUNDS|FULFILLMENTS|ORDER_TRANSACTIONS)_/, 'read_orders'],
  [/^LOCATIONS_/, 'read_locations'],
  [/^PRODUCTS_/, 'read_products'],
  [/^RETURNS_/, 'read_returns'],
];

function checkedInput(
  context: RequestContext,
  raw: RawInput,
  previous: Subscription | null,
): SubscriptionInput | SubscriptionPayload {
  if (isGiven(raw.callbackUrl))
    context.shop.violate('deprecated-callback-url', `${context.operation}: callbackUrl instead of uri`);
  const uri = (raw.uri ?? raw.callbackUrl ?? previous?.uri ?? '').trim();
  const problem = addressProblem(uri, context.shop.isLoopbackWebhookAllowed);
  if (problem) return refused('callbackUrl', problem);
  if (isGiven(raw.format) && raw.format !== 'JSON')
    return refused('format', "Format 'xml' is invalid for this webhook topic. Allowed formats: json");
  const filter = raw.filter ?? previous?.filter ?? null;
  if (filter !== null && filter !== '')
    throw topLevelError('NOT_EMULATED', 'The sandbox does not evaluate webhook filters');
  const name = raw.name ?? previous?.name ?? null;
  if (name !== null && !/^[\w-]+$/.test(name))
    return refused(
      'name',
      'Name name field can only contain alphanumeric characters, underscores, and hyphens',
    );
  return { uri, includeFields: raw.includeFields ?? previous?.includeFields ?? [], filter, name };
}

export const WEBHOOK_MUTATIONS: TypeResolvers = {
  webhookSubscriptionCreate: ((_source, { topic, webhookSubscription }, context): SubscriptionPayload => {
    const { shop } = context;
    const needed = SCOPE_BY_TOPIC.find(([pattern]) => pattern.test(topic))?.[1];
    if (needed !== undefined && !shop.tokens.app.scopes.some((scope) => scope.endsWith(needed.slice(5))))
      return {
        webhookSubscription: null,
        userErrors: [
          userError(null, null, 'You cannot create a webhook subscription with the specified topic'),
        ],
      };
    const input = checkedInput(context, webhookSubscription, null);
    if ('userErrors' in input) return input;
    const conflict = shop.subscriptions.conflict(topic, input, null);
    if (conflict) return refused(conflict.field, conflict.message);
    return { webhookSubscription: shop.subscriptions.create(topic, input), userErrors: [] };
  }) satisfies Resolver<unknown, { topic: string; webhookSubscription: RawInput }>,

  webhookSubscriptionUpdate: ((_source, { id, webhookSubscription }, context): SubscriptionPayload => {
    const { subscriptions } = context.shop;
    const known = subscriptions.get(id);
    if (!known)
      return {
        webhookSubscription: null,
        userErrors: [userError(['id'], null, 'Webhook subscription does not exist')],
      };
    const input = checkedInput(context, webhookSubscription, known);
    if ('userErrors' in input) return input;
    const conflict = subscriptions.conflict(known.topic, input, known);
    if (conflict) return refused(conflict.field, conflict.message);
    subscriptions.update(known, input);
    return { webhookSubscription: known, userErrors: [] };
  }) satisfies Resolver<unknown, { id: string; webhookSubscription: RawInput }>,

  webhookSubscriptionDelete: ((_source, { id }, { shop }) =>
    shop.subscriptions.delete(id)
      ? { deletedWebhookSubscriptionId: id, userErrors: [] }
      : {
          deletedWebhookSubscriptionId: null,
          userErrors: [userError(['id'], null, 'Webhook subscription does not exist')],
        }) satisfies Resolver<unknown, { id: string }>,
};

interface ListArguments extends PageArguments {
  readonly topics?: readonly string[] | null;
  readonly uri?: string | null;
  readonly callbackUrl?: string | null;
  readonly query?: string | null;
}

export const WEBHOOK_QUERIES: TypeResolvers = {
  webhookSubscription: ((_source, { id }, { shop }) => shop.subscriptions.get(id)) satisfies Resolver<
    unknown,
    { id: string }
  >,
  webhookSubscriptions: ((_source, args, context, info) => {
    if (isGiven(args.query) && args.query.trim() !== '')
      throw topLevelError('NOT_EMULATED', 'The sandbox does not search webhook subscriptions');
    const address = args.uri ?? args.callbackUrl;
    const rows = context.shop.subscriptions
      .all()
      .filter(
        (row) => (args.topics?.includes(row.topic) ?? true) && (!isGiven(address) || row.uri === address),
      );
    // Ids grow with creation, so ID and CREATED_AT order alike.
    const order = { key: (row: Subscription) => row.number, id: (row: Subscription) => row.number };
    return paginate(rows, args, order, context, info);
  }) satisfies Resolver<unknown, ListArguments>,
};

export const WEBHOOK_TYPES: Readonly<Record<string, TypeResolvers>> = {
  WebhookSubscription: {
    legacyResourceId: ((row) => row.number) satisfies Resolver<Subscription>,
    callbackUrl: ((row) => row.uri) satisfies Resolver<Subscription>,
    endpoint: ((row) => ({
      typename: 'WebhookHttpEndpoint',
      callbackUrl: row.uri,
    })) satisfies Resolver<Subscription>,
    format: (() => 'JSON') satisfies Resolver,
    metafieldNamespaces: (() => []) satisfies Resolver,
    metafields: (() => []) satisfies Resolver,
    // The version of the bodies is the app's setting, whatever version the call used.
    apiVersion: ((_row, _args, { shop }) => ({
      handle: shop.webhookApiVersion,
      displayName: shop.webhookApiVersion,
      supported: true,
    })) satisfies Resolver,
    createdAt: ((row) => isoSeconds(row.createdAt)) satisfies Resolver<Subscription>,
    updatedAt: ((row) => isoSeconds(row.updatedAt)) satisfies Resolver<Subscription>,
  },
};
