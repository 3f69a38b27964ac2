import type { SubscriptionReport } from '../connector.ts';
import { type JsonRecord, isRecord, listOf, textOf } from '../raw-json.ts';
import { member } from './fields.ts';
import { operations } from './operations.ts';
import type { AmazonSettings } from './options.ts';
import type { SpApi } from './sp-api.ts';
import { type SpApiOutcome, failureOf } from './sp-api-outcome.ts';

/** Amazon's own sample of a finished feed bears the second one (schema of the notification). */
function versionsOf(type: string): readonly string[] {
  return type === 'FEED_PROCESSING_FINISHED' ? ['1.0', '2020-09-04'] : ['1.0'];
}

/** Amazon delivers each type to one kind of destination only. */
const queueTypes = ['ORDER_CHANGE', 'FEED_PROCESSING_FINISHED'] as const;
const fbaTypes = ['FBA_INVENTORY_AVAILABILITY_CHANGES'] as const;
const eventTypes = ['LISTINGS_ITEM_MFN_QUANTITY_CHANGE', 'LISTINGS_ITEM_STATUS_CHANGE'] as const;

interface Subscription {
  readonly id: string;
  readonly destinationId: string;
  /** No directive narrows what is delivered. */
  readonly isWhole: boolean;
}

interface Destination {
  readonly name: string;
  readonly types: readonly string[];
  readonly resource: JsonRecord;
  readonly isThis: (resource: JsonRecord) => boolean;
}

type Findings = { present: string[]; created: string[]; missing: string[]; problems: string[] };
type Report = Pick<Findings, 'problems'>;

/**
 * Destinations (our queue, our event bus) and the seller's subscriptions to them. A 409 means that somebody was faster or
 * that an earlier answer was lost: what exists is then looked up and used. A subscription that points elsewhere or is
 * narrowed is replaced, because Amazon has no way to change one.
 */
export class Subscriptions {
  readonly #api: SpApi;
  readonly #settings: AmazonSettings;

  constructor(api: SpApi, settings: AmazonSettings) {
    this.#api = api;
    this.#settings = settings;
  }

  async check(signal: AbortSignal): Promise<SubscriptionReport> {
    const findings = this.#start();
    for (const destination of this.#destinations()) {
      const destinationId = await this.#find(destination, signal);
      for (const type of destination.types) {
        const found = await this.#subscription(type, signal);
        if (found === undefined) findings.missing.push(type);
        else if (destinationId !== undefined && isRight(found, destinationId)) findings.present.push(type);
        else findings.problems.push(`${type} goes to another destination or is filtered`);
      }
    }
    return findings;
  }

  async subscribe(signal: AbortSignal): Promise<SubscriptionReport> {
    const findings = this.#start();
    for (const destination of this.#destinations()) {
      const destinationId = await this.#bringDestination(destination, findings, signal);
      for (const type of destination.types) {
        if (destinationId === undefined) findings.missing.push(type);
        else await this.#bring(type, destinationId, findings, signal);
      }
    }
    return findings;
  }

