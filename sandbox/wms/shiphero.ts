import { randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type DocumentNode, GraphQLError, Kind, execute, parse, validate, visit } from 'graphql';
import { parseObject, readBody, sendJson } from '../shopify/http/body.ts';
import { type Answer, answerWith } from './answers.ts';
import { CreditBucket, SlidingWindow } from './limits.ts';
import { type Page, USUAL_FIRST, connectionOf, globalId, iso, plainId } from './relay.ts';
import { shipHeroSchema } from './shiphero-schema.ts';
import { Tokens } from './tokens.ts';
import type { SandboxWarehouse } from './warehouse.ts';
import type { WebhookDesk } from './webhooks.ts';

const ACCOUNT = 7_556;

/** A ShipHero-like account: GraphQL that always answers 200, credits, and a hard limit of requests. */
export class ShipHeroApi {
  readonly tokens: Tokens;
  readonly credits: CreditBucket;
  readonly #warehouse: SandboxWarehouse;
  readonly #desk: WebhookDesk;
  readonly #hardLimit: SlidingWindow;

  constructor(warehouse: SandboxWarehouse, desk: WebhookDesk) {
    this.#warehouse = warehouse;
    this.#desk = desk;
    this.tokens = new Tokens(warehouse.clock);
    this.credits = new CreditBucket(warehouse.clock);
    this.#hardLimit = new SlidingWindow(warehouse.clock, 7_000, 300_000);
  }

  async handle(path: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const read = await readBody(request);
    const body = read.kind === 'read' ? parseObject(read.text) : null;
    if (request.method !== 'POST' || body === null) {
      sendJson(response, 400, { message: 'Bad Request' });
      return;
    }
    if (path === '/auth/token' || path === '/auth/refresh') {
      await answerWith(this.#warehouse, 'token', response, () => this.#token(path, body));
      return;
    }
    if (path !== '/graphql') {
      sendJson(response, 404, { message: 'Not Found' });
      return;
    }
    if (!this.tokens.isValid(request.headers.authorization)) {
      sendJson(response, 401, { message: 'Unauthorized' });
      return;
    }
    await this.#graphql(body, response);
  }

  #token(path: string, body: Record<string, unknown>): Answer {
    const { username = 'user@example.com', password = 'secret' } = this.#warehouse.options;
    const issued =
      path === '/auth/token'
        ? body['username'] === username && body['password'] === password
          ? this.tokens.issue()
          : undefined
        : this.tokens.refresh(textOf(body['refresh_token']));
    if (issued === undefined) return { status: 401, body: { message: 'Invalid credentials' } };
    return {
      status: 200,
      body: {
        access_token: issued.accessToken,
        expires_in: issued.expiresInS,
        scope: 'openid profile offline_access',
        token_type: 'Bearer',
        ...(path === '/auth/token' ? { refresh_token: issued.refreshToken } : {}),
      },
    };
  }

