/**
 * Which gateways beacon in an epoch. A round has `roundEpochs` epochs; in its k-th (from 0) a
 * gateway is drawn with the chance 1 / (roundEpochs - k) unless an earlier epoch of the round
 * drew it: once a round, and certain beforehand only in the last epoch.
 *
 * The epoch that draws a gateway follows from its index and the seeds of the round alone, whatever
 * else is known of it. One that is not active in that epoch waits for the next round, and one that
 * registers during a round takes part from the next: so no earlier registry is ever read.
 */
import { sha256 } from '#crypto'
import { CairnError } from '../../errors.ts'
import type { EpochBase } from '../../kind.ts'
import type { Profile } from '../../profile.ts'
import type { RegistryEntry } from '../../registry.ts'
import { Bytes32, ContainerType, Uint32, u64 } from '../../ssz.ts'
import { epochAt } from '../../time.ts'
import { NONCE_ROUNDS } from './nonce.ts'

/** Code of this proof kind. */
export const COVERAGE = 2

/** Gateways of one place at most: one bit each in an attestation's evidence. */
export const GATEWAYS_MAX = 4096

const DrawInput = new ContainerType({ seed: Bytes32, index: Uint32 }, { typeName: 'DrawInput' })

export function roundOf(epoch: number, { roundEpochs }: Pick<Profile, 'roundEpochs'>): number {
  return Math.floor(epoch / roundEpochs)
}

/** True iff the seed draws a gateway that `remaining` epochs of the round are left for. */
export function draws(seed: Uint8Array, index: number, remaining: number): boolean {
  return u64(sha256(DrawInput.serialize({ seed, index }))) % BigInt(remaining) === 0n
}

/**
 * True iff the base's epoch is the one of its round that draws this gateway. Throws `seedUnknown`
 * when the seed of an earlier epoch of the round is not in the base.
 */
export function isDrawn(base: EpochBase, index: number): boolean {
  const { roundEpochs } = base.profile
  const place = base.epoch % roundEpochs
  for (let earlier = 0; earlier < place; earlier++) {
    const epoch = base.epoch - place + earlier
    const seed = base.earlierSeeds.get(epoch)
    if (seed === undefined) {
      throw new CairnError(
        'seedUnknown',
        `the draw of epoch ${base.epoch} reads that of ${epoch}`,
        {
          facts: { epoch: base.epoch, missing: epoch },
          next: "fetch the earlier epoch's round from the randomness source",
        },
      )
    }
    if (draws(seed, index, roundEpochs - earlier)) return false
  }
  return draws(base.seed, index, roundEpochs - place)
}

type Calendar = Pick<EpochBase, 'genesis' | 'profile'>

/**
 * The first round that begins with the gateway active: the nonces it reveals count from it. Who
 * registers before genesis is active from the start.
 */
export function firstRound({ registeredAt }: RegistryEntry, calendar: Calendar): number {
  const { lookback, activationEpochs, roundEpochs } = calendar.profile
  const registered = epochAt(calendar, registeredAt * 1_000)
  if (registered < 0) return 0
  const active = registered + Math.max(lookback + 1, activationEpochs)
  return Math.ceil(active / roundEpochs)
}

/** The gateway's own count of rounds, from 1; below 1 before its first. */
export function ownRound(entry: RegistryEntry, base: EpochBase): number {
  return roundOf(base.epoch, base.profile) - firstRound(entry, base) + 1
}

export function isGateway(entry: RegistryEntry): boolean {
  return ((entry.kinds >>> COVERAGE) & 1) === 1
}

const known = new WeakMap<EpochBase, ReadonlyMap<number, number>>()

/** The place's gateways by ascending index, each with its place in an attestation's bitlist. */
export function gatewayPlaces(base: EpochBase): ReadonlyMap<number, number> {
  let places = known.get(base)
  if (places === undefined) {
    const gateways = base.nodes.filter(isGateway).slice(0, GATEWAYS_MAX)
    places = new Map(gateways.map(({ index }, place) => [index, place]))
    known.set(base, places)
  }
  return places
}

/** True iff the gateway's chain has a nonce for the base's round. */
export function hasNonce(entry: RegistryEntry, base: EpochBase): boolean {
  const round = ownRound(entry, base)
  return round >= 1 && round <= NONCE_ROUNDS
}
