/** Files whose providers fail, lie or stall, at any moment of a download. */
import { strict as assert } from 'node:assert'
import type { Network } from '@cairn/node'
import { CairnError, decode, hex, PieceRange, RangeProof, SHARD_BYTES } from '@cairn/protocol'
import fc from 'fast-check'
import { pattern, peerName, stream, World } from './world.ts'

const PROVIDERS = 6
const READER = 'client2'
/** Beyond the longest that one provider is waited for, three times over, ms of virtual time. */
const PATIENCE_MS = 70_000

interface Asked {
  world: World
  index: number
  request: Uint8Array
  /** What an honest provider answers. */
  answer(): Promise<Uint8Array>
}

const never = () => new Promise<Uint8Array>(() => {})

async function changed({ answer }: Asked, change: (proof: RangeProof) => RangeProof) {
  return RangeProof.serialize(change(decode(RangeProof, await answer())))
}

function flipped(bytes: Uint8Array): Uint8Array {
  const other = bytes.slice()
  other[other.length >> 1] = (other[other.length >> 1] as number) ^ 1
  return other
}

const CONDUCTS = {
  vanishes: async ({ world, index }: Asked) => {
    world.network.sever(peerName(index), READER)
    return await never()
  },
  refuses: async () => {
    throw new CairnError('pieceMissing', 'it is gone')
  },
  'is busy': async () => {
    throw new CairnError('busy', 'later')
  },
  stalls: never,
  crawls: async ({ world, answer }: Asked) => {
    await world.clock.until(world.clock.now() + 3_000)
    return await answer()
  },
  'changes a bit': (asked: Asked) =>
    changed(asked, ({ payload, neighbours }) => ({ payload: flipped(payload), neighbours })),
  'changes the proof': (asked: Asked) =>
    changed(asked, ({ payload, neighbours }) => ({
      payload,
      neighbours: [new Uint8Array(32), ...neighbours.slice(1)],
    })),
  'cuts the bytes': (asked: Asked) =>
    changed(asked, ({ payload, neighbours }) => ({ payload: payload.slice(1), neighbours })),
  'cuts the answer': async ({ answer }: Asked) => (await answer()).slice(0, 3),
  'says nothing': async () => new Uint8Array(0),
  'says too much': async () => new Uint8Array(2 ** 20 + 2_000),
  'sends another piece with its valid proof': async ({ world, index, request }: Asked) => {
    const range = decode(PieceRange, request)
    const { pieces } = world.node(index)
    const same = ({ payload }: { payload: number }) => payload === range.piece.payload
    const others = pieces.list().filter(piece => same(piece) && !isSame(piece, range.piece))
    const [piece] = others
    if (piece === undefined) throw new CairnError('pieceMissing', 'it has no other')
    return RangeProof.serialize(await pieces.readProven({ ...range, piece }))
  },
  'sends other bytes of the piece with their valid proof': async (asked: Asked) => {
    const { piece, offset, length } = decode(PieceRange, asked.request)
    const { pieces } = asked.world.node(asked.index)
    const other = { piece, offset: offset === 0 ? piece.payload - 1 : 0, length: 1 }
    if (length < piece.payload) return RangeProof.serialize(await pieces.readProven(other))
    throw new CairnError('pieceMissing', 'there are no others')
  },
} satisfies Record<string, (asked: Asked) => Promise<Uint8Array>>

type Conduct = keyof typeof CONDUCTS
const Conducts = Object.keys(CONDUCTS) as Conduct[]

function isSame(a: { root: Uint8Array }, b: { root: Uint8Array }): boolean {
  return hex(a.root) === hex(b.root)
}

/** How a provider behaves to the reader, after it answered so often as it should. */
interface Turn {
  conduct: Conduct
  after: number
}

interface Stored {
  world: World
  link: string
  bytes: Uint8Array
}

