import { strict as assert } from 'node:assert'
import { Measured, PING_PROTOCOL, PINGED_PROTOCOL } from '@cairn/node'
import {
  decode,
  type Envelope,
  type EpochBase,
  Measurement,
  measurersOf,
  PINGS_MAX,
  PINGS_MIN,
  Ping,
  Pinged,
  pingBeginning,
  pingedRoot,
  plainVerifier,
  pong,
} from '@cairn/protocol'
import { cellNorth } from '../../../../protocol/test/kinds/coverage/field.ts'
import { bytes32 } from '../../../../protocol/test/kinds/coverage/network.ts'
import { met, until } from '../../network/world.ts'
import {
  answering,
  judged,
  type MeasuringNode,
  measuringBase,
  measuringNode,
  peerOf,
  signerOf,
  voiceOf,
} from './measuring.ts'

const LOOPBACK = '/ip4/127.0.0.1/tcp/0'

describe('measured node', () => {
  const cells = Array.from({ length: 12 }, (_, index) => cellNorth(1_000 * index))
  const base = measuringBase(cells, { startsAt: 1_800_000_000 })
  const [measurer, other] = measurersOf(base, 0) as [number, number]
  const stranger = base.nodes.find(
    ({ index }) => index !== 0 && !measurersOf(base, 0).includes(index),
  )?.index as number

  function begin(at: EpochBase = base) {
    const { network, ask } = answering()
    const measured = new Measured({ network, peerOf })
    measured.add({ signer: signerOf(0), voice: voiceOf(0, () => {}) })
    measured.start()
    measured.start()
    measured.epoch(at)
    const peer = (node: number) => {
      const entry = at.node(node)
      return entry === undefined ? 'nobody' : peerOf(entry)
    }
    const between = (node: number) => ({ epoch: 8, base: at.tag, measurer: node, target: 0 })
    return {
      measured,
      ping: (node: number, place: number, from = peer(node), fill = 1) =>
        ask(
          PING_PROTOCOL,
          Ping.serialize({ ...between(node), place, nonce: bytes32(place, fill) }),
          from,
        ),
      sign: (node: number, nonce: Uint8Array, count: number, change: Partial<Pinged> = {}) =>
        ask(
          PINGED_PROTOCOL,
          Pinged.serialize({ ...between(node), nonce, count, ...change }),
          peer(node),
        ),
      /** The chain after so many pings. */
      chain: (node: number, count: number) =>
        Array.from({ length: count }, (_, place) => bytes32(place, 1)).reduce(
          pong,
          pingBeginning(between(node), at.network),
        ),
      between,
    }
  }

  async function pinged(count: number) {
    const asked = begin()
    for (let place = 0; place < count; place++) await asked.ping(measurer, place)
    return asked
  }

  it('answers with the chain, and each measurer with its own', async () => {
    const asked = begin()
    assert.deepEqual(await asked.ping(measurer, 0), asked.chain(measurer, 1))
    assert.deepEqual(await asked.ping(other, 0), asked.chain(other, 1))
    assert.deepEqual(await asked.ping(measurer, 1), asked.chain(measurer, 2))
  })

  it('answers nobody but the drawn measurers, by their own peer ids, in epochs it knows', async () => {
    const asked = begin()
    const refused = { code: 'notDrawn' }
    await assert.rejects(asked.ping(stranger, 0), refused)
    await assert.rejects(asked.ping(99, 0), refused)
    await assert.rejects(asked.ping(measurer, 0, 'somebody else'), refused)
    const later = { ...base, epoch: 10 } as EpochBase
    asked.measured.epoch(later)
    await assert.rejects(asked.ping(measurer, 0), refused)
  })

  it('answers pings in order, the last one again, and no more than there may be', async () => {
    const asked = begin()
    const refused = { code: 'outOfOrder' }
    await assert.rejects(asked.ping(measurer, 1), refused)
    const first = await asked.ping(measurer, 0)
    assert.deepEqual(await asked.ping(measurer, 0), first)
    // Another question in the same place is none that was lost.
    await assert.rejects(asked.ping(measurer, 0, undefined, 2), refused)
    for (let place = 1; place < PINGS_MAX; place++) await asked.ping(measurer, place)
    await assert.rejects(asked.ping(measurer, PINGS_MAX), refused)
  })

  it('signs what it answered, or all but the last of it', async () => {
    for (const count of [10, 9]) {
      const asked = await pinged(10)
      const nonce = asked.chain(measurer, count)
      const signature = await asked.sign(measurer, nonce, count)
      const root = pingedRoot({ ...asked.between(measurer), nonce, count }, base.network)
      assert.ok(plainVerifier.ed25519(root, signerOf(0).identity, signature))
      assert.deepEqual(await asked.sign(measurer, nonce, count), signature)
    }
  })

  it('signs one thing only', async () => {
    const refused = { code: 'otherPings' }
    const asked = await pinged(10)
    await assert.rejects(asked.sign(measurer, asked.chain(measurer, 8), 8), refused)
    await assert.rejects(asked.sign(measurer, asked.chain(measurer, 10), 9), refused)
    await assert.rejects(asked.sign(measurer, bytes32(1), 10), refused)
    await asked.sign(measurer, asked.chain(measurer, 9), 9)
    await assert.rejects(asked.sign(measurer, asked.chain(measurer, 10), 10), refused)
    await assert.rejects(asked.ping(measurer, 9), { code: 'outOfOrder' })
  })

  it('signs its own name and epoch whatever it is given to sign', async () => {
    const asked = await pinged(8)
    const nonce = asked.chain(measurer, 8)
    const change = { base: new Uint8Array(8) }
    const signature = await asked.sign(measurer, nonce, 8, change)
    const root = pingedRoot({ ...asked.between(measurer), nonce, count: 8 }, base.network)
    assert.ok(plainVerifier.ed25519(root, signerOf(0).identity, signature))
  })

  it('signs no fewer pings than say something', async () => {
    const few = await pinged(PINGS_MIN - 1)
    const nonce = few.chain(measurer, PINGS_MIN - 1)
    await assert.rejects(few.sign(measurer, nonce, PINGS_MIN - 1), { code: 'otherPings' })
    await few.ping(measurer, PINGS_MIN - 1)
    await few.sign(measurer, few.chain(measurer, PINGS_MIN), PINGS_MIN)
  })

  it('is not moved by hostile bytes', async () => {
    const { network, ask } = answering()
    new Measured({ network, peerOf }).start()
    for (const protocol of [PING_PROTOCOL, PINGED_PROTOCOL]) {
      for (const length of [0, 1, 45, 200]) {
        await assert.rejects(ask(protocol, new Uint8Array(length), 'x'), /expected|nobody/)
      }
    }
  })
})

describe('location by latency over loopback', () => {
  it('ends with a measurement that both signed and everybody lets in', async () => {
    const startsAt = Math.floor(Date.now() / 1_000) - 5
    const base = measuringBase([cellNorth(0), cellNorth(2_000)], { startsAt })
    const nodes: MeasuringNode[] = []
    const said: Envelope[] = []
    const say = (envelope: Envelope) => void said.push(envelope)
    try {
      const hub = await measuringNode(0, { listen: LOOPBACK, say })
      nodes.push(hub)
      const bootstrap = hub.network.addresses()
      const second = await measuringNode(1, { listen: LOOPBACK, bootstrap, say })
      nodes.push(second)
      await met(second.network, hub.network)
      for (const node of nodes) node.begin(base)
      await until(() => said.length > 0, 'one measures the other')
      const [envelope] = said as [Envelope]
      const { author, target, count, micros } = decode(Measurement, envelope.body)
      assert.deepEqual([author, target].toSorted(), [0, 1])
      assert.ok(count >= PINGS_MIN && count <= PINGS_MAX)
      assert.ok(micros > 0, 'light takes time')
      assert.equal(judged(envelope, base).verdict, 'valid')
    } finally {
      await Promise.all(nodes.map(node => node.stop()))
    }
  })
})
