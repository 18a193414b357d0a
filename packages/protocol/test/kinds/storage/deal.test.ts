import { strict as assert } from 'node:assert'
import {
  Deal,
  dealId,
  dealSigningRoot,
  decode,
  type EpochBase,
  hex,
  PIECE_PAYLOAD_MAX,
  plainVerifier,
  StorageState,
  storageKind,
  TESTNET_PROFILE,
} from '@cairn/protocol'
import { ed25519 } from '@noble/curves/ed25519.js'
import { bytesToNumberLE, numberToBytesLE } from '@noble/curves/utils.js'
import { sha512 } from '@noble/hashes/sha2.js'
import fc from 'fast-check'
import {
  baseOf,
  bytes32,
  clientKey,
  dealOf,
  deposit,
  EPOCH,
  entryOf,
  NETWORK,
  registry,
  signDeal,
  stateOf,
} from './world.ts'

const rule = storageKind.standing[0]
const { minDealEpochs } = TESTNET_PROFILE

function verify(deal: Deal, signature: Uint8Array, base: EpochBase = baseOf()) {
  return rule?.verify({ id: dealId(deal), value: deal }, signature, base, plainVerifier)
}

function pending(deal: Deal, base: EpochBase = baseOf()) {
  return rule?.pending({ id: dealId(deal), value: deal }, base)
}

const verifySigned = (deal: Deal, base?: EpochBase) => verify(deal, signDeal(deal).signature, base)

