import { strict as assert } from 'node:assert'
import { Measured, Measurer, type Network, PING_PROTOCOL, type RequestOptions } from '@cairn/node'
import {
  CairnError,
  decode,
  type Envelope,
  type EpochBase,
  Measurement,
  measurersOf,
  PINGS_MIN,
  Ping,
  slotStart,
} from '@cairn/protocol'
import { cellNorth } from '../../../../protocol/test/kinds/coverage/field.ts'
import { bytes32 } from '../../../../protocol/test/kinds/coverage/network.ts'
import { quietLog } from '../../network/world.ts'
import { answering, measuringBase, peerIdOfNode, peerOf, signerOf, voiceOf } from './measuring.ts'
import { HandClock } from './world.ts'

const STARTS_AT = 1_800_000_000
/** Of an ordinary answer, ms. */
const WAY_MS = 40

/** What becomes of the n-th request by a protocol, from 0; undefined: it is answered. */
type Fault = (protocol: string, number: number) => 'lost' | 'wrong' | 'refused' | undefined

interface Asked {
  readonly protocol: string
  readonly request: Uint8Array
}

/** Node 1 measures node 0, whose answers take their time on a clock that is moved by hand. */
async function measure(fault: Fault = () => undefined, wayOf = (_: number) => WAY_MS) {
  const base = measuringBase([cellNorth(0), cellNorth(2_000)], { startsAt: STARTS_AT })
  const clock = new HandClock(STARTS_AT * 1_000)
  const { network: there, ask } = answering()
  const measured = new Measured({ network: there, peerOf })
  measured.add({ voice: voiceOf(0, () => {}), signer: signerOf(0) })
  measured.start()
  measured.epoch(base)
  const asked: Asked[] = []
  const network: Network = {
    ...there,
    request: async (_, protocol, request, options) => {
      const number = asked.filter(other => other.protocol === protocol).length
      asked.push({ protocol, request })
      const what = fault(protocol, number)
      if (what === 'refused') throw new CairnError('notDrawn', 'refused')
      const answer = await ask(protocol, request, peerIdOfNode(1))
      if (what === 'lost') return await never(options)
      const way = wayOf(number)
      await clock.until(clock.now() + way, options.signal).catch(() => {
        throw new CairnError('timeout', 'too late')
      })
      options.onRoundTrip?.(way * 1_000)
      return what === 'wrong' ? new Uint8Array(32) : answer
    },
  }
  const said: Envelope[] = []
  const voice = voiceOf(1, envelope => void said.push(envelope))
  let drawn = 0
  const random = () => bytes32(++drawn)
  const measurer = new Measurer(
    { clock, network, voice, log: quietLog(), peerOf, random },
    { calendar: base },
  )
  measurer.epoch(base)
  await clock.run(slotStart(base, base.epoch, base.profile.slotsPerEpoch))
  await measurer.stop()
  assert.equal(clock.pending, 0)
  const pings = asked.filter(({ protocol }) => protocol === PING_PROTOCOL)
  return {
    base,
    pings: pings.map(({ request }) => decode(Ping, request)),
    said: said.map(({ body }) => decode(Measurement, body)),
  }
}

/** As the network does when nothing comes back. */
function never({ signal }: RequestOptions): Promise<never> {
  return new Promise((_, reject) => {
    const late = () => reject(new CairnError('timeout', 'no answer'))
    if (signal.aborted) late()
    else signal.addEventListener('abort', late, { once: true })
  })
}

describe('measuring node', () => {
  it('asks question after question, each a new one, and publishes the least time', async () => {
    const { pings, said } = await measure(undefined, number => (number === 20 ? 7 : 30 + number))
    assert.deepEqual(
      pings.map(({ place }) => place),
      pings.map((_, place) => place),
    )
    assert.equal(new Set(pings.map(({ nonce }) => Buffer.from(nonce).toString('hex'))).size, 32)
    assert.equal(said.length, 1)
    assert.equal(said[0]?.micros, 7_000)
    assert.equal(said[0]?.count, 32)
  })

  it('asks again what was lost, and lets the time of a repetition not count', async () => {
    // The answer to a repeated question may have been ready before it came.
    const { pings, said } = await measure(
      (protocol, number) => (protocol === PING_PROTOCOL && number === 3 ? 'lost' : undefined),
      number => (number === 4 ? 1 : WAY_MS),
    )
    assert.deepEqual(pings[4], pings[3])
    assert.equal(pings.length, 33)
    assert.equal(said[0]?.count, 32)
    assert.equal(said[0]?.micros, WAY_MS * 1_000)
  })

  it('publishes what it has when the time ends, and signs for no answer it did not get', async () => {
    const lostFrom = 12
    const { said } = await measure((protocol, number) =>
      protocol === PING_PROTOCOL && number >= lostFrom ? 'lost' : undefined,
    )
    assert.equal(said[0]?.count, lostFrom)
  })

  it('publishes nothing of too few answers', async () => {
    const { said } = await measure((protocol, number) =>
      protocol === PING_PROTOCOL && number >= PINGS_MIN - 1 ? 'lost' : undefined,
    )
    assert.deepEqual(said, [])
  })

  it('publishes nothing of who answers wrongly, or does not sign', async () => {
    const wrong = await measure((protocol, number) =>
      protocol === PING_PROTOCOL && number === 9 ? 'wrong' : undefined,
    )
    assert.equal(wrong.pings.length, 10)
    assert.deepEqual(wrong.said, [])
    const unsigned = await measure(protocol => (protocol === PING_PROTOCOL ? undefined : 'refused'))
    assert.deepEqual(unsigned.said, [])
  })

  it('goes on without who refuses', async () => {
    const { pings, said } = await measure(() => 'refused')
    assert.equal(pings.length, 1)
    assert.deepEqual(said, [])
  })
})

describe('a node that measures many', () => {
  /** So many gateways of one operator, and one node of another that is drawn for them all. */
  async function many(count: number) {
    const cells = Array.from({ length: count + 1 }, (_, index) => cellNorth(1_000 * index))
    const plain = measuringBase(cells, { startsAt: STARTS_AT })
    const operator = new Uint8Array(20).fill(1)
    for (const entry of plain.nodes) if (entry.index < count) Object.assign(entry, { operator })
    const base: EpochBase = plain
    for (let target = 0; target < count; target++) {
      assert.deepEqual(measurersOf(base, target), [count])
    }
    const clock = new HandClock(STARTS_AT * 1_000)
    const asked = new Set<number>()
    let now = 0
    let most = 0
    const { network } = answering()
    const request: Network['request'] = async (_, __, bytes, { signal }) => {
      asked.add(decode(Ping, bytes).target)
      now++
      most = Math.max(most, now)
      await clock.until(clock.now() + 100, signal)
      now--
      throw new CairnError('unreachable', 'nobody is there')
    }
    const random = (length: number) => new Uint8Array(length)
    const measurer = new Measurer(
      {
        clock,
        network: { ...network, request },
        voice: voiceOf(count, () => {}),
        log: quietLog(),
        peerOf,
        random,
      },
      { calendar: base },
    )
    measurer.epoch(base)
    await clock.run(slotStart(base, base.epoch, base.profile.slotsPerEpoch))
    await measurer.stop()
    return { asked: asked.size, most }
  }

  it('measures four at a time', async () => {
    const { asked, most } = await many(60)
    assert.equal(asked, 60)
    assert.equal(most, 4)
  })

  it('measures as many as an epoch allows', async () => {
    assert.equal((await many(64)).asked, 64)
    assert.equal((await many(66)).asked, 64)
  })
})
