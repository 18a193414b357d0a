/**
 * Providers that are their own clients, receipts for bytes that nobody fetched, and a client that
 * wants its provider to look bad.
 */
import { strict as assert } from 'node:assert'
import { type KindServices, type NodeKind, Proposal } from '@cairn/node'
import {
  auditEnvelope,
  auditSigningRoot,
  CairnError,
  type Deal,
  dataLeaves,
  dealId,
  dealSigningRoot,
  deliveredSigningRoot,
  Envelope,
  type EpochBase,
  hashPiece,
  hex,
  MessageType,
  Receipt,
  STORAGE,
  slotStart,
  TOKEN,
} from '@cairn/protocol'
import { type Cheat, MemoryPieces, type World } from '@cairn/testnet'
import { kindTopic } from '../../../node/src/ledger/topics.ts'
import {
  bytesOf,
  dealsLeft,
  END_EPOCH,
  earnedBy,
  once,
  type Played,
  penalised,
  play,
  reasons,
  share,
} from './arena.ts'
import { answering, beginning, proving } from './cheats.ts'
import { record } from './figures.ts'

const EPOCHS = 10
const PIECES = 4
const PIECE_BYTES = 2_000
const GIB = 2n ** 30n
/** What the self-dealer pays itself for one deal and epoch, tokens. */
const HIGH_PRICE = 100n * TOKEN
/** What the other pays itself by receipts in one epoch, GiB: 100 tokens. */
const HIGH_GIB = 100_000n

const Node = {
  honest: 0,
  selfDealer: 1,
  selfServer: 2,
  forger: 3,
  framed: 4,
  hostileClient: 5,
  client: 6,
} as const
const PROVIDERS = 5

/** Keeps nothing of what it had itself store: makes it anew when it is asked. */
const generating: Cheat = proving(() => async (piece, leaf) => {
  for (let number = 0; number < PIECES; number++) {
    const made = new MemoryPieces()
    const { root } = await made.put(once(payloadOf(Node.selfDealer, number)))
    if (hex(root) === hex(piece.root)) return await made.prove(piece, leaf)
  }
  throw new Error('not one of its own')
})

/** Signs for more bytes in every epoch, as if it had fetched them from itself. */
const servingItself: Cheat = beginning(async (_, services, base) => {
  const own = services.signer
  const bytes = HIGH_GIB * GIB * BigInt(base.epoch + 1)
  const root = deliveredSigningRoot(
    { client: own.identity, provider: Node.selfServer, bytes },
    base.network,
  )
  await services.voice.say(MessageType.receipt, Receipt, base, {
    kind: STORAGE,
    client: own.identity,
    bytes,
    signature: own.signIdentity(root),
  })
})

/** Claims receipts of somebody else's client, who signed none: around its own rules, which refuse it. */
function forging(clientOf: (base: EpochBase) => Uint8Array): Cheat {
  return beginning(async (own, services, base) => {
    const { signer, voice, network } = services
    const client = clientOf(base)
    const bytes = HIGH_GIB * GIB * BigInt(base.epoch + 1)
    const root = deliveredSigningRoot({ client, provider: Node.forger, bytes }, base.network)
    const envelope = await voice.sign(MessageType.receipt, Receipt, base, {
      kind: STORAGE,
      client,
      bytes,
      signature: signer.signIdentity(root),
    })
    await network.publish(kindTopic(base.network, own.kind), Envelope.serialize(envelope))
  })
}

describe('somebody who deals', function () {
  this.timeout(600_000)

  let epochs: Played[]
  let world: World
  const refusals: string[] = []

  before(async () => {
    const played = await play({
      nodes: Object.keys(Node).length,
      providers: PROVIDERS,
      epochs: EPOCHS,
      cheats: new Map([
        [Node.selfDealer, generating],
        [Node.selfServer, servingItself],
        [Node.forger, forging(base => base.node(Node.client)?.identity as Uint8Array)],
        [Node.hostileClient, framing(refusals)],
      ]),
      profile: { dutyShare: 0n },
      founding: async begun => {
        const deals = await dealsOf(begun)
        for (const piece of begun.shelf(Node.selfDealer).list()) {
          await begun.shelf(Node.selfDealer).delete(piece)
        }
        const payers = [Node.selfDealer, Node.selfServer, Node.hostileClient, Node.client]
        const deposits = payers.map(index => ({
          account: begun.account(index),
          key: begun.places[index]?.signer.identity as Uint8Array,
          amount: 1_000_000n * TOKEN,
        }))
        return { deposits, deals }
      },
    })
    epochs = played.epochs
    world = played.world
  })

  const spentBy = (node: number): bigint => {
    const account = hex(world.account(node))
    const changes = epochs.flatMap(played => played.changes)
    return changes
      .filter(change => change.account === account)
      .reduce((sum, { spent }) => sum + spent, 0n)
  }
  const returned = (node: number) =>
    Number((earnedBy(epochs, node) * 10_000n) / spentBy(node)) / 100

  it('with itself over data that it can make again never gains', () => {
    assert.deepEqual(reasons(epochs, Node.selfDealer), new Set(['ok']))
    assert.ok(spentBy(Node.selfDealer) > 100n * TOKEN)
    assert.ok(earnedBy(epochs, Node.selfDealer) <= spentBy(Node.selfDealer))
    record({
      attack:
        'dealing with oneself over data that is generated, or ground to need no disk, at a hundred times the price',
      earned: `${returned(Node.selfDealer)} % of what it paid in`,
      and: 'nothing proves that bytes are worth keeping, so emission by fees is at most what was burned of them',
    })
  })

  it('with itself by receipts for bytes that nobody fetched never gains', () => {
    assert.ok(spentBy(Node.selfServer) > 100n * TOKEN)
    assert.ok(earnedBy(epochs, Node.selfServer) <= spentBy(Node.selfServer))
    record({
      attack: 'fake receipts: signs itself for bytes that nobody fetched',
      earned: `${returned(Node.selfServer)} % of what it paid in`,
      and: 'the same bound',
    })
  })

  it('and forges another’s receipts is paid nothing for them', () => {
    assert.equal(share(epochs, Node.forger, Node.honest), 100)
    record({
      attack: 'fake receipts: claims bytes for which their client never signed',
      earned: share(epochs, Node.forger, Node.honest),
      and: 'what its deals pay, and no more: nobody takes the receipt in',
    })
  })

  it('takes nothing from those who deal honestly', () => {
    const price = BigInt(PIECES) * TOKEN
    assert.equal(earnedBy(epochs.slice(-1), Node.honest), price)
    assert.equal(dealsLeft(epochs, Node.honest), PIECES)
  })

  it('to frame its provider gets no signature for bytes that it does not send', () => {
    assert.deepEqual(new Set(refusals), new Set(['pieceUnavailable']))
    assert.equal(dealsLeft(epochs, Node.framed), PIECES)
    record({
      attack: 'bad upload: proposes a deal for one piece and sends the bytes of another',
      earned: 'nothing',
      and: 'the provider hashes what it gets before it signs, so there is no deal; it loses nothing',
    })
  })

  it('to frame its provider by audits of leaves that it keeps takes nothing from it', () => {
    assert.equal(share(epochs, Node.framed, Node.honest), 100)
    assert.equal(penalised(epochs, Node.framed), 0n)
    const audits = epochs
      .flatMap(({ findings }) => findings)
      .filter(({ node, code }) => node === Node.framed && code === 'audits')
    const sum = (name: string) => audits.reduce((n, { facts }) => n + Number(facts[name]), 0)
    assert.ok(sum('taken') > PIECES)
    assert.ok(sum('answered') > 0)
    assert.equal(sum('confirmed'), 0)
    record({
      attack: 'false audits: a client says of all its deals, in every epoch, that it got no leaf',
      earned: 'nothing',
      and: `its provider is paid ${share(epochs, Node.framed, Node.honest)} % and answers one leaf more per audit that waits`,
    })
  })
})