describe('deal', () => {
  it('has a known id and signing root', () => {
    const deal = { ...dealOf(), piece: { root: bytes32(1, 4), payload: 1_000 } }
    assert.equal(
      hex(dealId(deal)),
      '5cdfd5664af0c5658a812949281694a3bc5b5a20c8f6a1a5ab5b086a61d3d6a0',
    )
    assert.equal(
      hex(dealSigningRoot(deal, NETWORK)),
      '490e30048f79f88c11be11bd07000d500970e185487146eb86f409cbd24873ff',
    )
  })

  it('is valid with both signatures', () => assert.equal(verifySigned(dealOf()), 'yes'))

  it('is not valid with any other signature', () => {
    const deal = dealOf()
    const { signature } = signDeal(deal)
    const client = signature.slice(0, 64)
    const provider = signature.slice(64)
    const wrong: Record<string, Uint8Array> = {
      'the client alone': client,
      'the provider alone': provider,
      'the other way round': Uint8Array.of(...provider, ...client),
      'twice the client': Uint8Array.of(...client, ...client),
      'one byte more': Uint8Array.of(...signature, 0),
      nothing: new Uint8Array(0),
      'another network': signDeal(deal, { network: bytes32(7) }).signature,
      'another deal': signDeal({ ...deal, nonce: 2n }).signature,
    }
    for (const [what, bytes] of Object.entries(wrong)) {
      assert.equal(verify(deal, bytes), 'no', what)
    }
    // Where the provider signed, the other signature may be a delegate’s at another base.
    const another = signDeal(deal, { client: 2 }).signature
    assert.equal(verify(deal, another), 'unknown')
    assert.equal(verify(deal, Uint8Array.of(...provider, ...provider)), 'unknown')
  })

  it('is not valid under a client key of mixed order, though its signature holds', () => {
    const { Point } = ed25519
    const secret = 12_345n
    // (0, -1) has order 2: a signature holds for every even hash.
    const client = Point.BASE.multiply(secret)
      .add(Point.fromAffine({ x: 0n, y: Point.Fp.ORDER - 1n }))
      .toBytes()
    const deal = dealOf({ client })
    const root = dealSigningRoot(deal, NETWORK)
    const order = Point.Fn.ORDER
    let signature: Uint8Array | undefined
    for (let r = 1n; signature === undefined; r++) {
      const R = Point.BASE.multiply(r).toBytes()
      const k = bytesToNumberLE(sha512(Uint8Array.of(...R, ...client, ...root))) % order
      if (k % 2n === 1n) continue
      signature = Uint8Array.of(...R, ...numberToBytesLE((r + k * secret) % order, 32))
    }
    assert.ok(plainVerifier.ed25519(root, client, signature))
    const provider = signDeal(deal).signature.slice(64)
    assert.equal(verify(deal, Uint8Array.of(...signature, ...provider)), 'unknown')
  })

  it('waits for a provider that the base does not know as one', () => {
    const none = baseOf({ registry: registry(8).slice(1) })
    assert.equal(verifySigned(dealOf(), none), 'unknown')
    const other = baseOf({ registry: [entryOf(0, { kinds: 0b101 }), entryOf(1)] })
    assert.equal(verifySigned(dealOf(), other), 'unknown')
  })

  it('is not valid with a size, price or length that no deal has', () => {
    const { piece, startEpoch } = dealOf()
    const wrong: Partial<Deal>[] = [
      { piece: { ...piece, payload: 0 } },
      { piece: { ...piece, payload: PIECE_PAYLOAD_MAX + 1 } },
      { pricePerEpoch: 0n },
      { endEpoch: startEpoch + minDealEpochs - 1 },
      { endEpoch: startEpoch - 1 },
    ]
    for (const change of wrong) assert.equal(verifySigned(dealOf(change)), 'no')
    assert.equal(verifySigned(dealOf({ endEpoch: startEpoch + minDealEpochs })), 'yes')
  })

  it('is pending until the base carries it', () => {
    const deal = dealOf()
    assert.equal(pending(deal), true)
    assert.equal(pending(deal, baseOf({ state: stateOf([deal]) })), false)
  })

  it('is pending up to the epoch it begins in, and not long before', () => {
    assert.equal(pending(dealOf({ startEpoch: EPOCH - 1 })), false)
    assert.equal(pending(dealOf({ startEpoch: EPOCH + minDealEpochs })), true)
    assert.equal(pending(dealOf({ startEpoch: EPOCH + minDealEpochs + 1 })), false)
  })

  it('is pending while the deposit covers it beside the other deals of its client', () => {
    const other = dealOf({ nonce: 5n, pricePerEpoch: 60n })
    const needed = BigInt(minDealEpochs) * 160n
    const base = (amount: bigint) =>
      baseOf({ state: stateOf([other]), deposits: [deposit(1, amount)] })
    assert.equal(pending(dealOf(), base(needed)), true)
    assert.equal(pending(dealOf(), base(needed - 1n)), false)
    assert.equal(pending(dealOf({ client: clientKey(2) }), base(needed)), false)
  })

  it('is pending when what the deposit still covers does', () => {
    const amount = BigInt(minDealEpochs) * 100n
    const paid = { ...deposit(1, amount + 50n) }
    const payouts = (spent: bigint) => [{ account: paid.account, earned: 7n, spent }]
    assert.equal(pending(dealOf(), baseOf({ deposits: [paid], payouts: payouts(50n) })), true)
    assert.equal(pending(dealOf(), baseOf({ deposits: [paid], payouts: payouts(51n) })), false)
  })

  it('finds room that a deal leaves which runs out', () => {
    const other = dealOf({ nonce: 5n, startEpoch: 1, endEpoch: EPOCH + 2 })
    const base = (amount: bigint) =>
      baseOf({ state: stateOf([other]), deposits: [deposit(1, amount)] })
    const successor = dealOf({ startEpoch: EPOCH + 2 })
    const needed = BigInt(minDealEpochs) * 100n + 2n * 100n
    assert.equal(pending(successor, base(needed)), true)
    assert.equal(pending(successor, base(needed - 1n)), false)
  })

  it('fits beside those of its client that wait, and those alone', () => {
    const amount = BigInt(minDealEpochs) * 300n
    const base = (state = stateOf([])) => baseOf({ state, deposits: [deposit(1, amount)] })
    const known = (deal: Deal) => ({ id: dealId(deal), value: deal })
    const two = [2n, 3n].map(nonce => known(dealOf({ nonce })))
    const fits = (waiting: typeof two, at = base()) => rule?.fits?.(known(dealOf()), waiting, at)
    assert.equal(fits(two), true)
    assert.equal(fits([...two, known(dealOf({ nonce: 4n, pricePerEpoch: 1n }))]), false)
    const carried = base(stateOf(two.map(({ value }) => value)))
    assert.equal(fits(two, carried), true, 'those that the base carries are not counted twice')
    assert.equal(rule?.account(dealOf()), hex(clientKey(1)))
    assert.notEqual(rule?.account(dealOf({ client: clientKey(2) })), hex(clientKey(1)))
  })

  it('refuses hostile bytes with a code', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), bytes => {
        for (const codec of [Deal, StorageState] as const) {
          try {
            assert.deepEqual(
              (codec as typeof Deal).serialize(decode(codec as typeof Deal, bytes)),
              bytes,
            )
          } catch (error) {
            assert.match((error as { code: string }).code, /^bad(Length|Encoding)$/)
          }
        }
      }),
    )
  })
})
