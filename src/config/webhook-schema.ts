import { z } from 'zod';
import { spanMs } from './fields.ts';
import { type SecretSources, secretReference } from './secret-reference.ts';

const eventTypes = [
  'hold.committed',
  'hold.released',
  'hold.expired',
  'availability.changed',
  'notices.skipped',
] as const;

/** Standard Webhooks asks for 24 to 64 bytes. */
function isSigningSecret(text: string): boolean {
  const base64 = /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(text)?.[1];
  const bytes = base64 === undefined ? 0 : Buffer.from(base64, 'base64').length;
  return bytes >= 24 && bytes <= 64;
}

const loopback = /^(?:localhost|\[::1\]|127(?:\.\d{1,3}){3})$/;

function addressProblem(text: string, mayBePlain: boolean): string | undefined {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || (url.protocol !== 'https:' && url.protocol !== 'http:'))
    return 'must be an https address';
  if (url.username !== '' || url.password !== '') return 'must hold no user name and no password';
  if (url.protocol === 'http:' && !mayBePlain && !loopback.test(url.hostname))
    return 'must be https; plain http is accepted for this machine, or with allowPlainHttp';
  return undefined;
}

/** Who is told of hold ends and availability: signed by Standard Webhooks, delivered at least once per event id. */
export function webhooksSchema(sources: SecretSources) {
  const endpoint = z
    .strictObject({
      id: z.string().regex(/^[a-z0-9-]{1,40}$/),
      url: z.string().min(1).max(2_000),
      allowPlainHttp: z.boolean().default(false).describe('Accept http outside this machine'),
      secrets: z
        .array(
          secretReference(sources).refine(
            (secret) => isSigningSecret(secret.reveal()),
            'must be whsec_ and base64 of 24 to 64 bytes',
          ),
        )
        .min(1)
        .max(2)
        .describe('The current one and, while it is replaced, the one before: both sign'),
      types: z.array(z.enum(eventTypes)).default([]).describe('Empty: all'),
    })
    .superRefine(({ url, allowPlainHttp }, context) => {
      const problem = addressProblem(url, allowPlainHttp);
      if (problem !== undefined) context.addIssue({ code: 'custom', path: ['url'], message: problem });
    });
  return z
    .strictObject({
      endpoints: z
        .array(endpoint)
        .max(16)
        .refine((rows) => new Set(rows.map(({ id }) => id)).size === rows.length, 'must have different ids')
        .default([]),
      timeoutMs: spanMs(100, 60_000).default(15_000),
      retryMs: z
        .array(spanMs(10, 86_400_000))
        .max(20)
        .default([5_000, 300_000, 1_800_000, 7_200_000, 18_000_000, 36_000_000, 36_000_000])
        .describe('Pauses before the second attempt and the following ones'),
      disableAfterMs: spanMs(0)
        .default(432_000_000)
        .describe('An endpoint that has failed for so long is not called any more until a person says so'),
    })
    .prefault({});
}
