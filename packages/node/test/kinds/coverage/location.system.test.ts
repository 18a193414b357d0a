import { strict as assert } from 'node:assert'
import {
  cellDistance,
  decode,
  decodeEnvelope,
  type Envelope,
  type EpochBase,
  judgeLocation,
  type Known,
  METRES_PER_MICRO,
  Measurement,
  messageId,
  nextTimings,
  type TargetTimings,
  type VerdictFacts,
} from '@cairn/protocol'
import { latLngToCell } from 'h3-js'
import { cellNorth } from '../../../../protocol/test/kinds/coverage/field.ts'
import { judged, measuringBase, peerIdOfNode } from './measuring.ts'
import type { PeerInit } from './measuring-peer.ts'
import { firstLine, Namespaces, type Program } from './namespaces.ts'

const PEER = new URL('./measuring-peer.ts', import.meta.url).pathname
const SLOT_MS = 3_000

/** Sydney: 15,900 km from the town, where an answer takes 106 ms at least. */
const SYDNEY = [-33.86, -33.8].map(lat => BigInt(`0x${latLngToCell(lat, 151.2, 12)}`))
const TOWN = [0, 2_000, 4_000, 6_000, 8_000].map(metres => cellNorth(metres))
const CELLS = [...TOWN, ...SYDNEY] as const
/** Claims Sydney, and answers from the town. */
const LIAR = 5
/** Is as far away as it says. */
const FAR = 6
/** Of each machine's link one way, ms; 62 from the far one to the town, and 124 there and back. */
const DELAYS = [2, 2, 2, 2, 2, 2, 60] as const

describe('location by latency between network namespaces', function () {
  this.timeout(300_000)
  let namespaces: Namespaces
  let base: EpochBase
  let timings: TargetTimings[]
  const said: Envelope[] = []

  before(async () => {
    namespaces = new Namespaces(DELAYS)
    await namespaces.connect()
    const peers = CELLS.map((_, index) => startPeer(namespaces, index))
    await Promise.all(peers.map(firstLine))
    const startsAt = Math.floor(Date.now() / 1_000)
    base = measuringBase(CELLS, { startsAt, slotMs: SLOT_MS })
    const everything = new Promise<void>(resolve => {
      for (const { lines } of peers) {
        lines.on('line', (line: string) => {
          said.push(decodeEnvelope(Buffer.from(line.split(' ')[1] as string, 'hex')))
          if (said.length === CELLS.length * (CELLS.length - 1)) resolve()
        })
      }
    })
    for (const { child } of peers) child.stdin?.write(`${startsAt}\n`)
    await everything
    const messages = said.map(envelope => {
      return { id: messageId(envelope), value: decode(Measurement, envelope.body) }
    }) satisfies Known<Measurement>[]
    timings = nextTimings(base, [], messages)
  })

  after(() => namespaces?.stop())

  function found(node: number): VerdictFacts {
    const { timings: list = [] } = timings.find(({ target }) => target === node) ?? {}
    assert.equal(list.length, CELLS.length - 1)
    return judgeLocation(list).facts
  }

  it('measures everybody by everybody, as the rules have it', function () {
    ;(this.test as { title: string }).title += ` (delays by ${namespaces.means})`
    for (const envelope of said) assert.equal(judged(envelope, base).verdict, 'valid')
  })

  it('finds no answer sooner than the links let it come', () => {
    for (const { target, timings: list } of timings) {
      for (const { measurer, micros } of list) {
        const way = (DELAYS[target] as number) + (DELAYS[measurer] as number)
        // Timers of the relay may be a millisecond early at each end.
        assert.ok(micros >= (2 * way - 2) * 1_000, `${micros} us over ${way} ms`)
      }
    }
  })

  it('finds the one that answers from the town and claims to be in Sydney', () => {
    const facts = found(LIAR)
    assert.equal(facts.location, 0)
    assert.equal(facts.measuredTooFast, TOWN.length)
    assert.ok((facts.roundTripMetres as number) > 15_000_000)
    assert.ok((facts.roundTripLimit as number) < (facts.roundTripMetres as number))
  })

  it('believes the one that is that far away', () => {
    const distance = cellDistance(CELLS[0] as bigint, CELLS[FAR] as bigint)
    assert.ok(distance > 15_000_000 && distance < METRES_PER_MICRO * 122_000)
    const facts = found(FAR)
    assert.equal(facts.location, 1_000_000)
    assert.equal(facts.measuredTooFast, 0)
  })

  it('believes the town, whatever the liar measured of it', () => {
    for (const node of TOWN.keys()) {
      const facts = found(node)
      assert.equal(facts.location, 1_000_000)
      assert.equal(facts.measuredTooFast, 1)
      assert.equal(facts.roundTripFrom, LIAR)
    }
  })
})

function startPeer(namespaces: Namespaces, index: number): Program {
  const others = [...CELLS.keys()].filter(other => other !== index)
  const init: PeerInit = {
    index,
    listen: namespaces.listen(index),
    bootstrap: others.map(
      other => `${namespaces.address(index, other)}/p2p/${peerIdOfNode(other)}`,
    ),
    others: CELLS.length - 1,
    slotMs: SLOT_MS,
    cells: CELLS.map(cell => cell.toString(16)),
  }
  return namespaces.start(index, PEER, init)
}
