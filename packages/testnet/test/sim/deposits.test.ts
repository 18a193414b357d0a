import { strict as assert } from 'node:assert'
import type { DepositChange } from '@cairn/node'
import { type BlockRef, type Deal, hex, type Settlement, storageKind, TOKEN } from '@cairn/protocol'
import { chooseFastHasher, type Place, type SimulatedNode, silentLog, World } from '@cairn/testnet'

/** Epochs; the last one is settled in the one after it. */
const EPOCHS = 9
const PROVIDERS = 4
/** Clients, one deal each but for the one that comes later. */
const LEAVER = 4
const REORGANISED = 5
const REPENTANT = 6
const NEWCOMER = 7
const DEPOSIT = 1_000n * TOKEN
/** The first epoch whose base has the request of who leaves, in the base's own block. */
const LEFT_FROM = 5
const STORED_IN = 3
const PRICE = TOKEN

interface Seen {
  readonly world: World
  readonly errors: string[]
  readonly landed: { epoch: number; round: number; base: BlockRef; settlement: Settlement }[]
  /** Block of the leaver's request. */
  readonly request: bigint
  /** What was paid out to the leaver. */
  readonly withdrawn: bigint
}

async function run(): Promise<Seen> {
  const errors: string[] = []
  const landed: Seen['landed'] = []
  const world = new World({
    nodes: 8,
    providers: PROVIDERS,
    gateways: 0,
    seed: 5,
    loss: 0,
    log: () => ({ ...silentLog, error: (_, text) => void errors.push(text) }),
    founding: async begun => {
      const clients = [LEAVER, REORGANISED, REPENTANT]
      const deals: Deal[] = []
      for (const [provider, client] of clients.entries()) {
        const payload = new Uint8Array(4_000).fill(client)
        const piece = await begun.shelf(provider).put(once(payload))
        deals.push(dealOf(begun.places[client] as Place, provider, piece))
      }
      const deposits = clients.map(client => ({
        account: begun.account(client),
        key: (begun.places[client] as Place).signer.identity,
        amount: DEPOSIT,
      }))
      return { deposits, deals }
    },
  })
  await chooseFastHasher()
  await world.begin()
  world.nodes[0]?.node.checkpointer.onAdopted(({ accepted: { epoch, round }, settled }) => {
    if (settled === undefined) return
    const { settlement } = settled
    landed.push({ epoch, round, base: settlement.checkpoint.base, settlement })
  })
  const view = world.chain.port(new Uint8Array(20))
  const height = () => view.head()?.number ?? 0n
  const act = (client: number, ...changes: DepositChange[]) => {
    const account = world.account(client)
    world.chain.deposit(changes.map(change => ({ account, ...change })))
    return height()
  }
  const started = world.start()
  const { slotMs, slotsPerEpoch } = world.profile
  const at = (epoch: number) => world.genesis * 1_000 + epoch * slotMs * slotsPerEpoch
  await world.clock.run({ until: at(0) })
  await started
  await world.clock.run({ until: at(1.5) })
  const { identity: key } = (world.places[NEWCOMER] as Place).signer
  act(NEWCOMER, { type: 'deposited', amount: DEPOSIT }, { type: 'named', key })
  act(REPENTANT, { type: 'requested', amount: DEPOSIT }, { type: 'requested', amount: 0n })
  const lost = act(REORGANISED, { type: 'requested', amount: DEPOSIT })
  world.chain.reorganise(lost - 1n)
  await world.clock.run({ until: at(STORED_IN) + 1_500 })
  const newcomer = world.nodes[NEWCOMER] as SimulatedNode
  const stored = newcomer.files.put([{ name: 'a file', bytes: once(new Uint8Array(20_000)) }], {
    signal: new AbortController().signal,
    shape: { data: 2, total: 4 },
  })
  stored.catch(error => errors.push(String(error)))
  await world.clock.run({ until: at(LEFT_FROM - 1) - 500 })
  const request = act(LEAVER, { type: 'requested', amount: DEPOSIT })
  await world.clock.run({ until: at(LEFT_FROM + 2) + 2_000 })
  await stored
  // As the contract does: by the first checkpoint whose base has the request.
  const paying = landed.find(({ base }) => base.number >= request)
  assert.ok(paying !== undefined)
  const withdrawn = DEPOSIT - spentOf(paying.settlement, world.account(LEAVER))
  act(LEAVER, { type: 'withdrawn', amount: withdrawn })
  await world.clock.run({ until: at(EPOCHS + 1) })
  return { world, errors, landed, request, withdrawn }
}