  #start(): Findings {
    const { queueArn, eventBridge } = this.#settings;
    const problems: string[] = [];
    if (queueArn === undefined)
      problems.push('no queue is configured: orders are found by polling only, minutes late');
    if (eventBridge === undefined)
      problems.push('no event bus is configured: changes of listings are found by reading only');
    return { present: [], created: [], missing: [], problems };
  }

  #destinations(): readonly Destination[] {
    const { queueArn, eventBridge, readFba, sellerId } = this.#settings;
    const all: Destination[] = [];
    if (queueArn !== undefined)
      all.push({
        name: `stockmesh-sqs-${sellerId}`,
        types: readFba ? [...queueTypes, ...fbaTypes] : queueTypes,
        resource: { sqs: { arn: queueArn } },
        isThis: (resource) => member(resource, 'sqs')?.['arn'] === queueArn,
      });
    if (eventBridge !== undefined) {
      const { region, accountId } = eventBridge;
      all.push({
        name: `stockmesh-events-${sellerId}`,
        types: eventTypes,
        resource: { eventBridge: { region, accountId } },
        // An AWS account has one destination of this kind, whatever its region.
        isThis: (resource) => member(resource, 'eventBridge')?.['accountId'] === accountId,
      });
    }
    return all;
  }

  async #bringDestination(
    destination: Destination,
    report: Report,
    signal: AbortSignal,
  ): Promise<string | undefined> {
    const known = await this.#find(destination, signal);
    if (known !== undefined) return known;
    const operation = operations.createDestination;
    const body = { name: destination.name, resourceSpecification: destination.resource };
    const outcome = await this.#api.tryRead(operation, { body }, signal);
    if (outcome.kind === 'answer') {
      const created = textOf(member(outcome.body, 'payload')?.['destinationId']);
      if (created !== undefined) return created;
    }
    const found = outcome.kind === 'conflict' ? await this.#find(destination, signal) : undefined;
    if (found === undefined)
      report.problems.push(`${destination.name}: ${problemOf(operation.name, outcome)}`);
    return found;
  }

  async #find(destination: Destination, signal: AbortSignal): Promise<string | undefined> {
    const { body } = await this.#api.read(operations.getDestinations, {}, signal);
    for (const entry of (listOf(body['payload']) ?? []).filter(isRecord)) {
      const resource = member(entry, 'resource');
      if (resource !== undefined && destination.isThis(resource)) return textOf(entry['destinationId']);
    }
    return undefined;
  }

  async #bring(type: string, destinationId: string, findings: Findings, signal: AbortSignal): Promise<void> {
    const present = await this.#subscription(type, signal);
    if (present !== undefined && isRight(present, destinationId)) {
      findings.present.push(type);
      return;
    }
    if (present !== undefined) await this.#remove(type, present, findings, signal);
    const operation = operations.createSubscription;
    let outcome: SpApiOutcome = { kind: 'not-sent', reason: 'no payload version' };
    for (const payloadVersion of versionsOf(type)) {
      const request = { path: { notificationType: type }, body: { payloadVersion, destinationId } };
      outcome = await this.#api.tryRead(operation, request, signal);
      if (outcome.kind !== 'refused') break;
    }
    if (outcome.kind === 'answer') {
      findings.created.push(type);
      return;
    }
    const now = outcome.kind === 'conflict' ? await this.#subscription(type, signal) : undefined;
    if (now !== undefined && isRight(now, destinationId)) findings.created.push(type);
    else {
      findings.missing.push(type);
      findings.problems.push(`${type}: ${problemOf(operation.name, outcome)}`);
    }
  }

  async #remove(type: string, old: Subscription, report: Report, signal: AbortSignal): Promise<void> {
    const operation = operations.deleteSubscriptionById;
    const path = { notificationType: type, subscriptionId: old.id };
    const outcome = await this.#api.tryRead(operation, { path }, signal);
    if (outcome.kind !== 'answer' && outcome.kind !== 'not-found')
      report.problems.push(`${type}: the wrong subscription stays: ${problemOf(operation.name, outcome)}`);
  }

  async #subscription(type: string, signal: AbortSignal): Promise<Subscription | undefined> {
    const operation = operations.getSubscription;
    let outcome: SpApiOutcome = { kind: 'not-found', reason: 'no payload version' };
    for (const payloadVersion of versionsOf(type)) {
      const request = { path: { notificationType: type }, query: { payloadVersion } };
      outcome = await this.#api.tryRead(operation, request, signal);
      if (outcome.kind === 'answer' || (outcome.kind !== 'not-found' && outcome.kind !== 'refused')) break;
    }
    if (outcome.kind === 'not-found' || outcome.kind === 'refused') return undefined;
    if (outcome.kind !== 'answer') throw failureOf(operation.name, outcome);
    const payload = member(outcome.body, 'payload');
    const id = textOf(payload?.['subscriptionId']);
    if (payload === undefined || id === undefined) return undefined;
    const destinationId = textOf(payload['destinationId']) ?? '';
    return { id, destinationId, isWhole: isWhole(member(payload, 'processingDirective')) };
  }
}

function isRight(found: Subscription, destinationId: string): boolean {
  return found.isWhole && found.destinationId === destinationId;
}

/** A filter is harmless as long as changes of order status pass it. */
function isWhole(directive: JsonRecord | undefined): boolean {
  if (directive === undefined) return true;
  if (directive['filterExpression'] !== undefined) return false;
  const types = listOf(member(directive, 'eventFilter')?.['orderChangeTypes']);
  return types === undefined || types.includes('OrderStatusChange');
}

/** A role that is missing for one type must not keep the others from being subscribed; an outage stops them all. */
function problemOf(operation: string, outcome: SpApiOutcome): string {
  if (outcome.kind === 'answer') return 'the answer cannot be read';
  if (outcome.kind === 'denied' || outcome.kind === 'refused' || outcome.kind === 'conflict')
    return outcome.reason;
  if (outcome.kind === 'not-found') return outcome.reason;
  throw failureOf(operation, outcome);
}
