import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { queryString, signatureOf } from '../../../src/connectors/tiktok/signature.ts';
import { rigFor } from './parts.ts';

interface Vectors {
  readonly vectors: readonly {
    readonly id: string;
    readonly secret: string;
    readonly path: string;
    readonly query: Readonly<Record<string, string>>;
    readonly content_type: string;
    readonly body: string;
    readonly expected_sign: string;
  }[];
  readonly webhook_vectors: readonly {
    readonly id: string;
    readonly app_key: string;
    readonly secret: string;
    readonly body: string;
    readonly authorization: string;
  }[];
}

const { vectors, webhook_vectors: webhookVectors } = JSON.parse(
  readFileSync(new URL('../../fixtures/tiktok/sign-vectors.json', import.meta.url), 'utf8'),
) as Vectors;

describe('requests', () => {
  test('there are eleven vectors', () => expect(vectors).toHaveLength(11));

  test.each(vectors)('$id', ({ secret, path, query, content_type: type, body, expected_sign: expected }) => {
    const signed = body === '' || type.startsWith('multipart/') ? undefined : body;
    expect(signatureOf(secret, { path, query, body: signed })).toBe(expected);
  });

  test('values are signed as they are meant and sent percent-encoded', () => {
    expect(queryString({ page_token: 'a+/=b c' })).toBe('page_token=a%2B%2F%3Db%20c');
  });
});

describe('deliveries', () => {
  const verdict = (
    vector: Vectors['webhook_vectors'][number],
    changes: { body?: string; header?: string },
  ) => {
    const { shop_id: shop } = JSON.parse(vector.body) as { shop_id: string };
    const { connector } = rigFor({
      shop,
      credentials: { appKey: vector.app_key, appSecret: vector.secret, refreshToken: 'r' },
    });
    const raw = Buffer.from(changes.body ?? vector.body);
    return connector.verifyWebhook(raw, { authorization: changes.header ?? vector.authorization });
  };

  test('there are four vectors', () => expect(webhookVectors).toHaveLength(4));

  test.each(webhookVectors)('$id', (vector) => {
    expect(verdict(vector, {}).kind).toBe('genuine');
    expect(verdict(vector, { body: `${vector.body} ` }).kind).toBe('forged');
    for (const header of [
      `Bearer ${vector.authorization}`,
      `${vector.authorization}zz`,
      vector.authorization.slice(0, 62),
      createHash('sha256').update(vector.body).digest('hex'),
      '',
    ])
      expect(verdict(vector, { header }).kind).toBe('forged');
  });
});
