import { parseMerchantId } from '../../domain/ids.ts';
import { shown, UsageError, type Verb, type VerbAnswer, type VerbContext } from './verb.ts';

export const rebuildVerb: Verb = {
  name: 'rebuild',
  usage: [
    [
      'rebuild',
      'with the daemon stopped: the ledger from archive and mirror into an empty Redis\n' +
        '(--accept-findings: also when the history contradicts itself; --into MERCHANT:\n' +
        'under another merchant of the same Redis; --check: in memory, compared with the\n' +
        'ledger, exit code 1 when they differ)',
    ],
  ],
  options: {
    'accept-findings': { type: 'boolean', default: false },
    check: { type: 'boolean', default: false },
    into: { type: 'string' },
  },
  run: (context) => (context.args.length > 0 ? undefined : rebuilt(context)),
};

export const archiveVerb: Verb = {
  name: 'archive',
  usage: [
    [
      'archive begin',
      "with the daemon stopped: the archive's folder is lost for good; a new one begins at what\n" +
        'the log still holds',
    ],
  ],
  run: ({ config, args }) => (args.join(' ') === 'begin' ? shown(begun(config)) : undefined),
};

// Loaded when needed: these bring the ledger with them, the commands beside them only ask the daemon.
async function begun(config: VerbContext['config']): Promise<unknown> {
  const { beginNewArchive } = await import('../rebuild.ts');
  return beginNewArchive(config);
}

async function rebuilt({ config, options }: VerbContext): Promise<VerbAnswer> {
  const { checkRebuilt, rebuild } = await import('../rebuild.ts');
  if (options['check'] === true) {
    const result = await checkRebuilt(config);
    return { result, isFinding: result.kind !== 'checked' || result.findings.length > 0 };
  }
  const name = options['into'];
  const into = name === undefined ? undefined : parseMerchantId(name);
  if (into?.kind === 'bad') throw new UsageError(`--into: ${into.reason}`);
  const result = await rebuild(config, options['accept-findings'] === true, into?.value);
  return { result, isFinding: result.kind !== 'rebuilt' };
}
