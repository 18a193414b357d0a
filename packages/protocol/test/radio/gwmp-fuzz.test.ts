import { strict as assert } from 'node:assert'
import { CairnError, decodeDatagram, decodeHead } from '@cairn/protocol'
import { diceOf, hostileDatagrams } from './hostile.ts'

/** Bytes that garbage not yet collected may take. */
const HEAP_SLACK = 150e6

const EUI = '00800000a00016b6'
const DATAGRAMS = 1_000_000

describe('GWMP datagrams, a million hostile ones', () => {
  const seed = Number(process.env.CAIRN_FUZZ_SEED ?? Math.floor(Math.random() * 2 ** 32))

  it(`are read or refused with a coded error, and nothing else (CAIRN_FUZZ_SEED=${seed})`, () => {
    const next = hostileDatagrams(diceOf(seed), EUI)
    const { stackTraceLimit } = Error
    // Half a million refusals: without their stacks it takes a quarter of the time.
    Error.stackTraceLimit = 0
    const outcomes = new Map<string, number>()
    const before = process.memoryUsage().heapUsed
    try {
      for (let i = 0; i < DATAGRAMS; i++) {
        const outcome = read(next())
        outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
      }
    } finally {
      Error.stackTraceLimit = stackTraceLimit
    }
    assert.ok(process.memoryUsage().heapUsed - before < HEAP_SLACK)
    assert.ok((outcomes.get('pushData') ?? 0) > DATAGRAMS / 20, 'many get through')
    assert.ok((outcomes.get('txAck') ?? 0) > DATAGRAMS / 100)
    for (const reason of ['length', 'version', 'id', 'utf8', 'json', 'shape', 'stat', 'error']) {
      assert.ok((outcomes.get(reason) ?? 0) > 100, `${reason}: ${[...outcomes]}`)
    }
    assert.ok(outcomes.size < 100, 'every reason is one of a few words')
  }).timeout(300_000)
})

/** The id of what could be read, or why it could not. */
function read(bytes: Uint8Array): string {
  try {
    const head = decodeHead(bytes)
    const datagram = decodeDatagram(bytes)
    assert.equal(datagram.id, head.id)
    return datagram.id
  } catch (error) {
    if (!(error instanceof CairnError) || error.code !== 'badDatagram') throw error
    assert.equal(typeof error.facts.reason, 'string')
    return error.facts.reason as string
  }
}
