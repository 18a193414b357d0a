/** A download over real sockets while providers fail in the middle of it. */
import { strict as assert } from 'node:assert'
import { type Client, type Libp2pNetwork, pullRange, servePieces } from '@cairn/node'
import { CairnError, decode, type Piece, pieceKey, RangeProof } from '@cairn/protocol'
import fc from 'fast-check'
import { clock, met, node, quietLog } from '../../../node/test/network/world.ts'
import { pattern, stream, World } from './world.ts'

const K = 2
const N = 4
/** Several windows of several ranges. */
const bytes = pattern(6_000_000, 5)

type Conduct = 'stops' | 'stalls' | 'lies' | 'refuses'

interface Case {
  /** Those that fail. */
  failing: number[]
  conducts: Conduct[]
  /** Which answer of each is the first that does not come. */
  after: number[]
}

const anyCase: fc.Arbitrary<Case> = fc.record({
  failing: fc.shuffledSubarray([0, 1, 2, 3], { minLength: N - K, maxLength: N - K }),
  conducts: fc.array(fc.constantFrom<Conduct>('stops', 'stalls', 'lies', 'refuses'), {
    minLength: N - K,
    maxLength: N - K,
  }),
  after: fc.array(fc.nat({ max: 6 }), { minLength: N - K, maxLength: N - K }),
})

describe('a download over sockets', () => {
  let world: World
  let link: string
  const networks: Libp2pNetwork[] = []
  let readers = 2

  before(async () => {
    world = new World({ nodes: N, slotMs: 60_000, terms: { largestPiece: 2 ** 24 } })
    await world.start()
    const { client } = await world.client()
    const { files } = await world.run(
      client.put([{ name: 'a file', bytes: stream(bytes) }], {
        shape: { data: K, total: N },
        pricePerGiB: 1_000n,
        signal: new AbortController().signal,
      }),
    )
    link = files[0]?.link as string
  })
  after(() => world.stop())
  afterEach(stopAll)

  async function stopAll(): Promise<void> {
    await Promise.all(networks.splice(0).map(network => network.stop()))
  }

  /** What the providers of the simulated network keep, served by libp2p nodes. */
  async function overSockets({ failing, conducts, after }: Case): Promise<Client> {
    for (const { pieces, index } of world.nodes) {
      const network = node()
      networks.push(network)
      const serve = network.serve.bind(network)
      const place = failing.indexOf(index)
      let left = after[place] ?? Number.POSITIVE_INFINITY
      network.serve = (protocol, options, answer) =>
        serve(protocol, options, async (request, from) => {
          if (left-- > 0) return await answer(request, from)
          if (conducts[place] === 'stops') void network.stop()
          if (conducts[place] === 'refuses') throw new CairnError('pieceMissing', 'it is gone')
          if (conducts[place] !== 'lies') return await new Promise(() => {})
          const proof = decode(RangeProof, await answer(request, from))
          return RangeProof.serialize({ ...proof, payload: proof.payload.map(byte => byte ^ 1) })
        })
      servePieces(network, [pieces])
      await network.start()
    }
    const providers = [...networks]
    const own = node({ bootstrap: providers.flatMap(network => network.addresses()) })
    networks.push(own)
    await own.start()
    for (const network of providers) await met(own, network)
    const peersOf = (piece: Piece) =>
      providers.filter((_, index) => world.node(index).pieces.has(piece)).map(({ self }) => self)
    const { client } = await world.client(
      {
        clock,
        log: quietLog(),
        range: (peer, range, signal) => pullRange({ network: own }, { peer, range, signal }),
        holders: async pieces => new Map(pieces.map(piece => [pieceKey(piece), peersOf(piece)])),
      },
      readers++,
    )
    return client
  }

  async function whole(client: Client): Promise<Buffer> {
    const parts: Uint8Array[] = []
    const { stream: source } = await client.open(link, { signal: new AbortController().signal })
    for await (const part of source) parts.push(part)
    return Buffer.concat(parts)
  }

  it('comes whole although any n - k providers stop, stall, lie or refuse in the middle', async () => {
    const check = async (of: Case) => {
      assert.ok((await whole(await overSockets(of))).equals(bytes))
      await stopAll()
    }
    await fc.assert(fc.asyncProperty(anyCase, check), { numRuns: 6, endOnFailure: true })
  })
})
