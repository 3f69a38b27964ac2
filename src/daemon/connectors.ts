import type { ChannelConfig } from '../config/configuration.ts';
import type { Connector } from '../connectors/connector.ts';
import type { Clock, ConnectorLog, RateLimiter, TokenStore } from '../connectors/ports.ts';
import type { ShopifyCredentials } from '../connectors/shopify/options.ts';
import { createShopifyConnector } from '../connectors/shopify/shopify-connector.ts';

export interface ConnectorPorts {
  readonly limiter: RateLimiter;
  readonly tokens: TokenStore;
  readonly clock: Clock;
  readonly log: ConnectorLog;
}

/** The one place that knows which platform is which connector. */
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
      });
    }
  }
}

function shopifyCredentials(credentials: ChannelConfig['credentials']): ShopifyCredentials {
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
