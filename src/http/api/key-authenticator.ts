import { hash, timingSafeEqual } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import { StockmeshError } from '../../domain/errors.ts';
import type { Secret } from '../../domain/secret.ts';
import type { ApiKeys } from './api-keys.ts';
import type { Authenticate } from './authenticate.ts';
import { type Caller, localOperator } from './caller.ts';
import { TokenBuckets } from './token-buckets.ts';

export interface KeyAuthenticatorOptions {
  readonly keys: Pick<ApiKeys, 'check' | 'isEmpty'>;
  /** Of the file in the data directory: who can read that is the operator. */
  readonly operatorToken: Secret;
  /** The listener itself listens on this machine only. */
  readonly isLoopbackOnly: boolean;
}

/** Wrong credentials of one address. */
const failures = { perSecond: 0.5, burst: 30 };

/**
 * Who calls: `Authorization: Bearer <API key, or the operator's token>`. Without it only this machine may call, only on a
 * listener of this machine, and only while there is no API key at all: from the first key on every caller has one.
 */
export function keyAuthenticator(options: KeyAuthenticatorOptions): Authenticate {
  const buckets = new TokenBuckets();
  const operatorHash = hash('sha256', options.operatorToken.reveal(), 'buffer');
  return (request) => {
    const header = request.headers.authorization;
    if (header === undefined) return withoutCredentials(options, request);
    const token = /^Bearer ([\x21-\x7e]{1,300})$/i.exec(header)?.[1];
    if (token !== undefined) {
      const checked = options.keys.check(token);
      if (typeof checked === 'object') return checked;
      if (timingSafeEqual(hash('sha256', token, 'buffer'), operatorHash)) return localOperator;
      fail(buckets, request, `the key is ${checked}`);
    }
    return fail(buckets, request, 'Authorization must be Bearer KEY');
  };
}

function withoutCredentials(
  { keys, isLoopbackOnly }: KeyAuthenticatorOptions,
  request: FastifyRequest,
): Caller {
  if (isLoopbackOnly && keys.isEmpty && isThisMachine(request.socket.remoteAddress)) return localOperator;
  throw new StockmeshError('HTTP_UNAUTHENTICATED', { reason: 'no Authorization header' });
}

/** `inject` of tests has no remote address of a network: it is this process. */
function isThisMachine(address: string | undefined): boolean {
  return (
    address === undefined ||
    address.startsWith('127.') ||
    address === '::1' ||
    address.startsWith('::ffff:127.')
  );
}

function fail(buckets: TokenBuckets, request: FastifyRequest, reason: string): never {
  const waitMs = buckets.take(request.socket.remoteAddress ?? '', failures);
  if (waitMs > 0)
    throw new StockmeshError('HTTP_RATE_LIMITED', {
      who: 'this address with wrong credentials',
      retryAfterS: Math.ceil(waitMs / 1_000),
    });
  throw new StockmeshError('HTTP_UNAUTHENTICATED', { reason });
}