  async #graphql(body: Record<string, unknown>, response: ServerResponse): Promise<void> {
    const warehouse = this.#warehouse;
    const variables = (body['variables'] ?? {}) as Record<string, unknown>;
    let document: DocumentNode;
    try {
      document = parse(textOf(body['query']));
    } catch (error) {
      warehouse.violate('graphql-syntax', String(error));
      sendJson(response, 200, { errors: [{ message: String(error) }] });
      return;
    }
    const root = rootField(document);
    const invalid = validate(shipHeroSchema, document);
    if (invalid.length > 0) {
      warehouse.violate('graphql-invalid', invalid.map(({ message }) => message).join('; '));
      sendJson(response, 200, { errors: invalid.map(({ message }) => ({ message })) });
      return;
    }
    const cost = this.#costOf(document, variables);
    const answer = await answerWith(warehouse, root, response, () =>
      this.#execute(root, document, variables, cost),
    );
    warehouse.records.requests.add({
      at: warehouse.clock.now(),
      warehouse: warehouse.name,
      operation: root,
      status: answer?.status ?? 0,
      cost,
    });
  }

  async #execute(
    root: string,
    document: DocumentNode,
    variables: Record<string, unknown>,
    cost: number,
  ): Promise<Answer> {
    const warehouse = this.#warehouse;
    const requestId = randomBytes(12).toString('hex');
    if (warehouse.options.rateLimit !== 'none') {
      const hard = this.#hardLimit.take();
      if (hard.kind === 'refused') {
        if (hard.isIgnored) warehouse.violate('throttle-ignored', 'calls go on after 429');
        return {
          status: 429,
          body: { message: 'Too many requests' },
          headers: { 'Retry-After': String(hard.waitS) },
        };
      }
      const taken = this.credits.take(cost);
      if (taken.kind === 'refused') {
        if (taken.isIgnored) warehouse.violate('throttle-ignored', 'calls go on without waiting for credits');
        const message = `There are not enough credits to perform the requested operation, which requires ${cost} credits, but the are only ${taken.remaining} left. In ${taken.waitS} seconds you will have enough credits to perform the operation`;
        return {
          status: 200,
          body: {
            errors: [
              {
                code: 30,
                message,
                operation: root,
                request_id: requestId,
                required_credits: cost,
                remaining_credits: taken.remaining,
                time_remaining: `${taken.waitS} seconds`,
              },
            ],
          },
        };
      }
    }
    const result = await execute({
      schema: shipHeroSchema,
      document,
      variableValues: variables,
      rootValue: this.#roots(requestId, cost),
    });
    return { status: 200, body: JSON.parse(JSON.stringify(result)) as unknown };
  }

  #roots(request_id: string, complexity: number) {
    const warehouse = this.#warehouse;
    const envelope = { request_id, complexity };
    return {
      warehouse_products: (args: { sku?: string; warehouse_id?: string; updated_from?: string }) => ({
        ...envelope,
        data: (page: Page) => {
          const fromMs = args.updated_from === undefined ? undefined : this.#moment(args.updated_from);
          const shelves = warehouse.shelves({
            ...only('sku', args.sku),
            ...only('placeId', plainId(args.warehouse_id)),
          });
          const rows =
            fromMs === undefined ? shelves : shelves.filter(({ changedAt }) => changedAt >= fromMs);
          return connectionOf(rows, page, (shelf) => ({
            id: globalId('WarehouseProduct', `${shelf.inventoryId}-${shelf.placeId}`),
            account_id: globalId('Account', ACCOUNT),
            sku: shelf.sku,
            warehouse_id: globalId('Warehouse', shelf.placeId),
            warehouse_identifier: shelf.place,
            on_hand: shelf.onHand,
            allocated: shelf.committed,
            available: shelf.onHand - shelf.committed,
            non_sellable_quantity: shelf.nonSellable,
            active: true,
            updated_at: iso(shelf.changedAt),
          }));
        },
      }),
      inventory_changes: (args: {
        sku?: string;
        warehouse_id?: string;
        date_from?: string;
        date_to?: string;
      }) => ({
        ...envelope,
        data: (page: Page) => {
          const fromMs = args.date_from === undefined ? 0 : this.#moment(args.date_from);
          const toMs = args.date_to === undefined ? warehouse.clock.now() : this.#moment(args.date_to);
          const rows = warehouse.changesBetween(fromMs, toMs, {
            ...only('sku', args.sku),
            ...only('placeId', plainId(args.warehouse_id)),
          });
          return connectionOf(rows, page, (change) => ({
            id: globalId('InvChange', change.id),
            legacy_id: change.id,
            account_id: globalId('Account', ACCOUNT),
            warehouse_id: globalId('Warehouse', change.placeId),
            sku: change.sku,
            previous_on_hand: change.before,
            change_in_on_hand: change.change,
            reason: change.reason,
            created_at: iso(change.at),
          }));
        },
      }),
      webhooks: () => ({
        ...envelope,
        data: (page: Page) =>
          connectionOf(this.#desk.subscriptions(), page, ({ id, topic, url, isEnabled, health }) => ({
            id: globalId('Webhook', id),
            legacy_id: id,
            name: topic,
            url,
            shop_name: 'api',
            enabled: isEnabled,
            health,
          })),
      }),
      webhook_create: ({ data }: { data: { name: string; url: string; shop_name: string } }) => {
        const made = this.#desk.subscribe(data.name, data.url);
        return {
          ...envelope,
          webhook: {
            id: globalId('Webhook', made.id),
            name: data.name,
            url: data.url,
            enabled: true,
            health: 'HEALTHY',
            // Shown this once.
            shared_signature_secret: made.secret,
          },
        };
      },
    };
  }

  /** `1 + first` of every connection, up front. */
  #costOf(document: DocumentNode, variables: Record<string, unknown>): number {
    let cost = 0;
    const warehouse = this.#warehouse;
    visit(document, {
      Field(node) {
        if (node.name.value !== 'data') return;
        const first = node.arguments?.find((argument) => argument.name.value === 'first')?.value;
        let rows = USUAL_FIRST;
        if (first?.kind === Kind.INT) rows = Number(first.value);
        else if (first?.kind === Kind.VARIABLE) rows = Number(variables[first.name.value] ?? USUAL_FIRST);
        else warehouse.violate('first-missing', 'an operation without first pays for 100 rows');
        cost += 1 + rows;
      },
    });
    return Math.max(1, cost);
  }

  #moment(text: string): number {
    // Times without an offset are taken for UTC.
    const ms = Date.parse(/Z|[+-]\d{2}:?\d{2}$/.test(text) ? text : `${text}Z`);
    if (Number.isNaN(ms)) throw new GraphQLError(`Invalid ISODateTime ${text}`);
    return ms;
  }
}

function rootField(document: DocumentNode): string {
  for (const definition of document.definitions) {
    if (definition.kind !== Kind.OPERATION_DEFINITION) continue;
    const [selection] = definition.selectionSet.selections;
    if (selection?.kind === Kind.FIELD) return selection.name.value;
  }
  return 'unknown';
}

function only<Key extends string>(key: Key, value: string | undefined): { [K in Key]?: string } {
  return (value === undefined ? {} : { [key]: value }) as { [K in Key]?: string };
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
