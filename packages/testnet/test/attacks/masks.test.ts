/**
 * Whoever holds k shards of a file can work out all others, and two places of one file may belong to
 * one operator. What keeps both from being paid for shards that nobody stores is that `put` masks
 * each shard under a key of its place. Here the same is tried on masked and on plain shards.
 */
import { strict as assert } from 'node:assert'
import { type KindServices, pieceMissing } from '@cairn/node'
import { maskKey, type Piece, pieceKey, ReedSolomon } from '@cairn/protocol'
import { type Cheat, MemoryPieces, type World } from '@cairn/testnet'
import { encodeGroups } from '../../../node/src/client/encoder.ts'
import { bytesOf, dealsLeft, once, type Played, play, share, stored } from './arena.ts'
import { fetched, proving } from './cheats.ts'
import { record } from './figures.ts'

const EPOCHS = 11
const GROUPS = 4
const SHAPE = { data: 2, total: 4 }
const SHARD_BYTES = 2_000

/** Masked shards lie with nodes 0 to 3, plain ones with 4 to 7, copies of node 0's with 8. */
const Node = { honest: 0, oneDisk: 1, disk: 2, regenerating: 3, regeneratingPlain: 7, twin: 8 }
const PLAIN_FROM = 4
const PROVIDERS = 9

interface Slot {
  readonly provider: number
  readonly payload: Uint8Array
}

describe('a provider that works out what it was paid to store', function () {
  this.timeout(600_000)

  let epochs: Played[]

  before(async () => {
    let world: World | undefined
    const shelf = (index: number) => {
      assert.ok(world !== undefined)
      return world.shelf(index)
    }
    /** Proves from the disk of another node, its own or an accomplice's. */
    const sharing = (other: number): Cheat =>
      proving(() => (piece, leaf) => shelf(other).prove(piece, leaf))
    const groups = new Map<string, readonly Piece[]>()
    const played = await play({
      nodes: PROVIDERS + 1,
      providers: PROVIDERS,
      epochs: EPOCHS,
      cheats: new Map([
        [Node.oneDisk, sharing(Node.disk)],
        [Node.regenerating, regenerating(groups, 0)],
        [Node.regeneratingPlain, regenerating(groups, PLAIN_FROM)],
        [Node.twin, sharing(Node.honest)],
      ]),
      profile: { dutyShare: 0n },
      founding: async begun => {
        world = begun
        const masked = await slotsOf(0, groups, maskedShards)
        const plain = await slotsOf(PLAIN_FROM, groups, plainShards)
        const copies = masked
          .filter(({ provider }) => provider === Node.honest)
          .map(slot => ({ ...slot, provider: Node.twin }))
        const founding = await stored(begun, [...masked, ...plain, ...copies])
        for (const index of [Node.oneDisk, Node.regenerating, Node.regeneratingPlain, Node.twin]) {
          for (const piece of begun.shelf(index).list()) await begun.shelf(index).delete(piece)
        }
        return founding
      },
    })
    epochs = played.epochs
  })

  const earned = (node: number) => share(epochs, node, Node.honest)

  it('from k others is paid nothing while shards are masked', () => {
    assert.equal(earned(Node.regenerating), 0)
    assert.equal(dealsLeft(epochs, Node.regenerating), 0)
    record({
      attack: 'regeneration: throws its shards away, works them out from k others when asked',
      earned: earned(Node.regenerating),
      and: 'what comes out is not the masked piece; all deals lost',
    })
  })

  it('from k others would be paid in full without masks', () => {
    assert.ok(earned(Node.regeneratingPlain) > 90)
    record({
      attack: 'the same over shards without masks, which `put` never makes',
      earned: earned(Node.regeneratingPlain),
      and: '**not caught**: this is what the masks are for',
    })
  })

  it('with one disk behind two identities is paid once', () => {
    assert.equal(earned(Node.disk), 100)
    assert.equal(earned(Node.oneDisk), 0)
    record({
      attack: 'one disk for two identities: two places of a file, room for one',
      earned: (earned(Node.disk) + earned(Node.oneDisk)) / 2,
      and: 'each place has bytes of its own: one identity is paid, the other loses its deals',
    })
  })

  it('with one disk behind two copies of the same bytes is paid twice', () => {
    assert.equal(earned(Node.twin), 100)
    record({
      attack: 'one disk for two identities: two plain copies of one piece',
      earned: (earned(Node.honest) + earned(Node.twin)) / 2,
      and: '**not caught**: copies are the same bytes. `put` makes none but of manifests, and places those with distinct operators and networks',
    })
  })
})

/** Fetches other shards of the group, and codes the one that is asked. */
function regenerating(groups: ReadonlyMap<string, readonly Piece[]>, first: number): Cheat {
  const code = new ReedSolomon(SHAPE)
  const shardOf = async (services: KindServices, piece: Piece, place: number) => {
    const copy = await fetched(services, piece, first + place)
    return await copy.read(piece, 0, piece.payload)
  }
  return proving((own, services) => async (piece, leaf) => {
    const group = groups.get(pieceKey(piece))
    if (own.has(piece) || group === undefined) throw pieceMissing(piece)
    const place = group.findIndex(other => pieceKey(other) === pieceKey(piece))
    // Places 0 and 2: those of who stores what it promised.
    const shards: (Uint8Array | undefined)[] = []
    for (const other of [0, 2]) {
      shards[other] = await shardOf(services, group[other] as Piece, other)
    }
    const [shard] = code.reconstruct(shards, [place])
    const copy = new MemoryPieces()
    await copy.put(once(shard as Uint8Array), { expected: piece })
    return await copy.prove(piece, leaf)
  })
}

/** The shards of a few files, each at its place's node; `groups`: by piece, all pieces of its file. */
async function slotsOf(
  first: number,
  groups: Map<string, readonly Piece[]>,
  shardsOf: (file: Uint8Array, number: number) => Promise<Uint8Array[]>,
): Promise<Slot[]> {
  const slots: Slot[] = []
  for (let number = 0; number < GROUPS; number++) {
    const file = bytesOf(`${first} ${number}`, SHAPE.data * SHARD_BYTES)
    const shards = await shardsOf(file, number)
    const scratch = new MemoryPieces()
    const pieces: Piece[] = []
    for (const shard of shards) pieces.push(await scratch.put(once(shard)))
    for (const [place, payload] of shards.entries()) {
      groups.set(pieceKey(pieces[place] as Piece), pieces)
      slots.push({ provider: first + place, payload })
    }
  }
  return slots
}

/** As the client makes them. */
async function maskedShards(file: Uint8Array, number: number): Promise<Uint8Array[]> {
  const spool = new MemoryPieces()
  const mask = maskKey(bytesOf(`file key ${number}`, 32))
  const { signal } = new AbortController()
  const shape = { ...SHAPE, segmentsPerGroup: 1 }
  const shards: Uint8Array[] = []
  for await (const { pieces } of encodeGroups({ shape, mask, spool, signal })(once(file))) {
    for (const piece of pieces) shards.push(await spool.read(piece, 0, piece.payload))
  }
  return shards
}

async function plainShards(file: Uint8Array): Promise<Uint8Array[]> {
  const data = [file.slice(0, SHARD_BYTES), file.slice(SHARD_BYTES)]
  return [...data, ...new ReedSolomon(SHAPE).encode(data)]
}
