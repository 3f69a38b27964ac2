import { circuitVerb, guardVerb, modeVerb, planVerb } from './channel-verbs.ts';
import { driftVerb, reconcileVerb } from './drift-verbs.ts';
import { explainVerb, exportVerb } from './history-verbs.ts';
import { alertsVerb } from './alert-verbs.ts';
import { ledgerVerb, vaultVerb } from './ledger-verbs.ts';
import { archiveVerb, rebuildVerb } from './offline-verbs.ts';
import { endpointsVerb } from './notice-verbs.ts';
import { mappingVerb } from './mapping-verbs.ts';
import { mcpVerb } from './mcp-verb.ts';
import { parkedVerb } from './parked-verbs.ts';
import { channelsVerb, positionVerb, stockVerb } from './stock-verbs.ts';
import { auditVerb, keysVerb, paymentsVerb, proveVerb } from './reservation-verbs.ts';
import { reviewsVerb } from './review-verbs.ts';
import { reportVerb } from './report-verbs.ts';
import type { Verb } from './verb.ts';

/** In the order of the usage text. */
export const allVerbs: readonly Verb[] = [
  channelsVerb,
  modeVerb,
  planVerb,
  guardVerb,
  circuitVerb,
  stockVerb,
  positionVerb,
  explainVerb,
  exportVerb,
  reportVerb,
  reconcileVerb,
  driftVerb,
  mappingVerb,
  reviewsVerb,
  parkedVerb,
  alertsVerb,
  endpointsVerb,
  mcpVerb,
  ledgerVerb,
  vaultVerb,
  keysVerb,
  paymentsVerb,
  proveVerb,
  auditVerb,
  rebuildVerb,
  archiveVerb,
];
