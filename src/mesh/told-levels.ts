import type { ToldLevel } from '../connectors/connector.ts';
import type { ListingId } from '../domain/ids.ts';

/**
 * What doorbells said of listings that are to be read because of them alone. A number told is never believed: it may be
 * older than what came before it, or newer than the change it tells of. But the one told with the newest change is what
 * the platform had after that change, and where it is what we believe once the sales and writes around it are known, a
 * read would tell the same. Every sale and every write of ours rings; what did not come from us tells another number.
 */
export class ToldLevels {
  readonly #told = new Map<ListingId, ToldLevel | 'unclear'>();

  clear(): void {
    this.#told.clear();
  }

  /** `isWaiting`: a read of it is asked for already. Without a word of doorbells that read is for something else, and stays. */
  note(listingId: ListingId, level: ToldLevel | undefined, isWaiting: boolean): void {
    const known = this.#told.get(listingId);
    if (level === undefined || (isWaiting && known === undefined)) this.forget(listingId);
    else if (known === undefined || known === 'unclear') this.#told.set(listingId, known ?? level);
    else if (level.changedAtMs > known.changedAtMs) this.#told.set(listingId, level);
    // Platforms date changes coarsely: which of two numbers of one moment came later cannot be told.
    else if (level.changedAtMs === known.changedAtMs && level.value !== known.value)
      this.#told.set(listingId, 'unclear');
  }

  /** It is read, whatever was told. */
  forget(listingId: ListingId): void {
    this.#told.delete(listingId);
  }

  /** When its read is due. Undefined: it has to be read. What is told from now on is for the next one. */
  take(listingId: ListingId): ToldLevel | undefined {
    const told = this.#told.get(listingId);
    this.#told.delete(listingId);
    return told === 'unclear' ? undefined : told;
  }
}
