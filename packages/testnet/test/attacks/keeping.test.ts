/**
 * Providers that keep less than they promised, all in one network, beside one that keeps all. Each
 * has eight deals at the same price; only what providers are paid for is paid.
 */
import { strict as assert } from 'node:assert'
import type { Cheat } from '@cairn/testnet'
import {
  bytesOf,
  dealsLeft,
  earnedBy,
  type Played,
  penalised,
  play,
  reasons,
  share,
  stored,
} from './arena.ts'
import {
  fetchingFrom,
  keepingAsked,
  replayingAnswers,
  replayingLeaves,
  silentUnlessWhole,
  withHoles,
} from './cheats.ts'
import { record } from './figures.ts'

const EPOCHS = 14
const PIECES = 8
const PIECE_BYTES = 4_000
/** Large enough that leaves are seldom drawn twice. */
const LARGE_BYTES = 40_000
/** Of the eight, thrown away by those who keep some. */
const DROPPED = 2
/** Epochs in which those who replay behave well, to have something to replay. */
const NOTED = 2

const Node = {
  honest: 0,
  selective: 1,
  holes: 2,
  silent: 3,
  replayedAnswers: 4,
  replayedLeaves: 5,
  askedBefore: 6,
  justInTime: 7,
  fromAfar: 8,
  fromNobody: 9,
} as const
const PROVIDERS = Object.keys(Node).length
/** Far enough that no answer is in time. */
const AFAR_MS = 1_200

const CHEATS: ReadonlyMap<number, Cheat> = new Map([
  [Node.holes, withHoles(4)],
  [Node.silent, silentUnlessWhole],
  [Node.replayedAnswers, replayingAnswers()],
  [Node.replayedLeaves, replayingLeaves(NOTED)],
  [Node.askedBefore, keepingAsked(NOTED)],
  [Node.justInTime, fetchingFrom(Node.honest)],
  [Node.fromAfar, fetchingFrom(Node.honest, AFAR_MS)],
  [Node.fromNobody, fetchingFrom(Node.honest)],
])
/** Their pieces are copies of the honest node's. */
const COPIES: ReadonlySet<number> = new Set([Node.justInTime, Node.fromAfar])

