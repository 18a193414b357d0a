/** Epochs of storage one after the other, in which everybody but the providers does as it should. */
import {
  type AskedLeaf,
  type Attestation,
  type Deal,
  dealId,
  type EpochBase,
  hex,
  MessageType,
  NO_DIGEST,
  type Profile,
  type RegistryEntry,
  STORAGE,
  StorageReason,
  type StorageState,
  storageEvidence,
  storageKind,
  TESTNET_PROFILE,
  Verdict,
} from '@cairn/protocol'
import {
  type Asked,
  attestationOf,
  baseOf,
  bytes32,
  challengeOf,
  EPOCH,
  type Message,
  message,
  registry,
  sawOf,
  sawWrongOf,
  sealOf,
  settleOf,
  stateOf,
} from './world.ts'

/** How a provider answers one leaf; `place` from 20 on is a debt. */
export type Answering = (
  asked: AskedLeaf,
  where: { place: number; order: number },
) => 'right' | 'missing' | 'wrong'

export const honest: Answering = () => 'right'

/** Has everything but the pieces of these deals. */
export const without =
  (...deals: Deal[]): Answering =>
  ({ deal }) =>
    deals.some(lost => hex(dealId(lost)) === deal.key) ? 'missing' : 'right'

/** A base holds the state of so many epochs before: checkpoints are made in the epoch after theirs. */
export const BASE_LAG = TESTNET_PROFILE.lookback + 2

export interface HistoryInit {
  deals: Deal[]
  profile?: Partial<Profile>
  nodes?: RegistryEntry[]
}

export interface EpochInit {
  /** By provider; `away`: it cannot be reached. Honest unless given. */
  answers?: Record<number, Answering | 'away'>
  /** Challenges revealed for each target; all by default. */
  orders?: readonly number[]
  more?: readonly Message[]
  /** In place of what a verifier would attest. */
  attest?: (value: Attestation, asked: Asked, base: EpochBase) => Attestation
}

export class History {
  epoch = EPOCH
  /** States by epoch, that of the parent last. */
  readonly states: StorageState[]
  readonly #init: HistoryInit

  constructor(init: HistoryInit) {
    this.#init = init
    const state = stateOf(init.deals)
    this.states = new Array<StorageState>(BASE_LAG).fill(state)
  }

  get state(): StorageState {
    return this.states.at(-1) as StorageState
  }

  /** What the next epoch rests on. */
  base(): EpochBase {
    const { profile, nodes } = this.#init
    return baseOf({
      epoch: this.epoch,
      seed: bytes32(this.epoch, 7),
      profile: { ...TESTNET_PROFILE, ...profile },
      registry: nodes ?? registry(8),
      state: this.states.at(-BASE_LAG) as StorageState,
    })
  }

  /** Settles the next epoch. */
  next({ answers = {}, orders, more = [], attest = same }: EpochInit = {}) {
    const base = this.base()
    const messages = [...more]
    for (const target of storageKind.targets(base)) {
      const { challengers } = base.duty(STORAGE, target)
      for (const order of orders ?? challengers.keys()) {
        const asked = challengeOf(base, target, order)
        messages.push(message(MessageType.challenge, asked.value))
        const answer = answers[target] ?? honest
        for (const said of answer === 'away' ? away(base, asked) : answered(base, asked, answer)) {
          const value = 'verdict' in said ? attest(said, asked, base) : said
          const type = 'verdict' in said ? MessageType.attestation : MessageType.seal
          messages.push(message(type, value))
        }
      }
    }
    const settled = settleOf({ base, messages, state: this.state })
    this.states.push(settled.state)
    this.epoch += 1
    return settled
  }

  /** Settles epochs in which everybody does the same. */
  run(epochs: number, init?: EpochInit): ReturnType<History['next']> {
    for (let left = epochs; left > 1; left--) this.next(init)
    return this.next(init)
  }
}

const same = (value: Attestation) => value

function away(base: EpochBase, asked: Asked): Attestation[] {
  return base.duty(STORAGE, asked.value.target).verifiers.map(author =>
    attestationOf(base, asked, author, {
      verdict: Verdict.inconclusive,
      reason: StorageReason.unreachable,
      evidence: storageEvidence(NO_DIGEST, []),
    }),
  )
}

function answered(base: EpochBase, asked: Asked, answer: Answering) {
  const { target, author } = asked.value
  const { challengers, verifiers } = base.duty(STORAGE, target)
  const order = challengers.indexOf(author)
  const how = asked.question.map((leaf, place) => answer(leaf, { place, order }))
  const places = (wanted: ReturnType<Answering>) =>
    how.flatMap((found, place) => (found === wanted ? [place] : []))
  const right = places('right')
  // Settlement takes the verifiers' word for what was right; only a wrong leaf is verified again.
  const proof = how.map((found, place) => (found === 'missing' ? [] : [bytes32(place, 0x22)]))
  const sealed = sealOf(base, asked, proof)
  const [place] = places('wrong')
  const said = verifiers.map(verifier =>
    place === undefined
      ? sawOf(base, asked, verifier, { seal: sealed.seal, right })
      : sawWrongOf(base, asked, verifier, { proof, sealed, place, right }),
  )
  return [...said, sealed.seal]
}
