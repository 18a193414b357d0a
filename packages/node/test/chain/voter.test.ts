import { strict as assert } from 'node:assert'
import { testGuardian } from '@cairn/contracts'
import { Voter } from '@cairn/node'
import { type CairnError, unhex } from '@cairn/protocol'
import type { Hex } from 'viem'
import { advanced, openChain, type TestChain } from './world.ts'

const { signal } = new AbortController()

describe('votes on an EVM chain', function () {
  this.timeout(120_000)

  let world: TestChain

  beforeEach(async () => {
    world = await openChain()
  })
  afterEach(() => world.close())

  const openAs = async (privateKey: Hex, governed = true) => {
    const chain = await world.open({ account: unhex(privateKey) })
    const { rpc, transactions } = chain
    const { governor, ...others } = world.access.contracts as Record<string, Hex>
    const contracts = { ...others, ...(governed && { governor }) } as never
    return { chain, voter: new Voter({ chain, rpc, transactions }, { contracts }) }
  }
  const open = (number: number) => openAs(world.operator(number).privateKey)
  const later = async (seconds: number) => {
    await world.client.increaseTime({ seconds })
    await world.mine()
  }
  const refused = (code: string, run: () => Promise<unknown>) =>
    assert.rejects(run, (error: CairnError) => {
      assert.equal(error.code, code, error.message)
      assert.ok(error.next)
      return true
    })
  const change = new Map([['baseShare', 400_000n]])

  it('are proposed, cast by bonds and tokens, queued and carried out', async () => {
    await world.register(0)
    await world.register(1)
    const [{ voter: one, chain }, { voter: other }] = [await open(0), await open(1)]
    const before = await one.power()
    assert.ok(before.bonded > 0n && before.votes === before.bonded)
    assert.equal(before.delegate, undefined)
    const delegated = await one.delegate(undefined, signal)
    assert.equal(delegated.votes, before.bonded + before.tokens)
    await later(1)

    const { proposal } = await one.propose(change, 'More for what is proven', signal)
    const { id } = proposal
    assert.deepEqual([proposal.state, proposal.title], ['pending', 'More for what is proven'])
    assert.deepEqual(proposal.calls[0]?.change, {
      name: 'baseShare',
      now: 300_000n,
      proposed: 400_000n,
    })
    await refused('notVoting', () => one.cast(id, 'for', signal))
    await later(proposal.starts - proposal.now + 1)
    const cast = await one.cast(id.slice(0, 8), 'for', signal)
    assert.deepEqual([cast.proposal.for, cast.proposal.own.cast], [delegated.votes, true])
    await refused('alreadyVoted', () => one.cast(id, 'for', signal))
    const against = await other.cast(id, 'against', signal)
    assert.equal(against.proposal.against, against.proposal.own.votes)
    await refused('noVotes', async () => (await open(2)).voter.cast(id, 'for', signal))
    await refused('notPassed', () => one.queue(id, signal))
    await refused('notQueued', () => one.execute(id, signal))
    await later(against.proposal.ends - against.proposal.now + 1)
    await refused('notVoting', async () => (await open(2)).voter.cast(id, 'for', signal))
    const queued = await other.queue(id, signal)
    assert.equal(queued.proposal.state, 'queued')
    await refused('notQueued', () => one.execute(id, signal))
    await later(queued.proposal.executableAt - queued.proposal.now)
    // Anybody may.
    const done = await (await open(3)).voter.execute(id, signal)
    assert.equal(done.proposal.state, 'executed')
    await advanced(chain, () =>
      chain
        .parametersAt(chain.head()?.number ?? 0n)
        .some(({ name, value }) => name === 'baseShare' && value === 400_000n),
    )
    const { proposals } = await other.votes()
    assert.deepEqual(
      proposals.map(it => [it.id, it.state]),
      [[id, 'executed']],
    )
  })

  it('begin only with enough votes, and within what the contract would take', async () => {
    const { voter: poor } = await open(0)
    await assert.rejects(poor.propose(change, 'x', signal), {
      code: 'fewVotes',
      message: /^the account votes with 0 tokens, and proposing takes [1-9]\d* tokens$/,
    })
    await world.register(1)
    await later(1)
    const { voter } = await open(1)
    const wrong: [bigint, RegExp][] = [
      [300_000n, /^baseShare is 0\.3 already$/],
      [400_001n, /from 0\.3 to 0\.400001, and one vote moves it by 0\.1 at most/],
      [1_000_001n, /become 1\.000001, and must be from 0 to 1$/],
    ]
    for (const [value, text] of wrong) {
      const proposing = voter.propose(new Map([['baseShare', value]]), 'x', signal)
      await assert.rejects(proposing, (error: CairnError) => {
        assert.equal(error.code, 'badParameter')
        assert.match(error.message, text)
        assert.match(error.next ?? '', /^it is 0\.3: name another value from 0\.2 to 0\.4;/)
        return true
      })
    }
    const [emission, , , baseShare] = await voter.parameters()
    assert.ok(emission?.name === 'emission' && emission.now === emission.most)
    assert.deepEqual(baseShare, {
      name: 'baseShare',
      now: 300_000n,
      least: 0n,
      most: 1_000_000n,
      step: 100_000n,
    })
    await refused('badParameter', () => voter.propose(new Map(), 'x', signal))
    await refused('unknownProposal', () => voter.proposal('ab'))
    const first = await voter.propose(change, 'twice', signal)
    await refused('voteRefused', () => voter.propose(change, 'twice', signal))
    const again = await voter.propose(change, 'once more', signal)
    const { proposals } = await voter.votes()
    assert.deepEqual(
      proposals.map(({ id }) => id),
      [again, first].map(({ proposal }) => proposal.id),
    )
    await refused('unknownProposal', () => voter.proposal(''))
  })

  it('are cancelled by the guardian and the proposer, and by no other', async () => {
    await world.register(0)
    await later(1)
    const [{ voter }, { voter: other }] = [await open(0), await open(1)]
    const { voter: guardian } = await openAs(testGuardian().privateKey)
    const ids: string[] = []
    for (const title of ['one', 'two']) {
      ids.push((await voter.propose(change, title, signal)).proposal.id)
    }
    const [first, second] = ids as [string, string]
    await refused('voteRefused', () => other.cancel(first, signal))
    const cancelled = await guardian.cancel(first, signal)
    assert.equal(cancelled.proposal.state, 'canceled')
    assert.equal((await voter.cancel(second, signal)).proposal.state, 'canceled')
  })

  it('are not there where the manifest names no governor', async () => {
    const { voter } = await openAs(world.operator(0).privateKey, false)
    await refused('noGovernor', () => voter.votes())
  })
})
