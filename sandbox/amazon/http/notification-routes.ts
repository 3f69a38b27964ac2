import { randomUUID } from 'node:crypto';
import type { Destination, Subscription } from '../notifications.ts';
import { asRecord } from '../patches.ts';
import { type Handler, error, invalid, ok } from './reply.ts';

const TYPES = new Set([
  'ORDER_CHANGE',
  'FEED_PROCESSING_FINISHED',
  'REPORT_PROCESSING_FINISHED',
  'FBA_INVENTORY_AVAILABILITY_CHANGES',
  'LISTINGS_ITEM_MFN_QUANTITY_CHANGE',
  'LISTINGS_ITEM_STATUS_CHANGE',
  'LISTINGS_ITEM_ISSUES_CHANGE',
]);

export const getDestinations: Handler = ({ seller }) =>
  ok({ payload: [...seller.notifications.destinations.values()] });

export const createDestination: Handler = ({ seller, body }) => {
  const { name, resourceSpecification } = asRecord(body);
  const { sqs, eventBridge } = asRecord(resourceSpecification);
  if (typeof name !== 'string' || (sqs === undefined) === (eventBridge === undefined))
    return invalid('name and one of sqs and eventBridge are needed');
  const { destinations } = seller.notifications;
  const arn = asRecord(sqs)['arn'];
  if (sqs !== undefined && !/^arn:aws:sqs:\S+:\S+:\S+$/.test(String(arn)))
    return invalid('the arn is not one of a queue');
  if (String(arn).endsWith('.fifo')) seller.violate('fifo-queue', String(arn));
  const { region, accountId } = asRecord(eventBridge);
  if (eventBridge !== undefined && (typeof region !== 'string' || typeof accountId !== 'string'))
    return invalid('region and accountId are needed');
  const isTaken = [...destinations.values()].some((known) =>
    sqs === undefined ? known.resource['eventBridge'] !== undefined : known.resource['sqs']?.['arn'] === arn,
  );
  if (isTaken) return error(409, 'Conflict', 'A destination for this resource exists already.');
  const destination: Destination = {
    destinationId: randomUUID(),
    name,
    resource:
      sqs === undefined
        ? {
            eventBridge: {
              name: 'aws.partner/sellingpartnerapi.amazon.com/sandbox',
              region: String(region),
              accountId: String(accountId),
            },
          }
        : { sqs: { arn: String(arn) } },
  };
  destinations.set(destination.destinationId, destination);
  return ok({ payload: destination });
};

export const getSubscription: Handler = ({ seller, path }) => {
  const subscription = seller.notifications.subscriptions.get(path['notificationType'] ?? '');
  return subscription
    ? ok({ payload: subscriptionJson(subscription) })
    : error(404, 'NotFound', 'The subscription was not found.');
};

export const createSubscription: Handler = ({ seller, path, body }) => {
  const type = path['notificationType'] ?? '';
  const { payloadVersion, destinationId, processingDirective } = asRecord(body);
  if (!TYPES.has(type)) return invalid(`notificationType ${type} is not valid`);
  const { destinations, subscriptions } = seller.notifications;
  const destination = destinations.get(String(destinationId));
  if (typeof payloadVersion !== 'string' || !destination)
    return invalid('payloadVersion and a destinationId that exists are needed');
  const isEvent = seller.notifications.isEventType(type);
  if (isEvent !== (destination.resource['eventBridge'] !== undefined))
    return invalid(`${type} is delivered through ${isEvent ? 'EventBridge' : 'SQS'} only`);
  if (subscriptions.has(type)) return error(409, 'Conflict', 'The subscription exists already.');
  const subscription: Subscription = {
    subscriptionId: randomUUID(),
    type,
    payloadVersion,
    destinationId: destination.destinationId,
    ...(processingDirective === undefined ? {} : { processingDirective }),
  };
  subscriptions.set(type, subscription);
  return ok({ payload: subscriptionJson(subscription) });
};

export const deleteSubscriptionById: Handler = ({ seller, path }) => {
  const { subscriptions } = seller.notifications;
  const known = subscriptions.get(path['notificationType'] ?? '');
  if (known === undefined || known.subscriptionId !== path['subscriptionId'])
    return error(404, 'NotFound', 'The subscription was not found.');
  subscriptions.delete(known.type);
  return ok({});
};

function subscriptionJson({
  subscriptionId,
  payloadVersion,
  destinationId,
  processingDirective,
}: Subscription) {
  return {
    subscriptionId,
    payloadVersion,
    destinationId,
    ...(processingDirective === undefined ? {} : { processingDirective }),
  };
}
