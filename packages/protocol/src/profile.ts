/**
 * The numbers a network runs on. Code reads them from the manifest as values and never imports
 * one; the two named sets are what manifests start from. Shares are parts per million.
 */
import { CairnError, type Facts } from './errors.ts'

export const PPM = 1_000_000n
/** Base units of one token. */
export const TOKEN = 10n ** 18n
/** Digits of a token after the point. */
const TOKEN_DIGITS = 18
/** Parts of `anchorEpochs` that paid service is carried in: the oldest is forgotten as a whole. */
export const ANCHOR_PARTS = 24
/** Most debts that one challenge may ask again: with them a storage proof has 184 KiB. */
export const DEBTS_PER_CHALLENGE_MAX = 200

export interface Profile {
  /** Length of a slot in ms; a block of slots makes an epoch of whole seconds. */
  slotMs: number
  slotsPerEpoch: number
  /** What a clock may be off, in ms: half the propagation margin of one slot. */
  skewMs: number
  /** Epochs between an epoch and the block it rests on: 1 + ceil(finality / epoch). */
  lookback: number
  /** First and last slot of reveals by kind; none in slot 0, where the seed is not yet known. */
  storageReveal: readonly [number, number]
  coverageReveal: readonly [number, number]
  /** Deadline of a direct answer and of one radio transmission, ms. */
  proofDeadlineMs: number
  transmitTimeoutMs: number
  /** Slots after the challenge's slot. */
  transmitStep: number
  commitStep: number
  revealStep: number
  reportStep: number
  /** Last slot in which an attestation is relayed; then seals may be published. */
  attestUntilSlot: number
  sealSlot: number
  /** Slots after the freeze at which round 0 starts, and the length of a round. */
  proposeDelay: number
  roundSlots: number
  /** Spreading factors a beacon may be given. */
  spreadingFactors: readonly [number, number]
  /** Every gateway beacons once in so many epochs. */
  roundEpochs: number
  /**
   * Epochs without any message after which a node is drawn only after its `ready`; and without a vote
   * that counts, after which a member is left out of the next committee.
   */
  idleEpochs: number
  termEpochs: number
  committeeMax: number
  activationEpochs: number
  exitEpochs: number
  /** Others' messages are kept this long. */
  retainEpochs: number
  /** Epochs for which the last quotient pays where nothing was asked on time. */
  carryEpochs: number
  minDealEpochs: number
  /** Bytes that each provider delivers in an epoch to whoever asks, free of charge. */
  strangerBytes: number
  /** Debts that one challenge asks again at most. */
  debtsPerChallenge: number
  /** Epochs after the first that asked a debt again in vain until its piece counts as lost. */
  repairAfterEpochs: number
  /** A withheld deal takes so many times its price from its provider's score. */
  withheldWeight: number
  /** Epochs without a valid beacon or report after which a gateway's units are 0. */
  staleEpochs: number
  /** Epochs whose beacons the graph rules of coverage look at. */
  graphEpochs: number
  /** Nodes named as known to be of use: trust in gateways begins at them. */
  anchors: readonly number[]
  /** Epochs whose paid service trust in gateways begins at: a multiple of `ANCHOR_PARTS`. */
  anchorEpochs: number
  /** Minted per epoch at most, base units. */
  emission: bigint
  /** Weight of each kind in the emission, by kind code. */
  weights: Readonly<Record<number, number>>
  /** Parts per million of the emission. */
  baseShare: bigint
  dutyShare: bigint
  voteShare: bigint
  submitReward: bigint
  /** Parts per million of a fee that is burned. */
  feeBurn: bigint
  /** Emission divided by fees is at most this times what was burned of just those fees, ppm. */
  burnMatch: bigint
  /** Part of a bond lost for a contradiction, and of all bonds that one epoch may take at most. */
  penalty: bigint
  penaltyCap: bigint
  /** What a GiB kept for an epoch costs at least, base units. */
  storagePrice: bigint
  /** What a GiB delivered to a client costs, base units. */
  servedPrice: bigint
  /** What a packet bought of a gateway costs, base units. */
  packetPrice: bigint
  /** A receipt claims at least so many bytes: what it costs the client bounds how many there are. */
  receiptBytes: number
  /** A node takes part with at least this bond, base units: the registry's minimum for a node. */
  bondMinimum: bigint
  /** Weight in the committee counts at most this bond, base units. */
  bondCap: bigint
  /** Version of the settlement rules, named in the checkpoint. */
  rulesVersion: number
}

