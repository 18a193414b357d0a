/**
 * A provider that lost some pieces and would rather be asked for others. It has the nonces of its deals
 * ground, since they decide in which order its leaves stand, and two accomplices who, where they are
 * drawn as challengers, look for an output that asks for what is still there. Beside it is one that
 * lost as much and does nothing about it.
 */
import { strict as assert } from 'node:assert'
import type { KindServices, NodeKind } from '@cairn/node'
import {
  askedLeaves,
  Challenge,
  type Deal,
  Envelope,
  type EpochBase,
  inventoryOf,
  MessageType,
  pieceKey,
  STORAGE,
  storageKind,
  storageWith,
} from '@cairn/protocol'
import type { Cheat } from '@cairn/testnet'
import { kindTopic } from '../../../node/src/ledger/topics.ts'
import { bytesOf, dealsLeft, type Played, play, share, stored } from './arena.ts'
import { beginning } from './cheats.ts'
import { record } from './figures.ts'

const EPOCHS = 12
const PIECES = 8
const PIECE_BYTES = 2_000
const LOST = 2
const Node = { honest: 0, loser: 1, grinder: 2, accomplices: [3, 4] as readonly number[] } as const
const PROVIDERS = 3
const NODES = 9
/** Orders of the deals that it tries. */
const ORDERS = 20
/** Outputs by which it compares them, and more to see what came of it. */
const OUTPUTS = 200
/** Outputs that an accomplice tries. */
const TRIES = 20
/** A BLS signature. */
const OUTPUT_BYTES = 96

describe('a provider that would rather be asked for what it has', function () {
  this.timeout(600_000)

  let epochs: Played[]
  let hits: { plain: number; ground: number; hoped: number }
  let tried = 0

  before(async () => {
    const lost = new Set<string>()
    const cheats = new Map<number, Cheat>(
      Node.accomplices.map(node => [
        node,
        beginning(async (own, services, base) => {
          if (await askEasily(own, services, { base, lost })) tried++
        }),
      ]),
    )
    const played = await play({
      nodes: NODES,
      providers: PROVIDERS,
      epochs: EPOCHS,
      cheats,
      profile: { dutyShare: 0n },
      founding: async world => {
        const founding = await stored(
          world,
          Array.from({ length: PROVIDERS * PIECES }, (_, number) => ({
            provider: Math.floor(number / PIECES),
            payload: bytesOf(`${number}`, PIECE_BYTES),
          })),
        )
        for (const index of [Node.loser, Node.grinder]) {
          for (const piece of world.shelf(index).list().slice(0, LOST)) {
            await world.shelf(index).delete(piece)
            if (index === Node.grinder) lost.add(pieceKey(piece))
          }
        }
        const ground = bestOrder(founding.deals, lost)
        hits = {
          plain: hitsOf(founding.deals, lost, 'later'),
          ground: hitsOf(ground, lost, 'later'),
          hoped: hitsOf(ground, lost, 'before'),
        }
        return { ...founding, deals: ground }
      },
    })
    epochs = played.epochs
  })

  it('by the order of its deals is asked for what it lost as often as before', () => {
    const share = LOST / PIECES
    assert.ok(hits.hoped < hits.plain)
    assert.ok(Math.abs(hits.ground - share) < share / 10)
    record({
      attack: 'grinding of order: the best of many nonces for its deals, by outputs of before',
      earned: 'nothing more',
      and: `${percent(hits.hoped)} of the leaves hit what it lost by those outputs, ${percent(hits.ground)} by later ones: ${percent(share)} is its part of the leaves`,
    })
  })

  it('by challengers of its own earns no more than one that lost as much', () => {
    const beside = share(epochs, Node.grinder, Node.loser)
    assert.ok(tried > 0)
    assert.ok(beside < 115)
    assert.equal(dealsLeft(epochs, Node.grinder), PIECES - LOST)
    record({
      attack:
        'grinding of outputs: two accomplices of nine, as challengers, look for an output that asks for what is there',
      earned: share(epochs, Node.grinder, Node.honest),
      and: `${share(epochs, Node.loser, Node.honest)} % without them: a signature other than the one is rejected, and one honest challenger of three is enough`,
    })
  })
})

/** True iff it was drawn, and tried. Its own rules would refuse the challenge: it goes around them. */
async function askEasily(
  own: NodeKind,
  { voice, signer, network }: KindServices,
  { base, lost }: { base: EpochBase; lost: ReadonlySet<string> },
): Promise<boolean> {
  const author = voice.index(base)
  const { challengers } = base.duty(STORAGE, Node.grinder)
  if (author === undefined || !challengers.includes(author)) return false
  const inventory = inventoryOf(base.state(storageKind), Node.grinder, base.epoch)
  if (inventory.leaves === 0) return false
  const outputs = Array.from({ length: TRIES }, (_, number) =>
    signer.signVoting(bytesOf(`try ${base.epoch} ${number}`, 32)),
  )
  const hit = (output: Uint8Array) =>
    askedLeaves(inventory, output).filter(({ deal }) => lost.has(pieceKey(deal.deal.piece))).length
  const [output] = outputs.toSorted((a, b) => hit(a) - hit(b))
  const envelope = await voice.sign(MessageType.challenge, Challenge, base, {
    kind: STORAGE,
    target: Node.grinder,
    output: output as Uint8Array,
  })
  await network.publish(kindTopic(base.network, own.kind), Envelope.serialize(envelope))
  return true
}

/** The order in which fewest leaves of some outputs hit what was lost. */
function bestOrder(deals: readonly Deal[], lost: ReadonlySet<string>): readonly Deal[] {
  const orders = Array.from({ length: ORDERS }, (_, order) =>
    deals.map(deal =>
      deal.provider === Node.grinder
        ? { ...deal, nonce: deal.nonce + BigInt(1_000 * order) }
        : deal,
    ),
  )
  const [best] = orders.toSorted((a, b) => hitsOf(a, lost, 'before') - hitsOf(b, lost, 'before'))
  return best as readonly Deal[]
}

/** Part of the leaves asked that fall into lost pieces. */
function hitsOf(deals: readonly Deal[], lost: ReadonlySet<string>, when: string): number {
  const inventory = inventoryOf(storageWith(deals), Node.grinder, 0)
  const asked = Array.from({ length: OUTPUTS }, (_, number) =>
    askedLeaves(inventory, bytesOf(`${when} ${number}`, OUTPUT_BYTES)),
  ).flat()
  return asked.filter(({ deal }) => lost.has(pieceKey(deal.deal.piece))).length / asked.length
}

function percent(part: number): string {
  return `${(100 * part).toFixed(1)} %`
}