describe('deposits that clients move', function () {
  this.timeout(360_000)

  let seen: Seen
  before(async () => {
    seen = await run()
  })

  /** What an epoch took of a client's deposit. */
  const feesOf = (client: number) => {
    const account = hex(seen.world.account(client))
    return seen.landed
      .slice(0, EPOCHS)
      .map(({ settlement }) => settlement.changes.find(it => it.account === account)?.spent ?? 0n)
  }
  const dealsOf = (client: number, epoch: number) => {
    const key = hex((seen.world.places[client] as Place).signer.identity)
    const [found] = seen.landed.filter(landed => landed.epoch === epoch)
    assert.ok(found !== undefined)
    return found.settlement.state.of(storageKind).deals.filter(deal => hex(deal.client) === key)
  }

  it('stop no epoch from being checkpointed in its first round', () => {
    assert.deepEqual(seen.errors, [])
    assert.deepEqual(
      seen.landed.slice(0, EPOCHS).map(({ epoch, round }) => [epoch, round]),
      Array.from({ length: EPOCHS }, (_, epoch) => [epoch, 0]),
    )
  })

  it('pay a deal up to the base that has seen the request, and nothing from there on', () => {
    const { landed, request } = seen
    assert.equal(landed[LEFT_FROM]?.base.number, request, 'the request is in the base’s own block')
    for (const [epoch, fee] of feesOf(LEAVER).entries()) {
      assert.equal(fee, epoch < LEFT_FROM ? PRICE : 0n, `epoch ${epoch}`)
    }
    assert.equal(dealsOf(LEAVER, LEFT_FROM - 1).length, 1)
    assert.equal(dealsOf(LEAVER, LEFT_FROM).length, 0)
  })

  it('cost the provider of a deal that ends so no bond and no verdict', () => {
    for (const { epoch, settlement } of seen.landed) {
      assert.deepEqual(settlement.penalties, [], `epoch ${epoch}`)
      for (const { verdicts } of settlement.kinds) {
        for (const { reason, verdict } of verdicts) assert.equal(verdict, 1, `${epoch} ${reason}`)
      }
    }
  })

  it('go on to pay where a later request takes the place of one, or the chain took it back', () => {
    for (const client of [REPENTANT, REORGANISED]) {
      for (const [epoch, fee] of feesOf(client).entries()) {
        assert.equal(fee, PRICE, `client ${client}, epoch ${epoch}`)
      }
    }
  })

  it('pay for what a client stores that came after the beginning', () => {
    const fees = feesOf(NEWCOMER)
    assert.ok(fees.slice(0, STORED_IN + 1).every(fee => fee === 0n))
    assert.ok((fees.at(-1) ?? 0n) > 0n)
    assert.ok(dealsOf(NEWCOMER, EPOCHS - 1).length >= 4)
  })

  it('never owe more than is held, whoever takes out what', () => {
    const { world, landed, withdrawn } = seen
    const last = landed.at(-1)?.settlement as Settlement
    assert.ok(withdrawn > 0n && withdrawn < DEPOSIT)
    for (const client of [LEAVER, REORGANISED, REPENTANT, NEWCOMER]) {
      const held = client === LEAVER ? DEPOSIT - withdrawn : DEPOSIT
      assert.ok(spentOf(last, world.account(client)) <= held, `client ${client}`)
    }
    assert.equal(spentOf(last, world.account(LEAVER)), DEPOSIT - withdrawn)
  })
})

function spentOf({ state }: Settlement, account: Uint8Array): bigint {
  return state.core.payouts.find(payout => hex(payout.account) === hex(account))?.spent ?? 0n
}

function dealOf(client: Place, provider: number, piece: Deal['piece']): Deal {
  return {
    client: client.signer.identity,
    provider,
    piece,
    group: new Uint8Array(32).fill(client.index),
    place: 0,
    startEpoch: 0,
    endEpoch: 100_000,
    pricePerEpoch: PRICE,
    nonce: 0n,
  }
}

async function* once(payload: Uint8Array): AsyncGenerator<Uint8Array> {
  yield payload
}