const MIB = 2 ** 20

const shared = {
  baseShare: 300_000n,
  dutyShare: 100_000n,
  voteShare: 20_000n,
  submitReward: 10_000n,
  feeBurn: 100_000n,
  burnMatch: PPM,
  penalty: 100_000n,
  penaltyCap: 20_000n,
  storagePrice: TOKEN,
  servedPrice: TOKEN / 1_000n,
  packetPrice: TOKEN / 1_000_000n,
  receiptBytes: MIB,
  emission: 1_000n * TOKEN,
  weights: { 1: 1, 2: 1 },
  bondMinimum: 100n * TOKEN,
  bondCap: 10_000n * TOKEN,
  committeeMax: 512,
  debtsPerChallenge: DEBTS_PER_CHALLENGE_MAX,
  withheldWeight: 10,
  rulesVersion: 1,
} as const

/** Hourly epochs of minute slots, for networks on public chains. */
export const PUBLIC_PROFILE: Profile = {
  ...shared,
  slotMs: 60_000,
  slotsPerEpoch: 60,
  skewMs: 2_000,
  lookback: 2,
  storageReveal: [1, 39],
  coverageReveal: [1, 36],
  proofDeadlineMs: 10_000,
  transmitTimeoutMs: 5_000,
  transmitStep: 1,
  commitStep: 2,
  revealStep: 3,
  reportStep: 5,
  attestUntilSlot: 50,
  sealSlot: 51,
  proposeDelay: 1,
  roundSlots: 2,
  spreadingFactors: [7, 12],
  roundEpochs: 6,
  idleEpochs: 12,
  termEpochs: 24,
  activationEpochs: 1,
  exitEpochs: 168,
  retainEpochs: 168,
  carryEpochs: 3,
  minDealEpochs: 168,
  strangerBytes: 64 * MIB,
  repairAfterEpochs: 24,
  staleEpochs: 48,
  graphEpochs: 168,
  anchors: [],
  anchorEpochs: 720,
}

/** Epochs of twelve seconds, for a whole network on one machine. */
export const TESTNET_PROFILE: Profile = {
  ...shared,
  slotMs: 1_000,
  slotsPerEpoch: 12,
  skewMs: 250,
  lookback: 1,
  storageReveal: [1, 7],
  coverageReveal: [1, 4],
  proofDeadlineMs: 1_000,
  transmitTimeoutMs: 1_000,
  transmitStep: 1,
  commitStep: 2,
  revealStep: 3,
  reportStep: 4,
  attestUntilSlot: 10,
  sealSlot: 11,
  proposeDelay: 1,
  roundSlots: 2,
  spreadingFactors: [7, 9],
  roundEpochs: 4,
  idleEpochs: 6,
  termEpochs: 12,
  activationEpochs: 0,
  exitEpochs: 6,
  retainEpochs: 100,
  carryEpochs: 3,
  minDealEpochs: 4,
  strangerBytes: 4 * MIB,
  repairAfterEpochs: 3,
  staleEpochs: 12,
  graphEpochs: 24,
  anchors: [],
  anchorEpochs: 48,
}

