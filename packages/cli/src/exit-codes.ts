/** How the command ends: one table, from which the process and the reference page follow. */
import { CairnError } from '@cairn/protocol'
import { CommanderError } from 'commander'

export interface ExitCode {
  readonly code: number
  readonly meaning: string
  /** Codes of errors that end with it. */
  readonly errors: readonly string[]
}

export const EXIT_CODES = {
  ok: { code: 0, meaning: 'Done', errors: [] },
  failed: {
    code: 1,
    meaning: 'An expected failure without a code of its own; `error.code` says which',
    errors: [],
  },
  usage: {
    code: 2,
    meaning: 'The command line is wrong',
    errors: [
      'usage',
      'badAmount',
      'badRequest',
      'badParameter',
      'badPlace',
      'badTestnet',
      'badSimulation',
      'badField',
      'badCheats',
      'referenceUsed',
    ],
  },
  config: {
    code: 3,
    meaning: 'The configuration or the network manifest is wrong',
    errors: [
      'badConfig',
      'unknownConfigKey',
      'badManifest',
      'badProfile',
      'badFounding',
      'foundingChanged',
      'foundingDamaged',
      'notInitialised',
      'badDirectory',
      'badToken',
      'otherNetwork',
      'wrongChain',
      'newerSchema',
    ],
  },
  notRunning: {
    code: 4,
    meaning: 'No daemon or testnet answers, or the chain does not',
    errors: [
      'notRunning',
      'connectionLost',
      'noTestnet',
      'unauthorized',
      'badHost',
      'chainUnavailable',
      'badRpc',
      'rpcRefused',
      'missingLinks',
      'endpointsDisagree',
    ],
  },
  notReady: {
    code: 5,
    meaning: 'The daemon runs but is of no use now; `status` says why',
    errors: [],
  },
  notFound: {
    code: 6,
    meaning: 'What was asked for is not there',
    errors: [
      'notFound',
      'fileNotFound',
      'notListed',
      'notGranted',
      'noFile',
      'unknownNode',
      'unknownProposal',
      'unknownVolume',
    ],
  },
  notTrue: {
    code: 7,
    meaning: 'What was to be verified does not hold',
    errors: [
      'badProof',
      'badProofFile',
      'otherCheckpoint',
      'checkpointNotAccepted',
      'checkpointCancelled',
      'checkpointNotActive',
    ],
  },
  taken: {
    code: 8,
    meaning: 'Another process or file is in the way',
    errors: [
      'dataDirLocked',
      'alreadyInitialised',
      'apiPortTaken',
      'fileExists',
      'testnetRunning',
      'notTestnet',
      'sharedProcess',
    ],
  },
  bug: { code: 70, meaning: 'An unexpected error: a bug in cairn', errors: ['internal'] },
  interrupted: { code: 130, meaning: 'Stopped by Ctrl-C', errors: ['interrupted'] },
} as const satisfies Record<string, ExitCode>

export function exitCodeOf(error: unknown): number {
  if (error instanceof CommanderError) return EXIT_CODES.usage.code
  if (!(error instanceof CairnError)) return EXIT_CODES.bug.code
  const found = Object.values<ExitCode>(EXIT_CODES).find(({ errors }) =>
    errors.includes(error.code),
  )
  return (found ?? EXIT_CODES.failed).code
}
