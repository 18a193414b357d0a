import { strict as assert } from 'node:assert'
import {
  type Deal,
  DealEnd,
  dealEndSigningRoot,
  dealId,
  decode,
  type Envelope,
  type EpochBase,
  hex,
  MessageType,
  messageId,
  plainVerifier,
  storageKind,
} from '@cairn/protocol'
import fc from 'fast-check'
import {
  baseOf,
  bytes32,
  dealOf,
  EPOCH,
  NETWORK,
  registry,
  signDeal,
  signEnd,
  stateOf,
} from './world.ts'

const rule = storageKind.standing.find(({ type }) => type === MessageType.dealEnd)

function known(envelope: Envelope) {
  return { id: messageId(envelope), value: decode(DealEnd, envelope.body) }
}

function verify(deal: Deal, signature: Uint8Array, base: EpochBase) {
  return rule?.verify(known(signEnd(deal)), signature, base, plainVerifier)
}

const holding = (...deals: Deal[]) => baseOf({ state: stateOf(deals) })

describe('the end of a deal', () => {
  it('has a known id and signing root', () => {
    const end = { deal: bytes32(7, 4) }
    const envelope = { type: MessageType.dealEnd, body: DealEnd.serialize(end) }
    assert.equal(
      hex(messageId(envelope)),
      '040cd9aa86df8f7f982106c68d0d61e77b82f30f58015fd6da434e8f5544358e',
    )
    assert.equal(
      hex(dealEndSigningRoot(end, NETWORK)),
      'b700eda07588e7dbd587f344f9d71e390202fc097c461211f6694ee24e5e2540',
    )
  })

  it('is valid with the signatures of its client and its provider', () => {
    const deal = dealOf()
    const { signature } = signEnd(deal)
    assert.equal(verify(deal, signature, holding(deal)), 'yes')
    const client = signature.slice(0, 64)
    const provider = signature.slice(64)
    const wrong: Record<string, Uint8Array> = {
      'the client alone': client,
      'the provider alone': provider,
      'the other way round': Uint8Array.of(...provider, ...client),
      'twice the client': Uint8Array.of(...client, ...client),
      'twice the provider': Uint8Array.of(...provider, ...provider),
      'one byte more': Uint8Array.of(...signature, 0),
      'another client': signEnd(deal, { client: 2 }).signature,
      'another provider': signEnd({ ...deal, provider: 1 }).signature,
      'another network': signEnd(deal, { network: bytes32(7) }).signature,
      'another deal': signEnd({ ...deal, nonce: 2n }).signature,
      'the deal itself': signDeal(deal).signature,
    }
    for (const [what, bytes] of Object.entries(wrong)) {
      assert.equal(verify(deal, bytes, holding(deal)), 'no', what)
    }
  })

  it('waits for a base that carries the deal, with its provider', () => {
    const deal = dealOf()
    const { signature } = signEnd(deal)
    assert.equal(verify(deal, signature, holding()), 'unknown')
    const left = baseOf({ state: stateOf([deal]), registry: registry(8).slice(1) })
    assert.equal(verify(deal, signature, left), 'unknown')
  })

  it('is pending once the deal has begun, as long as the base carries it', () => {
    const pending = (deal: Deal, base: EpochBase) => rule?.pending(known(signEnd(deal)), base)
    const begun = dealOf({ startEpoch: EPOCH })
    assert.equal(pending(begun, holding(begun)), true)
    assert.equal(pending(begun, holding()), false)
    const coming = dealOf({ startEpoch: EPOCH + 1 })
    assert.equal(pending(coming, holding(coming)), false)
  })

  it('refuses hostile bytes with a code', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), bytes => {
        try {
          assert.deepEqual(DealEnd.serialize(decode(DealEnd, bytes)), bytes)
          assert.equal(bytes.length, 32)
        } catch (error) {
          assert.equal((error as { code: string }).code, 'badLength')
        }
      }),
    )
  })

  it('names the deal by the id that the ledger knows it by', () => {
    const deal = dealOf()
    assert.deepEqual(known(signEnd(deal)).value.deal, dealId(deal))
  })
})
