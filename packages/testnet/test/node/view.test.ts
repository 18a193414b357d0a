import { strict as assert } from 'node:assert'
import {
  type AccountOutlook,
  DaemonView,
  type EarningsView,
  type MessageView,
  type NodeEvent,
} from '@cairn/node'
import {
  Checkpoint,
  type Deal,
  Deal as DealCodec,
  dealId,
  decode,
  type Envelope,
  encodeProofFile,
  equalBytes,
  hex,
  type Kind,
  knownDeal,
  messageId,
  type PenaltyEvidence,
  type Profile,
  parseProofFile,
  penaltyFault,
  plainVerifier,
  rulebook,
  STORAGE,
  type State,
  type StorageState,
  storageKind,
  storageWith,
  TOKEN,
  unhex,
  verifyProofFile,
} from '@cairn/protocol'
import { bytes32, GENESIS, NETWORK } from '../../../protocol/test/kernel-world.ts'
import { ECHO } from '../../../protocol/test/kinds/trivial.ts'
import { DRAND, echoKind, NodeWorld, peerName, signerIn, type WorldNode } from './world.ts'

const client = bytes32('client')
const deal = (provider: number, startEpoch: number, endEpoch: number): Deal => ({
  ...DealCodec.defaultValue(),
  client,
  provider,
  piece: { ...DealCodec.defaultValue().piece, payload: 1_000 },
  startEpoch,
  endEpoch,
  pricePerEpoch: TOKEN,
  nonce: BigInt(startEpoch),
})

const ACCOUNT: AccountOutlook = {
  address: '0x52908400098527886e0f7030069857d2e4169ee7',
  balance: 100n,
  spentToday: 7n,
  budgetSpent: false,
  ratePerDay: 7n,
  daysLeft: 14,
  waiting: 1,
  entries: [],
}

async function refuse(): Promise<never> {
  throw new Error('no chain account')
}

function viewOf(world: NodeWorld, { node, chain, network, index }: WorldNode) {
  const stopped: string[] = []
  const ended: string[] = []
  const view = new DaemonView(
    {
      node,
      chain: Object.assign(chain, {
        account: () => ACCOUNT,
        divided: () => false,
        trouble: () => undefined,
      }),
      depositor: {
        standing: async () => ({
          account: new Uint8Array(20),
          deposited: 7n,
          requested: 0n,
          requestedAt: 0n,
          tokens: 5n,
        }),
        add: refuse,
        request: refuse,
        withdraw: refuse,
      },
      operator: {
        standing: async () => {
          throw new Error('no chain that takes orders')
        },
        carryOut: async () => {
          throw new Error('no chain that takes orders')
        },
      },
      claims: undefined,
      voter: {
        votes: refuse,
        parameters: refuse,
        proposal: refuse,
        propose: refuse,
        cast: refuse,
        queue: refuse,
        execute: refuse,
        cancel: refuse,
        delegate: refuse,
      },
      clock: world.clock,
      network,
      signer: signerIn(index),
      client: {
        put: async () => ({
          files: [{ name: 'a', link: 'a link', bytes: 1 }],
          pieces: [],
          bytes: 1,
          k: 1,
          n: 1,
          refusals: [],
        }),
        get: async () => {
          throw new Error('no such link')
        },
        list: async () => [],
        repairs: async () => ({
          groups: 0,
          whole: 0,
          repaired: 0,
          repairedForOthers: 0,
          shown: [],
          more: 0,
        }),
        delegate: async () => ({ groups: 0, delegates: [] }),
        totals: { groups: 0, underWay: 0, lost: 0, failing: 0, repaired: 0 },
        grant: async () => {
          throw new Error('no such link')
        },
        revoke: async () => {
          throw new Error('no such grant')
        },
        grants: async () => [],
        remove: async () => {
          throw new Error('no such file')
        },
      },
      pieces: undefined,
      radios: [],
      broker: undefined,
      sales: { sold: () => [] },
      purchases: { bought: async () => [], buy: async function* () {} },
      desk: {
        outlook: () => ({}),
        service: () => ({ clients: [], providers: [], free: { used: 1, quota: 2 } }),
        prospectOf: ({ provider }) => ({
          role: provider === 2 ? 'client' : 'provider',
          withheld: false,
          contained: false,
          ending: true,
        }),
        end: async id => {
          ended.push(hex(id))
        },
        audit: async () => {
          const stored = knownDeal(deal(2, 1, 90))
          return [{ deal: stored, leaf: 3, epoch: 4, outcome: 'timeout', reported: true }]
        },
      },
      metrics: async () => 'cairn_epoch 1\n',
      stop: () => stopped.push('stop'),
    },
    {
      manifest: {
        name: 'a network',
        chain: {
          chainId: 31337,
          rpc: [],
          contracts: {
            checkpoints: `0x${'00'.repeat(20)}`,
            registry: '0x',
            token: '0x',
            deposits: '0x',
            parameters: '0x',
          },
          finality: 0,
        },
        genesis: GENESIS,
        drand: DRAND,
        bootstrap: [],
        profileName: 'testnet',
        profile: world.profile,
        genesisState: 'genesis.ssz',
      },
      network: NETWORK,
      version: '1.2.3',
      account: bytes32('account').slice(0, 20),
      addresses: () => ['/ip4/127.0.0.1/tcp/1'],
      peerOf: identity =>
        peerName(world.registry.findIndex(entry => equalBytes(entry.identity, identity))),
    },
  )
  return { view, stopped, ended }
}

