import type { ChannelConfig } from '../config/configuration.ts';
import { createAmazonConnector } from '../connectors/amazon/amazon-connector.ts';
import type { Connector } from '../connectors/connector.ts';
import type { Clock, ConnectorLog, RateLimiter, TokenStore } from '../connectors/ports.ts';
import type { ShopifyCredentials } from '../connectors/shopify/options.ts';
import { createShopifyConnector } from '../connectors/shopify/shopify-connector.ts';
import type { TiktokCredentials } from '../connectors/tiktok/options.ts';
import { createTiktokConnector } from '../connectors/tiktok/tiktok-connector.ts';
import { createWmsConnector } from '../connectors/wms/wms-connector.ts';
import type { DoorbellSource } from './webhook-thread/messages.ts';

export interface ConnectorPorts {
  readonly limiter: RateLimiter;
  readonly tokens: TokenStore;
  readonly clock: Clock;
  readonly log: ConnectorLog;
}

/** Which platform is which connector; only the webhook thread, which hears doorbells, knows one besides. */
export function createConnector(channel: ChannelConfig, ports: ConnectorPorts): Connector {
  switch (channel.platform) {
    case 'shopify': {
      const places = Object.keys(channel.locations);
      return createShopifyConnector({
        ...ports,
        shop: channel.shop,
        baseUrl: channel.baseUrl,
        credentials: shopifyCredentials(channel.credentials),
        webhookSecrets: channel.webhookSecrets.map((secret) => secret.reveal()),
        locations: places.includes('*') ? undefined : places,
        requestTimeoutMs: channel.timeouts.requestMs,
        bulkMaxMs: channel.timeouts.bulkMs,
        orderIndexLagMs: channel.poll.indexLagMs,
      });
    }
    case 'amazon': {
      const { clientId, clientSecret, refreshToken } = channel.credentials;
      return createAmazonConnector({
        ...ports,
        ...channel.timing,
        sellerId: channel.sellerId,
        marketplaceIds: channel.marketplaceIds,
        region: channel.region,
        baseUrl: channel.baseUrl,
        // The base URL may be an emulator of everything; Amazon's own hosts are two.
        authUrl: channel.authUrl ?? channel.baseUrl,
        credentials: {
          clientId,
          clientSecret: clientSecret.reveal(),
          refreshToken: refreshToken.reveal(),
        },
        webhookSecrets: channel.webhookSecrets.map((secret) => secret.reveal()),
        webhookHeader: channel.webhookHeader,
        queueArn: channel.queue?.arn,
        eventBridge: channel.eventBridge,
        restoreOnCancel: channel.restoreOnCancel,
        readFba: channel.readFba,
        orderIndexLagMs: channel.poll.indexLagMs,
        requestTimeoutMs: channel.timeouts.requestMs,
        reportMaxMs: channel.timeouts.bulkMs,
      });
    }
    case 'tiktok': {
      const places = Object.keys(channel.locations);
      return createTiktokConnector({
        ...ports,
        ...channel.timing,
        ...channel.pace,
        shop: channel.shop,
        baseUrl: channel.baseUrl,
        authUrl: channel.authUrl,
        credentials: tiktokCredentials(channel.credentials),
        webhookSecrets: channel.webhookSecrets.map((secret) => secret.reveal()),
        warehouses: places.includes('*') ? undefined : places,
        otherWarehouses: channel.otherWarehouses,
        soldOut: channel.soldOut,
        unpaidTakesStock: channel.unpaidTakesStock,
        orderIndexLagMs: channel.poll.indexLagMs,
        requestTimeoutMs: channel.timeouts.requestMs,
      });
    }
    case 'wms':
      return createWmsConnector({
        ...ports,
        connection: channel.connection,
        baseUrl: channel.baseUrl,
        authUrl: channel.authUrl,
        webhookSecrets: channel.webhookSecrets.map((secret) => secret.reveal()),
        requestTimeoutMs: channel.timeouts.requestMs,
      });
  }
}

/** What it takes to hear the doorbells of a channel; undefined: its platform rings none. */
export function doorbellSource(channel: ChannelConfig): DoorbellSource | undefined {
  if (channel.platform !== 'shopify') return undefined;
  const webhookSecrets = channel.webhookSecrets.map((secret) => secret.reveal());
  return { channel: channel.id, shop: channel.shop, webhookSecrets };
}

type CredentialsOf<Platform extends Exclude<ChannelConfig['platform'], 'wms'>> = Extract<
  ChannelConfig,
  { readonly platform: Platform }
>['credentials'];

function shopifyCredentials(credentials: CredentialsOf<'shopify'>): ShopifyCredentials {
  switch (credentials.kind) {
    case 'client-credentials':
      return {
        kind: 'client-credentials',
        clientId: credentials.clientId,
        clientSecret: credentials.clientSecret.reveal(),
      };
    case 'refresh-token':
      return {
        kind: 'offline',
        clientId: credentials.clientId,
        clientSecret: credentials.clientSecret.reveal(),
        refreshToken: credentials.refreshToken.reveal(),
        accessToken: credentials.accessToken?.reveal(),
      };
    case 'static':
      return { kind: 'static', accessToken: credentials.accessToken.reveal() };
  }
}

function tiktokCredentials(credentials: CredentialsOf<'tiktok'>): TiktokCredentials {
  const { appKey } = credentials;
  const appSecret = credentials.appSecret.reveal();
  switch (credentials.kind) {
    case 'refresh-token':
      return {
        appKey,
        appSecret,
        refreshToken: credentials.refreshToken.reveal(),
        accessToken: credentials.accessToken?.reveal(),
      };
    case 'auth-code':
      return { appKey, appSecret, authCode: credentials.authCode.reveal() };
  }
}
