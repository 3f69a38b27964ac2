/** GraphQL tells "absent" and "null" apart; most arguments treat them alike. */
export const isGiven = <Value>(value: Value): value is NonNullable<Value> =>
  value !== null && value !== undefined;
