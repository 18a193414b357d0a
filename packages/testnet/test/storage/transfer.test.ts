import { strict as assert } from 'node:assert'
import { type Network, type PullInit, pullPiece, RANGES_IN_FLIGHT, servePieces } from '@cairn/node'
import {
  decode,
  hashPiece,
  PieceRange,
  RANGE_BYTES,
  RangeProof,
  SUBTREE_PAYLOAD,
  verifyRange,
} from '@cairn/protocol'
import { MemoryPieces } from '@cairn/testnet'
import { pattern, stream, World } from './world.ts'

const payload = pattern(5 * RANGE_BYTES + 1_234)
const { piece } = hashPiece(payload)

describe('pulling a piece', () => {
  let world: World
  let receiver: Network

  beforeEach(async () => {
    world = new World({ nodes: 0 })
    receiver = world.network.join('receiver')
    await receiver.start()
  })
  afterEach(() => world.stop())

  async function holder(name: string): Promise<MemoryPieces> {
    const pieces = new MemoryPieces()
    await pieces.put(stream(payload))
    const network = world.network.join(name)
    servePieces(network, [new MemoryPieces(), pieces])
    await network.start()
    return pieces
  }

  async function stranger(name: string, answer: (request: Uint8Array) => Promise<Uint8Array>) {
    const network = world.network.join(name)
    const options = { maxRequestBytes: 100, maxResponseBytes: 1024 * 1024, perSecond: 1_000 }
    network.serve('piece-get', options, answer)
    await network.start()
  }

  async function pull(peers: string[], init: Partial<PullInit> = {}): Promise<Buffer> {
    const { clock } = world
    const { signal } = new AbortController()
    const collect = async () => {
      const parts: Uint8Array[] = []
      const source = pullPiece({ network: receiver, clock }, { piece, peers, signal, ...init })
      for await (const part of source) parts.push(part)
      return Buffer.concat(parts)
    }
    return await world.run(collect())
  }

  it('gives the bytes in order, from one peer or several', async () => {
    await holder('a')
    await holder('b')
    assert.ok((await pull(['a'])).equals(payload))
    assert.ok((await pull(['a', 'b'])).equals(payload))
  })

  it('gives nothing of an empty piece, without asking anybody', async () => {
    const { clock, network } = world
    const empty = hashPiece(new Uint8Array(0)).piece
    const { signal } = new AbortController()
    const init = { piece: empty, peers: ['nobody'], signal }
    for await (const _ of pullPiece({ network: receiver, clock }, init)) assert.fail()
    assert.equal(network.tally.requests, 0)
  })

  it('has no more under way than the credit, however slow its reader', async () => {
    await holder('a')
    const { clock, network } = world
    const { signal } = new AbortController()
    const bytes = pullPiece({ network: receiver, clock }, { piece, peers: ['a'], signal })
    await world.run(bytes.next())
    await clock.run({ until: clock.now() + 5_000 })
    assert.equal(network.tally.requests, RANGES_IN_FLIGHT)
    assert.ok(RANGES_IN_FLIGHT * RANGE_BYTES < 4 * 1024 * 1024)
    await world.run(bytes.return(undefined))
  })

  it('gives any part, to the byte', async () => {
    await holder('a')
    const ends = [0, 1, SUBTREE_PAYLOAD - 1, SUBTREE_PAYLOAD, RANGE_BYTES + 7, payload.length]
    for (const offset of ends) {
      for (const end of ends.filter(other => other >= offset)) {
        const part = await pull(['a'], { offset, length: end - offset })
        assert.ok(part.equals(payload.subarray(offset, end)), `${offset} to ${end}`)
      }
    }
    const offset = 3 * RANGE_BYTES - 5
    assert.ok((await pull(['a'], { offset })).equals(payload.subarray(offset)))
    for (const init of [{ offset: payload.length + 1 }, { offset: -1 }, { offset: 0.5 }]) {
      await assert.rejects(pull(['a'], init), { code: 'badRange' })
    }
    await assert.rejects(pull(['a'], { offset: 1, length: payload.length }), { code: 'badRange' })
  })

  it('goes on where an earlier transfer ended, with others', async () => {
    await holder('a')
    const { clock } = world
    const { signal } = new AbortController()
    const first = pullPiece({ network: receiver, clock }, { piece, peers: ['a'], signal })
    const { value } = await world.run(first.next())
    assert.ok(value instanceof Uint8Array)
    await world.run(first.return(undefined))
    await holder('b')
    const rest = await pull(['b'], { offset: value.length })
    assert.ok(Buffer.concat([value, rest]).equals(payload))
  })

  it('passes over peers that are away, refuse, or send what is no range', async () => {
    await holder('good')
    await stranger('long', async () => new Uint8Array(1024 * 1024))
    await stranger('empty', async () => new Uint8Array(0))
    await stranger('broken', async () => {
      throw new Error('no')
    })
    for (const bad of ['away', 'long', 'empty', 'broken']) {
      assert.ok((await pull([bad, 'good'])).equals(payload), bad)
    }
    await assert.rejects(pull(['away', 'long', 'empty', 'broken']), error => {
      const { code, facts } = error as { code: string; facts: Record<string, string> }
      assert.equal(code, 'pieceUnavailable')
      assert.match(String(facts.answers), /empty: badLength/)
      assert.match(String(facts.answers), /away: unreachable/)
      return true
    })
  })

  it('finds out who sends other bytes at the first range, tells it, and asks the others', async () => {
    const [whole, rotten] = [await holder('good'), await holder('rotten')]
    rotten.damage(piece, 2 * RANGE_BYTES + 99)
    let asked = 0
    await stranger('liar', async request => {
      asked++
      const range = decode(PieceRange, request)
      return RangeProof.serialize({
        ...(await whole.readProven(range)),
        payload: new Uint8Array(range.length),
      })
    })
    await stranger('short', async request => {
      const { payload: bytes, neighbours } = await whole.readProven(decode(PieceRange, request))
      return RangeProof.serialize({ payload: bytes.slice(1), neighbours })
    })
    const refused: string[] = []
    const onRefused = (peer: string, code: string) => refused.push(`${peer}: ${code}`)
    const peers = ['liar', 'short', 'rotten', 'good']
    assert.ok((await pull(peers, { onRefused })).equals(payload))
    assert.deepEqual(refused.toSorted(), [
      'liar: pieceDamaged',
      'rotten: pieceDamaged',
      'short: pieceDamaged',
    ])
    assert.equal(asked, 1)
  })

  it('gives up a peer that never answers', async () => {
    await stranger('silent', () => new Promise(() => {}))
    await holder('good')
    assert.ok((await pull(['silent', 'good'])).equals(payload))
    await assert.rejects(pull(['silent']), { code: 'pieceUnavailable' })
  })

  it('ends at once when its signal aborts', async () => {
    await stranger('silent', () => new Promise(() => {}))
    const controller = new AbortController()
    world.clock.at(world.clock.now() + 1_000, () => controller.abort(new Error('given up')))
    const before = world.clock.now()
    await assert.rejects(pull(['silent'], { signal: controller.signal }), /given up/)
    assert.ok(world.clock.now() - before <= 1_100)
  })

  it('gets through although a tenth of everything is lost', async () => {
    world = new World({ nodes: 0, loss: 0.1 })
    receiver = world.network.join('receiver')
    await receiver.start()
    await holder('a')
    await holder('b')
    assert.ok((await pull(['a', 'b'])).equals(payload))
  })

  it('answers no range that is too long or not of the piece', async () => {
    await holder('a')
    const { signal } = new AbortController()
    const ask = (offset: number, length: number, of = piece) =>
      world.run(
        receiver.request('a', 'piece-get', PieceRange.serialize({ piece: of, offset, length }), {
          signal,
          maxResponseBytes: 2 * RANGE_BYTES,
        }),
      )
    const answer = decode(RangeProof, await ask(5, RANGE_BYTES - 5))
    assert.ok(verifyRange({ piece, offset: 0, length: RANGE_BYTES }, answer))
    await assert.rejects(ask(1, RANGE_BYTES), { code: 'badRange' })
    await assert.rejects(ask(0, 0), { code: 'badRange' })
    await assert.rejects(ask(payload.length, 1), { code: 'badRange' })
    await assert.rejects(ask(2 ** 32 - 1, 5), { code: 'badRange' })
    await assert.rejects(ask(0, 1, { ...piece, payload: 5 }), { code: 'pieceMissing' })
    const hostile = receiver.request('a', 'piece-get', new Uint8Array(7), {
      signal,
      maxResponseBytes: 10,
    })
    await assert.rejects(world.run(hostile), { code: 'badLength' })
  })
})