describe('a provider that keeps less than it promised', function () {
  this.timeout(600_000)

  let epochs: Played[]

  before(async () => {
    const played = await play({
      nodes: PROVIDERS + 1,
      providers: PROVIDERS,
      epochs: EPOCHS,
      cheats: CHEATS,
      profile: { dutyShare: 0n },
      founding: async world => {
        const pieces = Array.from({ length: PROVIDERS * PIECES }, (_, number) => {
          const provider = Math.floor(number / PIECES)
          const of = COPIES.has(provider) ? Node.honest : provider
          const length = provider === Node.askedBefore ? LARGE_BYTES : PIECE_BYTES
          return { provider, payload: bytesOf(`${of} ${number % PIECES}`, length) }
        })
        const founding = await stored(world, pieces)
        for (const index of [Node.selective, Node.silent]) {
          const shelf = world.shelf(index)
          for (const piece of shelf.list().slice(0, DROPPED)) await shelf.delete(piece)
        }
        return founding
      },
    })
    epochs = played.epochs
  })

  const earned = (node: number) => share(epochs, node, Node.honest)
  const late = (node: number) => share(epochs.slice(-2), node, Node.honest)
  const lost = (node: number) => PIECES - dealsLeft(epochs, node)

  it('earns less than one that keeps all, which loses nothing', () => {
    assert.deepEqual(reasons(epochs, Node.honest), new Set(['ok']))
    assert.equal(dealsLeft(epochs, Node.honest), PIECES)
    assert.equal(penalised(epochs, Node.honest), 0n)
    assert.ok(earnedBy(epochs, Node.honest) > 0n)
  })

  it('by some pieces, and says so: is paid for less than it keeps, and loses those deals', () => {
    assert.equal(lost(Node.selective), DROPPED)
    assert.ok(earned(Node.selective) < 75)
    assert.equal(penalised(epochs, Node.selective), 0n)
    record({
      attack: 'selective storage: throws away 2 of 8 pieces, admits what is missing',
      earned: earned(Node.selective),
      and: 'shown as `withholding` until both deals are lost; then it is paid for the six it keeps',
    })
  })

  it('by some leaves of each piece: loses all deals', () => {
    assert.equal(lost(Node.holes), PIECES)
    assert.equal(late(Node.holes), 0)
    assert.ok(earned(Node.holes) < 20)
    record({
      attack: 'selective storage: keeps three quarters of every piece, answers what is still there',
      earned: earned(Node.holes),
      and: 'all deals lost',
    })
  })

  it('by some pieces, and says nothing: is paid less than if it had said so', () => {
    assert.ok(earned(Node.silent) < earned(Node.selective))
    record({
      attack:
        'silence: throws away 2 of 8 pieces, answers only challenges that it can answer whole',
      earned: earned(Node.silent),
      and: `${lost(Node.silent)} of 8 deals lost`,
    })
  })

  it('by all, and replays a whole answer: is paid nothing from then on', () => {
    assert.equal(late(Node.replayedAnswers), 0)
    assert.equal(lost(Node.replayedAnswers), PIECES)
    assert.equal(penalised(epochs, Node.replayedAnswers), 0n)
    record({
      attack: 'replay: gives its first answer, with its seal, to every challenge',
      earned: earned(Node.replayedAnswers),
      and: 'the seal is of another challenge: no answer; gone, all deals end',
    })
  })

  it('by all, and replays leaves under new seals: is failed, contained and penalised', () => {
    assert.ok(reasons(epochs, Node.replayedLeaves).has('wrongLeaf'))
    assert.equal(late(Node.replayedLeaves), 0)
    assert.ok(penalised(epochs, Node.replayedLeaves) > 0n)
    record({
      attack: `replay: keeps all for ${NOTED} epochs, then seals the leaves it gave before`,
      earned: earned(Node.replayedLeaves),
      and: `failed, contained, and a penalty on its bond; ${lost(Node.replayedLeaves)} of 8 deals ended`,
    })
  })

  it('by all but the leaves that it was asked before: is paid nothing from then on', () => {
    assert.ok(late(Node.askedBefore) <= 1)
    assert.ok(lost(Node.askedBefore) > PIECES / 2)
    record({
      attack: `precomputation: keeps all for ${NOTED} epochs, then only the leaves it was asked, with their paths`,
      earned: earned(Node.askedBefore),
      and: `what comes next follows from outputs that nobody has yet; ${lost(Node.askedBefore)} of 8 deals lost`,
    })
  })

  it('by all, and fetches from another copy when asked: is not found', () => {
    assert.ok(earned(Node.justInTime) > 90)
    assert.equal(lost(Node.justInTime), 0)
    record({
      attack:
        'just-in-time fetch, or outsourcing: keeps nothing, fetches from who keeps the same piece',
      earned: earned(Node.justInTime),
      and: '**not caught**: a proof shows that the bytes come in time, not where they lie. `put` masks every piece for its place, so nobody keeps the same bytes unless the provider has them kept elsewhere, once',
    })
  })

  it('by all, and fetches a piece that nobody else keeps: is paid nothing', () => {
    assert.equal(earned(Node.fromNobody), 0)
    assert.equal(lost(Node.fromNobody), PIECES)
    record({
      attack: 'the same with pieces of its own, as `put` makes them',
      earned: earned(Node.fromNobody),
      and: 'all deals lost',
    })
  })

  it('by all, and fetches from too far away: is paid nothing', () => {
    assert.equal(earned(Node.fromAfar), 0)
    assert.deepEqual(reasons(epochs, Node.fromAfar), new Set(['timeout']))
    record({
      attack: 'just-in-time fetch from further away than the deadline',
      earned: earned(Node.fromAfar),
      and: 'gone, all deals end',
    })
  })
})
