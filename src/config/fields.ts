import { z } from 'zod';
import {
  type ChannelId,
  type LocationId,
  type MerchantId,
  type Parsed,
  parseChannelId,
  parseLocationId,
  parseMerchantId,
  parseSku,
  type Sku,
} from '../domain/ids.ts';

/** Text that the domain parses into one of its branded ids; the pattern is for the JSON Schema and the message. */
function branded<T>(pattern: RegExp, parse: (text: unknown) => Parsed<T>) {
  return z
    .string()
    .regex(pattern)
    .transform((text, context): T => {
      const parsed = parse(text);
      if (parsed.kind === 'ok') return parsed.value;
      context.addIssue(parsed.reason);
      return z.NEVER;
    });
}

export const merchantId = branded<MerchantId>(/^[a-z0-9-]+$/, parseMerchantId);
export const channelId = branded<ChannelId>(/^[a-z0-9-]+$/, parseChannelId);
export const locationId = branded<LocationId>(/^[A-Za-z0-9._-]+$/, parseLocationId);

export function wholeNumber(minimum: number, maximum: number) {
  return z.int().min(minimum).max(maximum);
}

/** A time span in milliseconds; the upper limit is what a Node timer can hold, unless a smaller one is stated. */
export function spanMs(minimum: number, maximum = 2 ** 31 - 1) {
  return wholeNumber(minimum, maximum);
}

/** True for names that can only mean this machine. */
export function isLoopbackHost(hostname: string): boolean {
  return /^(?:localhost|\[?::1\]?|127(?:\.\d{1,3}){3})$/.test(hostname);
}

/** Plain http is taken only for this machine: everywhere else it would show the credentials to the network. */
export const webOrigin = z.string().transform((text, context): string => {
  const url = checkedUrl(text, context);
  if (url !== undefined && url.search === '' && url.hash === '') return url.href.replace(/\/+$/, '');
  if (url !== undefined) context.addIssue('must hold no query and no fragment');
  return z.NEVER;
});

/** As `webOrigin`, with path and query. */
export const webAddress = z.string().transform((text, context): string => {
  return checkedUrl(text, context)?.href ?? z.NEVER;
});

function checkedUrl(text: string, context: z.core.$RefinementCtx): URL | undefined {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || (url.protocol !== 'https:' && url.protocol !== 'http:')) {
    context.addIssue('must be an https address such as https://example.com');
  } else if (url.username !== '' || url.password !== '') {
    context.addIssue('must hold no user name and no password');
  } else if (url.protocol === 'http:' && !isLoopbackHost(url.hostname)) {
    context.addIssue('must be https; plain http is accepted for this machine (127.0.0.1, localhost) only');
  } else {
    return url;
  }
  return undefined;
}

export const skuText = z
  .string()
  .min(1)
  .max(255)
  .transform((text, context): Sku => {
    const parsed = parseSku(text);
    if (parsed.kind === 'ok') return parsed.value;
    context.addIssue(parsed.reason);
    return z.NEVER;
  })
  .meta({ id: 'sku' });

export const skuPatterns = z
  .array(z.string().min(1).max(255))
  .min(1)
  .max(10_000)
  .describe('SKUs; * stands for any run of characters')
  .meta({ id: 'skuPatterns' });
