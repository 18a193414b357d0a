/**
 * Providers that prove what they keep and deliver it to their client alone, and verifiers that say of
 * all that they got nothing. The client pays each provider for as many bytes in every epoch.
 */
import { strict as assert } from 'node:assert'
import {
  CairnError,
  deliveredSigningRoot,
  MessageType,
  Receipt,
  STORAGE,
  StrangerOutcome,
} from '@cairn/protocol'
import type { Cheat, Place } from '@cairn/testnet'
import { bytesOf, earnedBy, type Played, play, reasons, share, stored } from './arena.ts'
import { answering, beginning, instead } from './cheats.ts'
import { record } from './figures.ts'

const EPOCHS = 7
const PIECES = 4
const PIECE_BYTES = 2_000
/** 100 tokens in each epoch. */
const GIB = 2n ** 30n
const GIB_PER_EPOCH = 100_000n

const Node = { honest: 0, refusing: 1, spoiling: 2, liars: [3, 4] as readonly number[] } as const
const PROVIDERS = 3
const NODES = 10

/** Serves nobody: neither its client, who pays all the same, nor strangers. */
const refusing: Cheat = {
  services: own => ({
    ...own,
    network: answering(own.network, 'piece-get', () => async () => {
      throw new CairnError('busy', 'too much to do')
    }),
  }),
}

/** Serves other bytes. */
const spoiling: Cheat = {
  services: own => ({
    ...own,
    network: answering(own.network, 'piece-get', answer => async (request, from) => {
      const bytes = (await answer(request, from)).slice()
      bytes[bytes.length - 1] = (bytes.at(-1) as number) ^ 1
      return bytes
    }),
  }),
}

/** Says of everybody that it got nothing as a stranger. */
const lying: Cheat = {
  services: own => ({
    ...own,
    network: instead(own.network, {
      requestAsStranger: async () => {
        throw new CairnError('refused', 'what was never asked')
      },
    }),
  }),
}

describe('a provider that proves', function () {
  this.timeout(600_000)

  let epochs: Played[]

  before(async () => {
    let client: Place | undefined
    /** The client's receipt of each epoch, which its provider says. */
    const paid = (provider: number): Cheat =>
      beginning(async (_, { voice }, base) => {
        assert.ok(client !== undefined)
        const { identity, signIdentity } = client.signer
        const bytes = GIB_PER_EPOCH * GIB * BigInt(base.epoch + 1)
        const root = deliveredSigningRoot({ client: identity, provider, bytes }, base.network)
        const receipt = { kind: STORAGE, client: identity, bytes, signature: signIdentity(root) }
        await voice.say(MessageType.receipt, Receipt, base, receipt)
      })
    const played = await play({
      nodes: NODES,
      providers: PROVIDERS,
      epochs: EPOCHS,
      cheats: new Map<number, Cheat>([
        [Node.honest, paid(Node.honest)],
        [Node.refusing, { ...paid(Node.refusing), ...refusing }],
        [Node.spoiling, { ...paid(Node.spoiling), ...spoiling }],
        ...Node.liars.map(node => [node, lying] as const),
      ]),
      profile: { dutyShare: 0n },
      founding: async world => {
        client = world.places.at(-1)
        return await stored(
          world,
          Array.from({ length: PROVIDERS * PIECES }, (_, number) => ({
            provider: Math.floor(number / PIECES),
            payload: bytesOf(`${number}`, PIECE_BYTES),
          })),
        )
      },
    })
    epochs = played.epochs
  })

  const found = (node: number, code: string) =>
    epochs.flatMap(({ findings }) => findings).filter(f => f.node === node && f.code === code)

  for (const [name, node] of [
    ['nobody', Node.refusing],
    ['other bytes', Node.spoiling],
  ] as const) {
    it(`and serves ${name} has no part in what is paid for serving`, () => {
      assert.deepEqual(reasons(epochs, node), new Set(['ok']))
      assert.equal(found(node, 'notServing').length, EPOCHS)
      assert.ok(earnedBy(epochs, node) < earnedBy(epochs, Node.honest))
      record({
        attack: `proving without serving: keeps all, serves ${name}, with receipts all the same`,
        earned: share(epochs, node, Node.honest),
        and: 'what its client signed for, and nothing of the emission for serving, which matches what was burned of it; shown as `notServing`. A client that gets nothing signs nothing',
      })
    })
  }

  it('and serves everybody loses nothing where some verifiers say that it does not', () => {
    assert.equal(found(Node.honest, 'notServing').length, 0)
    const facts = found(Node.honest, 'strangers').map(finding => finding.facts)
    assert.ok(facts.some(({ failed }) => Number(failed) > 0))
    assert.ok(Object.keys(StrangerOutcome).includes(String(facts.at(-1)?.reason ?? 'refused')))
    record({
      attack: 'false report: two of nine verifiers say of all that they served no stranger',
      earned: 'nothing',
      and: 'more than half of an epoch’s fetches must have failed; **not caught** with three of five',
    })
  })
})
