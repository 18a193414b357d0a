import { strict as assert } from 'node:assert'
import { agree } from '@cairn/node'
import { type Deal, ed25519, plainVerifier, TESTNET_PROFILE } from '@cairn/protocol'
import { clientKey, clientSecret, pieceOf } from '../../../protocol/test/kinds/storage/world.ts'
import { dealOf, EPOCH, pattern, peerName, stream, World } from './world.ts'

const { minDealEpochs, lookback } = TESTNET_PROFILE
/** Epochs that a piece without a deal lies. */
const WAIT = minDealEpochs + lookback + 2

const payload = pattern(3_000, 5)
const piece = pieceOf(3_000, 5)

describe('pieces whose deals are over', () => {
  let world: World

  beforeEach(async () => {
    world = new World()
    await world.start()
    await world.node(0).pieces.put(stream(payload))
  })
  afterEach(() => world.stop())

  const deal = (change: Partial<Deal> = {}) =>
    dealOf({ piece, startEpoch: EPOCH - 20, endEpoch: EPOCH + 90, ...change })
  const settle = () => world.clock.run({ until: world.clock.now() + 500 })
  const has = () => world.node(0).pieces.has(piece)

  async function through(from: number, to: number, deals: readonly Deal[]): Promise<void> {
    for (let plus = from; plus <= to; plus++) {
      await world.toEpoch(EPOCH + plus, deals)
      await settle()
    }
  }

  it('are deleted when no deal of the node needed them for long enough, and not before', async () => {
    const foreign = deal({ provider: 1 })
    await through(0, 3, [deal(), foreign])
    await through(4, 4 + WAIT - 1, [foreign])
    assert.ok(has())
    await through(4 + WAIT, 4 + WAIT, [foreign])
    assert.equal(has(), false)
    assert.equal(world.lines.filter(({ text }) => /whose deals are over/.test(text)).length, 1)
  })

  it('are kept while any deal needs them, one that has not begun yet among them', async () => {
    await through(0, 2, [])
    const coming = deal({ startEpoch: EPOCH + 80 })
    await through(3, 3 + 2 * WAIT, [coming])
    assert.ok(has())
    await through(4 + 2 * WAIT, 4 + 3 * WAIT - 1, [])
    assert.ok(has(), 'the wait begins anew')
    await through(4 + 3 * WAIT, 4 + 3 * WAIT, [])
    assert.equal(has(), false)
  })

  it('are remembered over a restart', async () => {
    await through(0, WAIT - 1, [])
    await world.restart(0)
    assert.ok(has())
    await through(WAIT, WAIT, [])
    assert.equal(has(), false)
  })

  it('are kept for a deal that was signed about them and is in no base yet', async () => {
    await through(0, WAIT - 1, [])
    const startEpoch = world.base.epoch + minDealEpochs
    const next = deal({ startEpoch, endEpoch: startEpoch + 50 })
    await propose(next)
    await world.restart(0)
    await through(WAIT, 2 * WAIT - 1, [])
    assert.ok(has())
    await through(2 * WAIT, 3 * WAIT, [next])
    assert.ok(has())
  })

  it('are kept while checkpoints wait, one of which may hold a deal about them', async () => {
    await through(0, 2, [])
    world.settled = EPOCH
    await through(3, 3 * WAIT, [])
    assert.ok(has())
    world.settled = Number.POSITIVE_INFINITY
    await through(3 * WAIT + 1, 3 * WAIT + 1, [])
    assert.equal(has(), false)
  })

  it('are nobody\u2019s business for a node that is not in the registry', async () => {
    Object.assign(world.node(0).voice, { index: () => undefined })
    await through(0, 2 * WAIT, [])
    assert.ok(has())
  })

  /** The client of node 5 has the provider sign it. */
  async function propose(next: Deal): Promise<void> {
    const entry = world.base.node(0)
    assert.ok(entry)
    const key = {
      key: clientKey(1),
      sign: (root: Uint8Array) => ed25519.sign(root, clientSecret(1)),
    }
    await world.run(
      agree(
        { clock: world.clock, network: world.node(5).network, verifier: plainVerifier },
        {
          deal: next,
          key,
          provider: { entry, peer: peerName(0) },
          id: world.base.network,
          signal: new AbortController().signal,
        },
      ),
    )
  }
})