/** Throws `badProfile`, naming the sum that does not fit. */
export function checkProfile(p: Profile): void {
  const refuse = (rule: string, facts: Facts): never => {
    throw new CairnError('badProfile', `the profile breaks ${rule}`, {
      facts,
      next: 'correct the named fields in the network manifest',
    })
  }
  const late = p.coverageReveal[1] + 2 + p.reportStep
  if (late > p.attestUntilSlot) {
    refuse('last coverage reveal + 2 + report step <= attestations until', {
      sum: late,
      attestUntilSlot: p.attestUntilSlot,
    })
  }
  if (p.storageReveal[1] + 1 > p.attestUntilSlot) {
    refuse('last storage reveal + 1 <= attestations until', {
      sum: p.storageReveal[1] + 1,
      attestUntilSlot: p.attestUntilSlot,
    })
  }
  if (p.attestUntilSlot >= p.sealSlot || p.sealSlot >= p.slotsPerEpoch) {
    refuse('attestations until < sealSlot < slotsPerEpoch', {
      attestUntilSlot: p.attestUntilSlot,
      sealSlot: p.sealSlot,
      slotsPerEpoch: p.slotsPerEpoch,
    })
  }
  for (const [first, last] of [p.storageReveal, p.coverageReveal]) {
    if (first < 1 || last < first) refuse('1 <= first reveal slot <= last', { first, last })
  }
  if ((p.slotMs * p.slotsPerEpoch) % 1_000 !== 0) {
    refuse('an epoch is a whole number of seconds', { ms: p.slotMs * p.slotsPerEpoch })
  }
  if (p.lookback < 1) refuse('lookback >= 1', { lookback: p.lookback })
  const { transmitStep, commitStep, revealStep, reportStep } = p
  if (transmitStep >= commitStep || commitStep >= revealStep || revealStep >= reportStep) {
    refuse('transmit < commit < reveal < report step', {
      transmitStep,
      commitStep,
      revealStep,
      reportStep,
    })
  }
  if (p.debtsPerChallenge < 1 || p.debtsPerChallenge > DEBTS_PER_CHALLENGE_MAX) {
    refuse('1 <= debts per challenge <= what a proof has room for', {
      debtsPerChallenge: p.debtsPerChallenge,
      max: DEBTS_PER_CHALLENGE_MAX,
    })
  }
  if (p.repairAfterEpochs < 1) {
    refuse('repair after epochs >= 1', { repairAfterEpochs: p.repairAfterEpochs })
  }
  if (p.withheldWeight < 0) refuse('withheld weight >= 0', { withheldWeight: p.withheldWeight })
  const { voteShare, submitReward } = p
  if (voteShare < 0n || submitReward < 0n || voteShare + submitReward > PPM) {
    refuse('vote share + submit reward <= 1,000,000', {
      sum: voteShare + submitReward,
      voteShare,
      submitReward,
    })
  }
  if (p.servedPrice <= 0n) refuse('servedPrice > 0', { servedPrice: p.servedPrice })
  if (p.packetPrice <= 0n) refuse('packetPrice > 0', { packetPrice: p.packetPrice })
  if (p.anchorEpochs < 1 || p.anchorEpochs % ANCHOR_PARTS !== 0) {
    refuse(`anchorEpochs is a multiple of ${ANCHOR_PARTS}`, { anchorEpochs: p.anchorEpochs })
  }
  // By the state two epochs before a term it is drawn; who starts in its first epoch needs the last one's.
  if (p.retainEpochs < p.termEpochs + 2) {
    refuse('term epochs + 2 <= retain epochs', {
      sum: p.termEpochs + 2,
      retainEpochs: p.retainEpochs,
    })
  }
  if (p.receiptBytes < 1) refuse('receiptBytes >= 1', { receiptBytes: p.receiptBytes })
  for (const field of ['baseShare', 'dutyShare', 'feeBurn', 'burnMatch'] as const) {
    if (p[field] < 0n || p[field] > PPM) refuse(`${field} <= 1,000,000`, { [field]: p[field] })
  }
}

/** Base units with every digit, as `12.5`: ether has as many decimals as the token. */
export function unitsText(amount: bigint): string {
  const part = String(amount % TOKEN)
    .padStart(TOKEN_DIGITS, '0')
    .replace(/0+$/, '')
  return `${amount / TOKEN}${part === '' ? '' : `.${part}`}`
}

/** Base units with every digit, as `12.5 tokens`. */
export function tokenText(amount: bigint): string {
  return `${unitsText(amount)} tokens`
}

/**
 * What people write as `12.5`, in base units and without a float in between; undefined where it is
 * no such number. At most 18 digits before the point, which is more than any network mints.
 */
export function unitsGiven(text: string): bigint | undefined {
  const [, whole, part = ''] = /^([0-9]{1,18})(?:\.([0-9]{1,18}))?$/.exec(text) ?? []
  if (whole === undefined) return undefined
  return BigInt(whole) * TOKEN + BigInt(part.padEnd(TOKEN_DIGITS, '0'))
}