/** The second deal of node 2 owes an answer, and is contained. */
function indebted(): StorageState {
  const id = dealId(deal(2, 1, 90))
  return {
    ...storageWith([deal(2, 0, 3), deal(2, 1, 90), deal(2, 50, 90)]),
    debts: [{ deal: id, leaf: 4, since: 0, again: 1, asked: 1 }],
    contained: [{ deal: id, since: 1 }],
  }
}

async function scene(
  storage = storageWith([deal(2, 0, 3), deal(2, 1, 90), deal(2, 50, 90)]),
  profile: Partial<Profile> = {},
) {
  const world = new NodeWorld({
    profile,
    nodes: 4,
    kinds: [storageKind as unknown as Kind<unknown>, echoKind],
    entry: index => ({ kinds: (1 << ECHO) | (index === 2 ? 1 << STORAGE : 0) }),
    genesisState: (founding: State) => founding.with(founding.core, new Map([[STORAGE, storage]])),
  })
  const nodes = await world.start(0, 1, 2, 3)
  const [one] = nodes as [WorldNode]
  return { world, nodes, one, ...viewOf(world, one) }
}

describe('what a daemon shows', () => {
  it('before the start of the network', async () => {
    const { view } = await scene()
    const status = await view.status()
    assert.equal(status.epoch.number, -1)
    assert.equal(status.accepted, -1)
    assert.equal(status.index, 0)
    assert.equal(status.peers, 3)
    assert.equal(status.version, '1.2.3')
    assert.ok(status.ready, JSON.stringify(status.reasons))
    assert.equal(await view.epoch(0), undefined, 'what has not begun is not shown')
    assert.equal(await view.recompute(0), undefined)
    assert.equal(await view.prove(bytes32('nothing')), undefined)
    assert.deepEqual(await view.messages({ epoch: 0, limit: 5 }), { messages: [] })
  })

  it('of itself and its peers', async () => {
    const { world, nodes, view } = await scene()
    await world.run(2, 5, 300)
    const status = await view.status()
    assert.equal(status.epoch.number, 2)
    assert.equal(status.epoch.slot, 5)
    assert.equal(status.epoch.startsAt, world.epochStart(2))
    assert.equal(status.epoch.endsAt, world.epochStart(3))
    assert.equal(status.accepted, 1)
    assert.equal(status.chain.head?.number, nodes[0]?.chain.head()?.number)
    assert.ok(status.ready, JSON.stringify(status.reasons))
    const peers = await view.peers()
    assert.deepEqual(
      peers.map(({ peerId, index }) => [peerId, index]),
      [1, 2, 3].map(index => [peerName(index), index]),
    )
    assert.equal(new Set(peers.map(({ name }) => name)).size, 3)
  })

  it('of itself while it is left out of the committee for its missing votes', async () => {
    const { world, one, nodes, view } = await scene(undefined, { termEpochs: 4, idleEpochs: 2 })
    one.node.speaker.vote = async () => undefined
    await world.run(4, 5)
    const { ready, reasons } = await view.status()
    assert.equal(ready, true)
    const facts = { node: one.index, why: 'absent', until: 8 }
    assert.deepEqual(reasons.find(({ code }) => code === 'leftOut')?.facts, facts)
    const other = await viewOf(world, nodes[1] as WorldNode).view.status()
    assert.ok(other.health.every(({ code }) => code !== 'leftOut'))
  })

  it('of itself as a provider that owes answers, and of nobody else', async () => {
    const { world, nodes, view } = await scene(indebted())
    await world.run(1, 2)
    const { health } = await view.status()
    assert.ok(health.every(({ code }) => code !== 'debts'))
    const owing = viewOf(world, nodes[2] as WorldNode)
    const { ready, reasons } = await owing.view.status()
    assert.equal(ready, true)
    const told = reasons.filter(({ code }) => code === 'debts' || code === 'contained')
    assert.deepEqual(
      told.map(({ severity, facts }) => [severity, facts]),
      [
        ['warning', { owed: 1, since: 0, askedAgain: 1, until: 4 }],
        ['warning', { contained: 1 }],
      ],
    )
  })

  it('of itself when something is wrong', async () => {
    const { world, one, view } = await scene()
    await world.run(1, 2)
    one.chain.setDown(true)
    world.network.partition([[peerName(0)]])
    await world.run(2, 2)
    const { ready, reasons, chain, peers } = await view.status()
    assert.equal(ready, false)
    assert.equal(chain.healthy, false)
    assert.equal(peers, 0)
    const codes = reasons.map(({ code }) => code)
    assert.ok(codes.includes('chain') && codes.includes('peers'), codes.join())
    assert.ok(!codes.includes('base'), 'what follows from the chain is not said besides')
  })

  it('of an epoch that is open, frozen, and accepted', async () => {
    const { world, nodes, one, view } = await scene()
    await world.run(2, 8)
    const open = await view.epoch(2)
    assert.equal(open?.phase, 'open')
    assert.ok((open?.messages.challenge ?? 0) > 0)
    assert.deepEqual(open?.verdicts, {})
    assert.equal(open?.checkpoint, undefined)
    assert.deepEqual(open?.seed, world.seed(2))
    for (const { chain } of nodes) chain.setDown(true)
    await world.run(3, 1)
    assert.equal((await view.epoch(2))?.phase, 'frozen')
    for (const { chain } of nodes) chain.setDown(false)
    await world.run(4)
    const accepted = await view.epoch(2)
    assert.equal(accepted?.phase, 'accepted')
    const [, , , landed] = world.chain.accepted
    assert.deepEqual(accepted?.checkpoint?.root, landed?.root)
    assert.equal(accepted?.verdicts.echo?.pass, 4)
    assert.deepEqual(Object.keys(accepted?.verdicts ?? {}), ['storage', 'echo'])
    const counted = Object.values(accepted?.messages ?? {}).reduce((sum, count) => sum + count, 0)
    assert.equal(counted, (await one.node.ledger.final(2))?.ids.length)
    assert.equal(await view.epoch(5), undefined)
  })

  it('of the messages of an epoch, page by page and by author', async () => {
    const { world, view } = await scene()
    await world.run(2)
    const all = await view.messages({ epoch: 1, limit: 1_000 })
    assert.ok(all.messages.length > 10)
    assert.equal(all.next, undefined)
    for (const author of [undefined, 2]) {
      const wanted = all.messages.filter(m => author === undefined || m.author === author)
      for (const limit of [1, 3, wanted.length, wanted.length + 1]) {
        const found: MessageView[] = []
        let after: Uint8Array | undefined
        do {
          const page = await view.messages({
            epoch: 1,
            limit,
            ...(author === undefined ? {} : { author }),
            ...(after === undefined ? {} : { after }),
          })
          assert.ok(page.messages.length <= limit)
          found.push(...page.messages)
          after = page.next
        } while (after !== undefined)
        assert.deepEqual(found, wanted)
      }
    }
    const types = new Set(all.messages.map(({ type, kind }) => `${type} ${kind}`))
    assert.deepEqual([...types].sort(), [
      'attestation echo',
      'challenge echo',
      'seal echo',
      'vote kernel',
    ])
    const [first] = all.messages
    assert.deepEqual(await view.message(first?.id as Uint8Array), first)
    assert.equal(await view.message(bytes32('nothing')), undefined)
  })

  it('as proofs that hold without it', async () => {
    const { world, one, view } = await scene()
    await world.run(3)
    const final = await one.node.ledger.final(1)
    for (const id of final?.ids ?? []) {
      const proof = await view.prove(id)
      assert.ok(proof)
      const read = parseProofFile(JSON.stringify(encodeProofFile(proof)))
      assert.deepEqual(hex(verifyProofFile(read)), hex(world.chain.accepted[2]?.root as Uint8Array))
      assert.ok(read.message && equalBytes(messageId(read.message), id))
    }
    const account = world.registry[1]?.payout as Uint8Array
    const payout = await view.provePayout(account)
    assert.ok(payout?.payout && payout.payout.earned > 0n)
    verifyProofFile(payout)
    const earlier = await view.provePayout(account, 0)
    assert.ok((earlier?.payout?.earned ?? 0n) < payout.payout.earned)
    assert.equal(await view.provePayout(bytes32('nobody').slice(0, 20)), undefined)
    assert.equal(await view.provePayout(account, 77), undefined)
    assert.equal(await view.provePayout(account, -1), undefined)
  })

  it('as sums that it redoes, with a reason for every verdict', async () => {
    const { world, view } = await scene()
    await world.run(3)
    const redone = await view.recompute(1)
    assert.equal(redone?.equal, true)
    assert.deepEqual(redone?.computed, redone?.accepted)
    const { sums } = redone as NonNullable<typeof redone>
    assert.equal(sums.payouts + sums.burned + sums.unminted, sums.emission + sums.fees)
    const verdicts = await view.verdicts(1, 'echo')
    assert.equal(verdicts?.verdicts.length, 4)
    for (const { verdict, reason, facts } of verdicts?.verdicts ?? []) {
      assert.equal(verdict, 'pass')
      assert.equal(reason, 'echoed')
      assert.ok('slot' in facts)
    }
    const earnings = await view.earnings(1)
    const parts = earnings?.accounts.flatMap(account => account.parts) ?? []
    const echoed = parts.filter(({ source }) => source === 'echo')
    assert.equal(echoed.length, 4)
    for (const { earned, proven, served } of echoed) {
      assert.ok(earned > 0n)
      assert.deepEqual([proven, served], [1n, 0n])
    }
    assert.equal(
      parts.reduce((sum, { earned }) => sum + earned, 0n),
      sums.payouts,
    )
    assert.equal(await view.earnings(9), undefined)
    assert.equal(await view.verdicts(1, 'nothing'), undefined)
    assert.equal(await view.verdicts(9, 'echo'), undefined)
  })

  it('as earnings whose parts add up to what each leaf of the payouts grew by', async () => {
    const { world, view } = await scene()
    await world.run(4)
    const leafOf = async (account: string, epoch: number) =>
      (await view.provePayout(unhex(account), epoch))?.payout?.earned ?? 0n
    const sources = new Set<string>()
    for (const epoch of [1, 2]) {
      const { accounts } = (await view.earnings(epoch)) as EarningsView
      assert.ok(accounts.length > 0)
      for (const { account, earned, parts, since } of accounts) {
        const [before, after] = [await leafOf(account, epoch - 1), await leafOf(account, epoch)]
        assert.equal(
          parts.reduce((sum, part) => sum + part.earned, 0n),
          earned,
        )
        assert.equal(earned, after - before, account)
        assert.equal(since.earned, after)
        for (const { source } of parts) sources.add(source)
      }
    }
    assert.deepEqual([...sources].sort(), ['echo', 'votes'])
  })

  it('as what the last epochs would have paid after a vote, as far back as they are here', async () => {
    const { world, view } = await scene()
    await world.run(4)
    const values = new Map([['dutyShare', 200_000n]])
    const last = view.accepted()
    const found = await view.preview(values, 2)
    assert.deepEqual(
      [found?.first, found?.last, found?.epochs, found?.asked],
      [last - 1, last, 2, 2],
    )
    assert.deepEqual(found?.changes, [{ name: 'dutyShare', before: 100_000n, after: 200_000n }])
    const paid = await Promise.all([last - 1, last].map(epoch => view.recompute(epoch)))
    const payouts = paid.reduce((sum, redone) => sum + (redone?.sums.payouts ?? 0n), 0n)
    assert.equal(found?.before.payouts, payouts)
    assert.ok(payouts > 0n && found.after.payouts > payouts)
    assert.equal(
      found.earners.reduce((sum, { after }) => sum + after, 0n),
      found.after.payouts,
    )
    const all = await view.preview(values, 40)
    assert.deepEqual([all?.first, all?.epochs, all?.asked], [0, last + 1, 40])
    await assert.rejects(view.preview(new Map([['dutyShare', 1n]]), 2), { code: 'badParameter' })
  })

  it('as no preview before the first checkpoint', async () => {
    const { view } = await scene()
    assert.equal(await view.preview(new Map([['dutyShare', 200_000n]]), 2), undefined)
  })

  it('of deals: those that are live or to come', async () => {
    const { world, view } = await scene()
    await world.run(4)
    const deals = await view.deals()
    assert.deepEqual(deals.map(({ firstEpoch, lastEpoch }) => [firstEpoch, lastEpoch]).sort(), [
      [1, 89],
      [50, 89],
    ])
    assert.ok(deals.every(({ client: of }) => equalBytes(of, client)))
    assert.ok(deals.every(({ role, ending }) => role === 'client' && ending))
    assert.deepEqual(await view.pieces(), [])
  })

  it('as events, while somebody listens', async () => {
    const { world, view } = await scene()
    const events: NodeEvent[] = []
    const unsubscribe = view.subscribe(event => events.push(event))
    await world.run(2, 6)
    const of = (type: string) => events.filter(event => event.type === type)
    assert.deepEqual(
      of('epoch').map(({ data }) => (data as { epoch: number }).epoch),
      [0, 1, 2],
    )
    assert.deepEqual(
      of('checkpoint').map(({ data }) => (data as { epoch: number }).epoch),
      [0, 1],
    )
    assert.equal(of('verdict').length, 8)
    assert.ok(of('message').length > 20)
    assert.ok(events.every(({ at }, n) => at >= (events[n - 1]?.at ?? 0)))
    unsubscribe()
    const before = events.length
    await world.run(3)
    assert.equal(events.length, before)
  })

  it('tells of no old epoch as a new one when its sums are redone', async () => {
    const { world, one, view } = await scene()
    await world.run(12)
    one.node.epochs.forget(40)
    const events: NodeEvent[] = []
    view.subscribe(event => events.push(event))
    assert.equal((await world.until(view.recompute(1)))?.equal, true)
    assert.deepEqual(
      events.filter(({ type }) => type === 'epoch'),
      [],
    )
  })

  it('and passes on what it is asked to do', async () => {
    const { view, stopped, ended } = await scene()
    const { signal } = new AbortController()
    assert.equal((await view.put([], { signal })).files[0]?.link, 'a link')
    await assert.rejects(view.get('x', {}, signal), /no such link/)
    assert.deepEqual(await view.files(), [])
    await assert.rejects(view.removeFile('x'), /no such file/)
    assert.match(await view.metrics(), /^cairn_/)
    assert.deepEqual((await view.service()).free, { used: 1, quota: 2 })
    await view.endDeal(bytes32('deal'))
    assert.deepEqual(ended, [hex(bytes32('deal'))])
    const [audit] = await view.audit()
    assert.deepEqual(audit?.deal, dealId(deal(2, 1, 90)))
    assert.deepEqual([audit?.provider, audit?.outcome, audit?.reported], [2, 'timeout', true])
    view.stop()
    assert.deepEqual(stopped, ['stop'])
  })
})

