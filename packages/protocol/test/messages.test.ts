import { strict as assert } from 'node:assert'
import {
  Attestation,
  Challenge,
  decodeEnvelope,
  Envelope,
  ed25519,
  GOSSIP_MAX_BYTES,
  hex,
  MessageType,
  messageId,
  messageSigningRoot,
  Ready,
  Seal,
  seal,
  sha256,
  Vote,
} from '@cairn/protocol'
import fc from 'fast-check'
import { bytes32, identitySecret, NETWORK } from './kernel-world.ts'

const base = Uint8Array.from({ length: 8 }, (_, i) => i)
const fill = (length: number, byte: number) => new Uint8Array(length).fill(byte)

const challenge: Challenge = {
  epoch: 5,
  base,
  kind: 1,
  author: 3,
  target: 4,
  output: fill(96, 0xab),
}

function encode<V>(type: MessageType, codec: { serialize(value: V): Uint8Array }, value: V) {
  const body = codec.serialize(value)
  return { body: hex(body), id: hex(messageId({ type, body })) }
}

describe('messages', () => {
  it('have the published bytes and ids', () => {
    assert.deepEqual(encode(MessageType.challenge, Challenge, challenge), {
      body: `0500000000010203040506070103000000${'04000000'}${'ab'.repeat(96)}`,
      id: 'ae4ceb78325fa93d11127c0bfd9321a49e9b7f408d95dc25853ef40f140fd2f5',
    })
    const attestation: Attestation = {
      ...{ epoch: 5, base, kind: 1, author: 6, challenge: fill(32, 0x11) },
      ...{ seenSlot: 4, verdict: 1, reason: 0, evidence: Uint8Array.of(1, 2, 3) },
    }
    assert.deepEqual(encode(MessageType.attestation, Attestation, attestation), {
      body: `0500000000010203040506070106000000${'11'.repeat(32)}0400010039000000010203`,
      id: 'c7e1168c66fe186c83dfe415f57c3a887407b1afd5878eee65723017885f10d9',
    })
    const sealed: Seal = {
      ...{ epoch: 5, base, kind: 1, author: 4 },
      ...{ challenge: fill(32, 0x11), proofRoot: fill(32, 0x22) },
    }
    assert.deepEqual(encode(MessageType.seal, Seal, sealed), {
      body: `0500000000010203040506070104000000${'11'.repeat(32)}${'22'.repeat(32)}`,
      id: 'dbacbb58f8432fbea011fcb0c9ce7ef68ae587d966b631ba305086eafdbb5e25',
    })
    assert.deepEqual(encode(MessageType.ready, Ready, { epoch: 5, base, kind: 0, author: 4 }), {
      body: '0500000000010203040506070004000000',
      id: '67af8d420704dd32944339f03c0a408f54fc974ab263305cf82e5c6e9bcc1642',
    })
    const vote = { epoch: 5, base, kind: 0, author: 4, round: 2, checkpoint: fill(32, 0x33) }
    assert.deepEqual(encode(MessageType.vote, Vote, vote), {
      body: `050000000001020304050607000400000002000000${'33'.repeat(32)}`,
      id: '00bf23ecc4e6f7979a477974084eeba6f440113f4153b70b5b063b11df3de55e',
    })
  })

  it('travel in an envelope of the published bytes', () => {
    const bytes = Envelope.serialize({
      type: MessageType.challenge,
      body: Challenge.serialize(challenge),
      signature: fill(64, 0xcd),
    })
    assert.equal(hex(bytes.subarray(0, 10)), '01000a0000007f000000')
    assert.equal(
      hex(sha256(bytes)),
      'c6f299d2a1f1937ae3efdac5dedbeb6dd0867f7655e8e224348151f324bf04f9',
    )
  })

  it('are signed over the published root', () => {
    const envelope = { type: MessageType.challenge, body: Challenge.serialize(challenge) }
    assert.equal(
      hex(messageSigningRoot(envelope, NETWORK)),
      'f0b1ec37ce7bd489eb1efb3db873ddedfb9606d3e454d8b829b6801d8c068061',
    )
  })

  it('have an id that the signature does not change, and type and body do', () => {
    const envelope = { type: MessageType.challenge, body: Uint8Array.of(1), signature: fill(64, 1) }
    const id = hex(messageId(envelope))
    assert.equal(hex(messageId({ ...envelope, signature: fill(64, 2) } as Envelope)), id)
    assert.notEqual(hex(messageId({ ...envelope, type: MessageType.seal })), id)
    assert.notEqual(hex(messageId({ ...envelope, body: Uint8Array.of(1, 0) })), id)
  })

  it('are valid under the signer only, for their network and type only', () => {
    const secret = identitySecret(3)
    const key = ed25519.publicKey(secret)
    const sign = (root: Uint8Array) => ed25519.sign(root, secret)
    const envelope = seal(MessageType.challenge, Challenge, challenge, NETWORK, sign)
    const holds = (read: Envelope, network = NETWORK, by = key) =>
      ed25519.verify(messageSigningRoot(read, network), by, read.signature)
    assert.ok(holds(envelope))
    assert.ok(!holds(envelope, bytes32('other network')))
    assert.ok(!holds({ ...envelope, type: MessageType.seal }))
    assert.ok(!holds({ ...envelope, body: envelope.body.with(0, 6) }))
    assert.ok(!holds(envelope, NETWORK, ed25519.publicKey(identitySecret(4))))
  })

  it('come back from their bytes unchanged', () => {
    fc.assert(
      fc.property(
        fc.nat({ max: 65_535 }),
        fc.uint8Array({ maxLength: 2_000 }),
        fc.uint8Array({ maxLength: 128 }),
        (type, body, signature) => {
          const envelope = { type, body, signature }
          assert.deepEqual(decodeEnvelope(Envelope.serialize(envelope)), envelope)
        },
      ),
    )
  })

  it('do not alias the bytes they were read from', () => {
    const bytes = Envelope.serialize({ type: 1, body: fill(20, 1), signature: fill(64, 2) })
    for (const received of [bytes, Buffer.from(bytes)]) {
      const envelope = decodeEnvelope(received)
      received.fill(0xff)
      assert.deepEqual(new Uint8Array(envelope.body), fill(20, 1))
      assert.deepEqual(new Uint8Array(envelope.signature), fill(64, 2))
    }
  })

  it('of the longest body and signature fit into one gossip message', () => {
    const longest = Envelope.maxSize
    assert.ok(longest <= GOSSIP_MAX_BYTES, `${longest}`)
    const body = new Uint8Array(GOSSIP_MAX_BYTES - 256)
    const bytes = Envelope.serialize({ type: 1, body, signature: new Uint8Array(128) })
    assert.equal(bytes.length, longest)
    assert.equal(decodeEnvelope(bytes).body.length, body.length)
  })

  it('beyond a channel that allows less are refused by length', () => {
    const bytes = Envelope.serialize({ type: 1, body: fill(100, 1), signature: fill(64, 2) })
    assert.equal(decodeEnvelope(bytes, bytes.length).body.length, 100)
    assert.throws(() => decodeEnvelope(bytes, bytes.length - 1), {
      code: 'badLength',
      facts: { type: 'Envelope', min: 10, max: bytes.length - 1, found: bytes.length },
    })
    assert.throws(() => decodeEnvelope(new Uint8Array(GOSSIP_MAX_BYTES + 1)), { code: 'badLength' })
  })
})
