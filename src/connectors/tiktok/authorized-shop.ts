import type { CipherSource, TiktokApi } from './api.ts';
import { endpoints } from './endpoints.ts';
import { idOf } from './ids.ts';
import { denied, unreadable } from './outcome.ts';
import { unlessAborted } from '../renewing-token.ts';
import { isRecord, listOf, textOf } from '../raw-json.ts';

/** Waits for the budget and repetitions included. */
const longestAskMs = 60_000;

export interface AuthorizedShop {
  readonly id: string;
  readonly name: string;
  readonly region: string;
  readonly cipher: string;
}

/**
 * The shop among those that the authorisation covers. Its cipher goes along with every call that concerns the shop; it is
 * asked for once, and again when TikTok no longer accepts it.
 */
export class AuthorizedShops implements CipherSource {
  readonly #api: TiktokApi;
  readonly #shop: string;
  #found: Promise<AuthorizedShop> | undefined;

  constructor(api: TiktokApi, shop: string) {
    this.#api = api;
    this.#shop = shop;
  }

  async cipher(signal: AbortSignal): Promise<string> {
    // Asked for on behalf of all callers: one that gives up must not end it for the others.
    this.#found ??= this.ask(AbortSignal.timeout(longestAskMs)).catch((error: unknown) => {
      this.#found = undefined;
      throw error;
    });
    return (await unlessAborted(this.#found, signal)).cipher;
  }

  forget(): void {
    this.#found = undefined;
  }

  async ask(signal: AbortSignal): Promise<AuthorizedShop> {
    const { name } = endpoints.shops;
    const { data } = await this.#api.read({ endpoint: endpoints.shops }, signal);
    const rows = listOf(data['shops']);
    if (rows === undefined) throw unreadable(name, 'shops is no list');
    const shops = rows.flatMap((row) => shopOf(row));
    const found = shops.find(({ id }) => id === this.#shop);
    if (found !== undefined) return found;
    const covered = shops.map((shop) => `${shop.id} (${shop.name})`).join(', ');
    throw denied(
      name,
      `the authorisation does not cover the shop ${this.#shop}`,
      covered === '' ? 'Authorise the app for the shop' : `Configure one of the shops it covers: ${covered}`,
    );
  }
}

function shopOf(row: unknown): readonly AuthorizedShop[] {
  if (!isRecord(row)) return [];
  const id = idOf(row['id']);
  const cipher = textOf(row['cipher']);
  if (id === undefined || cipher === undefined || cipher === '') return [];
  return [{ id, cipher, name: textOf(row['name']) ?? '', region: textOf(row['region']) ?? '' }];
}
