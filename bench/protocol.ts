/** The pure core: each line against the bare work that it cannot do without. */
import {
  Attestation,
  bls,
  decode,
  decodeEnvelope,
  type Ed25519,
  Envelope,
  ed25519,
  MessageType,
  messageSigningRoot,
  sha256,
} from '@cairn/protocol'
import {
  bls as portableBls,
  ed25519 as portableEd25519,
} from '../packages/protocol/src/crypto/portable.ts'
import { bytes32, NETWORK, nodeSecret } from '../packages/protocol/test/kinds/storage/world.ts'
import { epochOf, settlement } from './epoch.ts'
import { compare, type Line, perSecond, rounded } from './measure.ts'
import { tree } from './tree.ts'

export async function* protocol(): AsyncGenerator<Line> {
  yield await verification({
    name: 'ed25519',
    native: ed25519,
    portable: portableEd25519,
    count: 64,
  })
  yield await verification({ name: 'bls', native: bls, portable: portableBls, count: 4 })
  yield await envelopes()
  yield* await settlement()
  yield* tree()
}

type Scheme = Pick<Ed25519, 'publicKey' | 'sign' | 'verify'>

interface VerificationInit {
  name: string
  native: Scheme
  portable: Scheme
  /** Signatures by as many keys; each is verified once in a round. */
  count: number
}

async function verification(init: VerificationInit): Promise<Line> {
  const { name, native, portable, count } = init
  const signed = Array.from({ length: count }, (_, i) => {
    const secret = bytes32(i + 1)
    const root = sha256(secret)
    return [root, native.publicKey(secret), native.sign(root, secret)] as const
  })
  const all = ({ verify }: Scheme) => {
    if (!signed.every(item => verify(...item))) throw new Error('a signature does not hold')
  }
  const { ours, other, ratio } = await compare({
    ours: () => all(native),
    other: () => all(portable),
  })
  const against = `the browser's code: ${rounded(perSecond(count, other))}/s`
  const value = perSecond(count, ours)
  return { name: `verify.${name}`, value, unit: 'signatures/s', ratio, against }
}

async function envelopes(): Promise<Line> {
  const set = epochOf(8)().set
  const messages = [...set.messages()]
    .filter(({ envelope }) => envelope.type === MessageType.attestation)
    .map(({ envelope }) => {
      const signature = ed25519.sign(messageSigningRoot(envelope, NETWORK), nodeSecret(0))
      return Envelope.serialize({ ...envelope, signature })
    })
  const repeated = Array.from({ length: 50 }, () => messages).flat()
  const { ours, other, ratio } = await compare({
    ours: () => repeated.map(bytes => decode(Attestation, decodeEnvelope(bytes).body)),
    other: () => repeated.map(bytes => Attestation.deserialize(Envelope.deserialize(bytes).body)),
  })
  const speed = (ms: number) => perSecond(repeated.length, ms)
  const against = `@chainsafe/ssz deserialize alone: ${rounded(speed(other))}/s`
  return { name: 'decode.envelope', value: speed(ours), unit: 'attestations/s', ratio, against }
}
