/** The page with a change to every object that is meant; as it was where there is none. All ids in it must be texts. */
export function spoil(
  page: string,
  isMeant: (object: Readonly<Record<string, unknown>>) => boolean,
  change: Readonly<Record<string, unknown>>,
): string {
  let isChanged = false;
  const parsed: unknown = JSON.parse(page, (_key, value: unknown) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
    const object = value as Readonly<Record<string, unknown>>;
    if (!isMeant(object)) return object;
    isChanged = true;
    return { ...object, ...change };
  });
  return isChanged ? JSON.stringify(parsed) : page;
}