/** Proposes pieces that it does not have, serves other bytes, and audits what is kept well. */
function framing(refusals: string[]): Cheat {
  const lying = beginning(async (own, services, base) => {
    await lyingAudits(services, base)
    if (base.epoch === 2) refusals.push(await badUpload(own, services, base))
  })
  return {
    ...lying,
    services: services => ({
      ...services,
      network: answering(
        services.network,
        'piece-get',
        () => async () => new Uint8Array(PIECE_BYTES),
      ),
    }),
  }
}

async function lyingAudits({ signer, publishDeal }: KindServices, base: EpochBase): Promise<void> {
  for (let number = 0; number < PIECES; number++) {
    const deal = dealWith({ provider: Node.framed, client: signer.identity, number })
    const leaf = base.epoch % dataLeaves(deal.piece)
    const audit = { client: signer.identity, deal: dealId(deal), leaf, epoch: base.epoch }
    const signature = signer.signIdentity(auditSigningRoot(audit, base.network))
    await publishDeal(auditEnvelope(audit, signature)).catch(ignoreEarly)
  }
}

/** An audit beside one that waits, or in an epoch whose base is not known, is not taken in. */
function ignoreEarly(error: unknown): void {
  if (!(error instanceof CairnError)) throw error
}

/** The code with which the provider refused. */
async function badUpload(
  _: NodeKind,
  { network, signer, peerOf, clock }: KindServices,
  base: EpochBase,
): Promise<string> {
  const deal = {
    ...dealWith({ provider: Node.framed, client: signer.identity, number: PIECES }),
    startEpoch: base.epoch + 1,
    endEpoch: base.epoch + 100,
  }
  const signature = signer.signIdentity(dealSigningRoot(deal, base.network))
  const provider = base.node(Node.framed)
  assert.ok(provider !== undefined)
  await clock.until(slotStart(base, base.epoch, 2), new AbortController().signal)
  try {
    await network.request(peerOf(provider), 'piece-put', Proposal.serialize({ deal, signature }), {
      signal: new AbortController().signal,
      maxResponseBytes: 100,
    })
    return 'signed'
  } catch (error) {
    return (error as CairnError).code
  }
}

async function dealsOf(world: World): Promise<Deal[]> {
  const clients = new Map<number, number>([
    [Node.selfDealer, Node.selfDealer],
    [Node.framed, Node.hostileClient],
  ])
  const deals: Deal[] = []
  for (let provider = 0; provider < PROVIDERS; provider++) {
    // What it is paid is for its receipts alone.
    if (provider === Node.selfServer) continue
    const client = world.places[clients.get(provider) ?? Node.client]?.signer.identity
    assert.ok(client !== undefined)
    for (let number = 0; number < PIECES; number++) {
      await world.shelf(provider).put(once(payloadOf(provider, number)))
      deals.push(dealWith({ provider, client, number }))
    }
  }
  return deals
}

function dealWith({
  provider,
  client,
  number,
}: {
  provider: number
  client: Uint8Array
  number: number
}): Deal {
  return {
    client,
    provider,
    piece: hashPiece(payloadOf(provider, number)).piece,
    group: new Uint8Array(32),
    place: number,
    startEpoch: 0,
    endEpoch: END_EPOCH,
    pricePerEpoch: provider === Node.selfDealer ? HIGH_PRICE : TOKEN,
    nonce: BigInt(number),
  }
}

function payloadOf(provider: number, number: number): Uint8Array {
  return bytesOf(`${provider} ${number}`, PIECE_BYTES)
}
