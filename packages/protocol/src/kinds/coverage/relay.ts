/** Who may say what and when: the kernel's rules for the messages of this kind. */
import { MessageType } from '../../domain.ts'
import type { EpochBase, Known, KnownMessages, MessageRule } from '../../kind.ts'
import type { Challenge } from '../../messages.ts'
import { challengeName } from '../../rules.ts'
import { equalBytes, hex } from '../../ssz.ts'
import { COVERAGE, gatewayPlaces, ownRound } from './draw.ts'
import { Beacon, Commit, opensLeaf, Report } from './messages.ts'
import { isNonce } from './nonce.ts'
import { slotsAround, slotsOf, transmissionSlots } from './slots.ts'
import { type CoverageState, nonceAnchor } from './state.ts'

/**
 * Hashes spent on a preimage before a beacon is relayed. That of a gateway silent for more rounds
 * is relayed unchecked and judged at settlement.
 */
export const NONCE_CHECK_MAX = 64

export const commitRule: MessageRule<Commit> = {
  type: MessageType.commit,
  codec: Commit,
  subject: ({ slot }) => String(slot),
  duty: ({ author, slot }, base) => {
    const [first, last] = transmissionSlots(base.profile)
    return slot >= first && slot <= last && gatewayPlaces(base).has(author) ? 'yes' : 'no'
  },
  window: ({ slot }, { profile }) => [slot, slotsAround(slot, profile).commit],
  awaitedAs: ({ value }) => commitName(value),
}

/** `stateOf`: the carried state at the base, where the gateway's newest nonce stands. */
export function beaconRule(stateOf: (base: EpochBase) => CoverageState): MessageRule<Beacon> {
  return {
    type: MessageType.beacon,
    codec: Beacon,
    awaitedAs: ({ value }) => revealName(value.author),
    subject: value => String(value.epoch),
    duty: (beacon, base, known) => {
      const challenge = challengeOf(beacon, known)
      if (challenge === undefined) return { awaits: challengeName(beacon.challenge) }
      const asked = challenge.kind === COVERAGE && challenge.target === beacon.author
      return asked && beacon.slot === slotsOf(challenge, base).transmission ? 'yes' : 'no'
    },
    window: (beacon, base, known) => {
      const challenge = challengeOf(beacon, known)
      if (challenge === undefined) return { awaits: challengeName(beacon.challenge) }
      const { reveal } = slotsOf(challenge, base)
      return [reveal, reveal]
    },
    verify: ({ author, nonce }, base) => {
      const entry = base.node(author)
      if (entry === undefined) return false
      const round = ownRound(entry, base)
      const anchor = nonceAnchor(stateOf(base), entry, round)
      if (round - anchor.round > NONCE_CHECK_MAX) return true
      return isNonce(entry.identity, anchor, { round, nonce })
    },
  }
}

export const reportRule: MessageRule<Report> = {
  type: MessageType.report,
  codec: Report,
  subject: ({ challenge, place }) => `${hex(challenge)}/${place}`,
  duty: (report, base, known) => {
    if (!gatewayPlaces(base).has(report.author) || !opensLeaf(report)) return 'no'
    const challenge = challengeOf(report, known)
    if (challenge === undefined) return { awaits: challengeName(report.challenge) }
    if (challenge.kind !== COVERAGE) return 'no'
    if (report.slot !== slotsOf(challenge, base).transmission) return 'no'
    // Monotone in what is known: what commits and reveals are worth together is for settlement, or
    // nodes to which they came in different orders would hold different sets.
    if (commitsOf(known, report).length === 0) return { awaits: commitName(report) }
    const revealed = isRevealed(known, report.challenge, challenge.target)
    return revealed ? 'yes' : { awaits: revealName(challenge.target) }
  },
  window: ({ slot }, { profile }) => {
    const { reveal, reports } = slotsAround(slot, profile)
    return [reveal, reports]
  },
}

/** Commits of a witness for a slot: two where it contradicted itself. */
export function commitsOf(
  known: KnownMessages,
  { author, slot }: Pick<Commit, 'author' | 'slot'>,
): readonly Commit[] {
  const commits = known.anyOfType<Commit>(MessageType.commit, COVERAGE)
  return indexed(commits, value => `${value.author}/${value.slot}`).get(`${author}/${slot}`) ?? []
}

/** Reveals of a gateway: two where it contradicted itself. */
export function revealsOf(known: KnownMessages, author: number): readonly Beacon[] {
  const beacons = known.anyOfType<Beacon>(MessageType.beacon, COVERAGE)
  return indexed(beacons, value => String(value.author)).get(String(author)) ?? []
}

/**
 * True once a reveal names the challenge. Beside two others no third is kept: it may have been the
 * one, and nodes that keep another two must admit the same.
 */
function isRevealed(known: KnownMessages, challenge: Uint8Array, target: number): boolean {
  const reveals = revealsOf(known, target)
  return reveals.length > 1 || reveals.some(reveal => equalBytes(reveal.challenge, challenge))
}

function commitName({ author, slot }: Pick<Commit, 'author' | 'slot'>): string {
  return `commit/${author}/${slot}`
}

/** By the gateway: beside two reveals of it a report does without the one of its challenge. */
function revealName(gateway: number): string {
  return `reveal/${gateway}`
}

function challengeOf(
  { challenge }: { challenge: Uint8Array },
  known: KnownMessages,
): Challenge | undefined {
  return known.challenge(challenge)?.value
}

const indexes = new WeakMap<readonly unknown[], ReadonlyMap<string, readonly unknown[]>>()

/** An index of one list, kept while its owner keeps the list: one pass per change of it. */
function indexed<V>(
  list: readonly Known<V>[],
  key: (value: V) => string,
): ReadonlyMap<string, readonly V[]> {
  let index = indexes.get(list) as ReadonlyMap<string, readonly V[]> | undefined
  if (index === undefined) {
    index = Map.groupBy(
      list.map(({ value }) => value),
      key,
    )
    indexes.set(list, index)
  }
  return index
}
