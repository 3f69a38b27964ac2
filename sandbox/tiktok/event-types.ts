/** Event types of the event API with the number that their deliveries carry. */
const numbers = {
  ORDER_STATUS_CHANGE: 1,
  RECIPIENT_ADDRESS_UPDATE: 3,
  PACKAGE_UPDATE: 4,
  PRODUCT_STATUS_CHANGE: 5,
  SELLER_DEAUTHORIZATION: 6,
  UPCOMING_AUTHORIZATION_EXPIRATION: 7,
  CANCELLATION_STATUS_CHANGE: 11,
  RETURN_STATUS_CHANGE: 12,
  PRODUCT_INFORMATION_CHANGE: 15,
  PRODUCT_CREATION: 16,
} as const;

export type EventType = keyof typeof numbers;

export function isEventType(name: string): name is EventType {
  return Object.hasOwn(numbers, name);
}

export function eventTypeOf(type: number): EventType | undefined {
  return (Object.keys(numbers) as EventType[]).find((name) => numbers[name] === type);
}
