/** A row that could not be read. `content` is small and free of personal data. */
export interface ParkedRow {
  readonly what: 'order' | 'order-line' | 'listing' | 'stock' | 'delivery' | 'count';
  readonly reference: string;
  readonly reason: string;
  readonly content: string;
}