async function stored(data: number, turns: ReadonlyMap<number, Turn>): Promise<Stored> {
  const answered = new Map<number, number>()
  const wrapNetwork = (network: Network, index: number): Network => {
    const serve = network.serve.bind(network)
    network.serve = (protocol, options, answer) =>
      serve(protocol, options, async (request, from) => {
        const turn = turns.get(index)
        const count = answered.get(index) ?? 0
        if (protocol !== 'piece-get' || from !== READER || turn === undefined) {
          return await answer(request, from)
        }
        answered.set(index, count + 1)
        if (count < turn.after) return await answer(request, from)
        const asked = { world, index, request, answer: () => answer(request, from) }
        return await CONDUCTS[turn.conduct](asked)
      })
    return network
  }
  const world = new World({ nodes: PROVIDERS, slotMs: 60_000, strangerBytes: 2 ** 40, wrapNetwork })
  await world.start()
  const { client } = await world.client()
  // Two groups, of which the second is not full.
  const bytes = pattern(5 * data * SHARD_BYTES - 12_345, data)
  const { files } = await world.run(
    client.put([{ name: 'a file', bytes: stream(bytes) }], {
      shape: { data, total: PROVIDERS },
      segmentsPerGroup: 3,
      pricePerGiB: 1_000n,
      signal: new AbortController().signal,
    }),
  )
  return { world, link: files[0]?.link as string, bytes }
}

/** What came, and what the download ended with. */
async function fetched({ world, link }: Stored): Promise<{ came: Buffer; error?: unknown }> {
  const { client } = await world.client({}, 2)
  const parts: Uint8Array[] = []
  const run = async () => {
    const { stream: source } = await client.open(link, { signal: new AbortController().signal })
    for await (const part of source) parts.push(part)
  }
  const error = await world.run(run(), PATIENCE_MS).then(
    () => undefined,
    (reason: unknown) => reason,
  )
  const came = Buffer.concat(parts)
  return error === undefined ? { came } : { came, error }
}

const anyTurn: fc.Arbitrary<Turn> = fc.record({
  conduct: fc.constantFrom(...Conducts),
  after: fc.nat({ max: 4 }),
})

interface Case {
  data: number
  /** All providers. */
  order: number[]
  /** What each of these would do. */
  turns: Turn[]
}

const anyCase: fc.Arbitrary<Case> = fc.record({
  data: fc.integer({ min: 1, max: 4 }),
  order: fc.shuffledSubarray([0, 1, 2, 3, 4, 5], { minLength: PROVIDERS }),
  turns: fc.array(anyTurn, { minLength: PROVIDERS, maxLength: PROVIDERS }),
})

function failing(order: readonly number[], turns: readonly Turn[], count: number) {
  return new Map(order.slice(0, count).map((index, i) => [index, turns[i] as Turn]))
}

describe('a file with hostile providers', () => {
  for (const conduct of Conducts) {
    it(`comes whole although n - k providers: ${conduct}`, async () => {
      for (const after of [0, 1, 2]) {
        const turns = new Map([1, 2, 4, 5].map(index => [index, { conduct, after }]))
        const file = await stored(2, turns)
        const { came, error } = await fetched(file)
        assert.equal(error, undefined, `after ${after}`)
        assert.ok(came.equals(file.bytes), `after ${after}`)
        await file.world.stop()
      }
    })
  }

  it('comes whole whatever any n - k of them do, whenever they begin', async () => {
    const check = async ({ data, order, turns }: Case) => {
      const file = await stored(data, failing(order, turns, PROVIDERS - data))
      const { came, error } = await fetched(file)
      await file.world.stop()
      assert.equal(error, undefined)
      assert.ok(came.equals(file.bytes))
    }
    await fc.assert(fc.asyncProperty(anyCase, check), { numRuns: 40 })
  })

  it('gives no wrong byte and an error when more of them fail', async () => {
    const check = async ({ data, order, turns }: Case) => {
      const file = await stored(data, failing(order, turns, PROVIDERS))
      const { came, error } = await fetched(file)
      await file.world.stop()
      assert.ok(came.equals(file.bytes.subarray(0, came.length)))
      if (came.length === file.bytes.length) return
      assert.equal((error as CairnError).code, 'fileUnavailable')
    }
    await fc.assert(fc.asyncProperty(anyCase, check), { numRuns: 20 })
  })
})