describe('a view of penalties', () => {
  it('shows what cost bond with all that somebody needs who believes nothing', async () => {
    const cheat = 3
    const entry = (index: number) => ({ bond: (index === cheat ? 200n : 5_000n) * TOKEN })
    const world = new NodeWorld({ nodes: 4, entry })
    const nodes = await world.start(0, 1, 2)
    await world.run(1, world.profile.sealSlot, 500)
    const [first] = nodes as [WorldNode]
    const base = await world.base(first, 1)
    const authors = world.authors(base)
    const challenge = authors.challenge(cheat)
    const seals = [1, 2].map(n => authors.seal(challenge, { proofRoot: bytes32('proof', n) }))
    for (const message of [challenge, ...seals]) await first.node.ingest.add(message, 'sync')
    await world.run(4)

    const { view } = viewOf(world, first)
    const [penalty, ...others] = await view.penalties()
    assert.deepEqual(others, [])
    assert.equal(penalty?.offence, 'seal')
    assert.equal(penalty?.own, false)
    assert.equal(penalty?.state, 'taken')
    const details = await view.penalty(1, cheat)
    assert.ok(details !== undefined)
    const { node, amount, evidence, messages, ...rest } = details
    const [one, other] = messages as [Envelope, Envelope]
    const proof: PenaltyEvidence = {
      ...rest,
      penalty: { node, amount, evidence },
      checkpoint: decode(Checkpoint, details.checkpoint),
      messages: [one, other],
    }
    const tools = { book: rulebook([echoKind]), verifier: plainVerifier }
    assert.equal(penaltyFault(proof, tools), undefined)
    assert.deepEqual(details.root, world.chain.accepted.find(({ epoch }) => epoch === 1)?.root)
    assert.equal(await view.penalty(1, 0), undefined)
    assert.equal(await view.penalty(2, cheat), undefined)
  })
})
