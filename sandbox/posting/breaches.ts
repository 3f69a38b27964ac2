interface Noted {
  readonly kind: string;
  readonly detail: string;
}

/**
 * A delivery that was answered 503, or not in time, is sent again: what a receiver relies on whose disk or machine stands
 * still for seconds. It is noted as every refusal is, and breaks no contract.
 */
export function isPutOff({ kind, detail }: Noted): boolean {
  return kind === 'webhook-timeout' || (kind === 'webhook-refused' && detail.endsWith(' 503'));
}

/** Of what an emulator noted: where its contract was broken. */
export function breaches<Violation extends Noted>(violations: readonly Violation[]): readonly Violation[] {
  return violations.filter((violation) => !isPutOff(violation));
}
