import { strict as assert } from 'node:assert'
import {
  bls,
  CairnError,
  Checkpoint,
  COUNTED_KINDS,
  COUNTED_TYPES,
  checkInSigningRoot,
  checkpointRoot,
  committeeWord,
  compareBytes,
  equalBytes,
  GENESIS_EPOCH,
  ListDepth,
  listRoot,
  PARAMETERS,
  penaltyLeaves,
  type RegistryEntry,
  roundIn,
  sha256,
  TESTNET_PROFILE,
  TOKEN,
  voteSigningRoot,
  type WeightedKey,
} from '@cairn/protocol'
import type {
  BlockHeader,
  CastVote,
  Chain,
  DoubleVote,
  RecordedPenalty,
  Submission,
} from '../ports.ts'
import type { ConformanceCase } from './case.ts'

/**
 * A fresh chain whose contracts are deployed and not started, with no nodes. A checkpoint is active a
 * minute after its acceptance; nodes check in after twenty seconds without, for ten.
 */
export interface ChainWorld {
  /** Two views of it, not started, whose submissions come from different accounts. */
  chains: readonly [Chain, Chain]
  /** Registers a node in a new block; resolves with its identity key. */
  register(): Promise<Uint8Array>
  /** Signs with the voting key of the node of this index. */
  signVoting(node: number, message: Uint8Array): Uint8Array
  /** Puts down base units for the account of this number. */
  deposit(account: number, amount: bigint): Promise<void>
  /** The account of this number asks for base units of its deposit. */
  requestWithdrawal(account: number, amount: bigint): Promise<void>
  /** The account of this number names the key of this number, which signs; resolves with the key. */
  nameKey(account: number, key: number): Promise<Uint8Array>
  /** Posts the genesis checkpoint; resolves with the network id. */
  begin(genesis: Checkpoint): Promise<Uint8Array>
  /** Cancels the accepted checkpoint of an epoch; `before` is that of the epoch before. */
  cancel(epoch: number, before: Checkpoint): Promise<void>
  /** Carries out a vote on a parameter, in a new block. */
  vote(name: string, value: bigint): Promise<void>
  /** Lets a block come, and the views that can see it. */
  pass(): Promise<void>
  /** Cuts both views off from the chain, or connects them again. */
  setDown(down: boolean): Promise<void>
  close(): Promise<void>
}

/** Blocks that a view may be behind what was done. */
const PASSES_MAX = 200

/** What every chain must do. */
export function chainCases(open: () => Promise<ChainWorld>): ConformanceCase[] {
  const rule = (title: string, run: (world: ChainWorld) => Promise<void>): ConformanceCase => ({
    title,
    async run() {
      const world = await open()
      try {
        await run(world)
      } finally {
        for (const chain of world.chains) await chain.stop()
        await world.close()
      }
    },
  })
  return [
    rule('has every block up to its head, in order of number and time', async world => {
      const chain = await started(world)
      const { number } = headOf(chain)
      await until(world, () => headOf(chain).number >= number + 5n)
      const blocks = allBlocks(chain)
      assert.ok(blocks.length > 5)
      for (const [i, block] of blocks.entries()) {
        assert.equal(block.number, BigInt(i))
        assert.equal(block.hash.length, 32)
        assert.ok(i === 0 || block.timestamp >= (blocks[i - 1] as BlockHeader).timestamp)
      }
      assert.equal(chain.block(headOf(chain).number + 1n), undefined)
    }),
    rule('names the last block before a time only when a later one is known', async world => {
      const chain = await started(world)
      await until(world, () => headOf(chain).number >= 5n)
      const blocks = allBlocks(chain)
      const last = headOf(chain).timestamp
      for (let seconds = (blocks[0]?.timestamp ?? 0) - 1; seconds <= last; seconds++) {
        const expected = blocks.findLast(block => block.timestamp < seconds)
        assert.deepEqual(chain.lastBlockBefore(seconds), expected)
      }
      assert.equal(chain.lastBlockBefore(last + 1), undefined)
      await until(world, () => headOf(chain).timestamp > last)
      assert.equal(chain.lastBlockBefore(last + 1)?.timestamp, last)
    }),
    rule('shows a node from the block of its registration on', async world => {
      const chain = await started(world)
      const nodes = () => chain.registryAt(headOf(chain).number)
      assert.deepEqual(nodes(), [])
      const identities: Uint8Array[] = []
      for (let i = 0; i < 3; i++) {
        identities.push(await world.register())
        await until(world, () => nodes().length === i + 1)
      }
      const entries = nodes()
      assert.deepEqual(
        entries.map(({ index, identity }) => ({ index, identity })),
        identities.map((identity, index) => ({ index, identity })),
      )
      for (const block of allBlocks(chain)) {
        const before = entries.filter(({ registeredAt }) => registeredAt < block.timestamp).length
        const upTo = entries.filter(({ registeredAt }) => registeredAt <= block.timestamp).length
        const { length } = chain.registryAt(block.number)
        assert.ok(length >= before && length <= upTo)
      }
    }),
    rule('shows what accounts have put down and asked back, from that block on', async world => {
      const chain = await started(world)
      const entries = () => chain.depositsAt(headOf(chain).number)
      assert.deepEqual(entries(), [])
      await world.deposit(1, 70n)
      await until(world, () => entries()[0]?.deposited === 70n)
      const [first] = entries()
      assert.equal(first?.account.length, 20)
      const none = { key: undefined, requested: 0n, requestedAt: 0n }
      assert.deepEqual(first, { ...none, account: first.account, deposited: 70n })
      await world.requestWithdrawal(1, 50n)
      await until(world, () => entries()[0]?.requested === 50n)
      await world.deposit(1, 5n)
      await until(world, () => entries()[0]?.deposited === 75n)
      await world.requestWithdrawal(1, 20n)
      await until(world, () => entries()[0]?.requested === 20n)
      const requestedAt = entries()[0]?.requestedAt ?? 0n
      const requested = (block: bigint) => chain.depositsAt(block)[0]?.requested
      assert.deepEqual([requested(requestedAt - 1n), requested(requestedAt)], [50n, 20n])
    }),
    rule('lets an account pay for the first key that it named and no other has', async world => {
      const chain = await started(world)
      const entries = () => chain.depositsAt(headOf(chain).number)
      const keys = () => entries().flatMap(({ key }) => (key === undefined ? [] : [key]))
      const key = await world.nameKey(1, 1)
      await until(world, () => keys().length === 1)
      await world.nameKey(1, 2)
      await world.nameKey(2, 1)
      const other = await world.nameKey(2, 2)
      await until(world, () => keys().length === 2)
      const [mine, theirs] = [key, other].map(named =>
        entries().find(entry => entry.key !== undefined && equalBytes(entry.key, named)),
      )
      assert.ok(mine !== undefined && theirs !== undefined)
      assert.notDeepEqual(mine.account, theirs.account)
      assert.ok(
        compareBytes(entries()[0]?.account as Uint8Array, entries()[1]?.account as Uint8Array) < 0,
      )
    }),
    rule('says what can be voted on as the chain began with it', async world => {
      const chain = await started(world)
      await until(world, () => chain.foundingParameters() !== undefined)
      const founding = new Map(PARAMETERS.map(({ name, of }) => [name, of(TESTNET_PROFILE)]))
      assert.deepEqual(chain.foundingParameters(), founding)
      await world.vote('feeBurn', 150_000n)
      await until(world, () => chain.parametersAt(headOf(chain).number).length > 0)
      assert.deepEqual(chain.foundingParameters(), founding)
    }),
    rule('shows what votes set from their block on, in order', async world => {
      const chain = await started(world)
      assert.deepEqual(chain.parametersAt(headOf(chain).number), [])
      const votes = [
        ['weight.2', 2n],
        ['feeBurn', 150_000n],
        ['baseShare', 350_000n],
      ] as const
      for (const [name, value] of votes) await world.vote(name, value)
      const changes = () => chain.parametersAt(headOf(chain).number)
      await until(world, () => changes().length === votes.length)
      const all = changes()
      assert.deepEqual(
        all.map(({ name, value }) => [name, value]),
        votes,
      )
      for (const block of allBlocks(chain)) {
        assert.deepEqual(
          chain.parametersAt(block.number),
          all.filter(change => change.block <= block.number),
        )
      }
      assert.equal(new Set(all.map(({ block }) => block)).size, votes.length)
    }),
    rule('has a genesis checkpoint once the network was started', async world => {
      const chain = await started(world)
      assert.equal(chain.genesis(), undefined)
      const { first } = await beginWith(world, 3)
      await until(world, () => chain.genesis() !== undefined)
      const genesis = chain.genesis()
      assert.equal(genesis?.epoch, -1)
      assert.deepEqual(genesis.root, checkpointRoot(first))
      assert.deepEqual(genesis.checkpoint, Checkpoint.serialize(first))
      assert.deepEqual(chain.checkpointsAt(headOf(chain).number), [genesis])
      assert.deepEqual(chain.block(genesis.block.number), genesis.block)
    }),
    rule('lands checkpoints in order, with absent members', async world => {
      const chain = await started(world)
      const network = await beginWith(world, 4)
      const zero = network.next(network.first)
      const one = network.next(zero)
      await land(world, chain, network.submission(zero))
      await until(world, () => lastEpoch(chain) === 0)
      await land(world, chain, network.submission(one, { round: 3, absent: [2] }))
      await until(world, () => lastEpoch(chain) === 1)
      const accepted = chain.checkpointsAt(headOf(chain).number)
      assert.deepEqual(
        accepted.map(({ epoch, round }) => [epoch, round]),
        [
          [-1, 0],
          [0, 0],
          [1, 3],
        ],
      )
      assert.deepEqual(accepted[2]?.root, checkpointRoot(one))
      assert.deepEqual(accepted[2]?.checkpoint, Checkpoint.serialize(one))
      assert.equal(accepted[2]?.submitter.length, 20)
      for (const { epoch, block } of accepted) {
        const seen = chain.checkpointsAt(block.number).at(-1)
        assert.ok(seen !== undefined && seen.epoch >= epoch)
        if (block.number === 0n) continue
        const before = chain.checkpointsAt(block.number - 1n).at(-1)
        assert.ok(before === undefined || before.epoch < epoch)
      }
    }),
    rule('says alreadyAccepted, wrongParent and reverted', async world => {
      const chain = await started(world)
      const network = await beginWith(world, 4)
      const zero = network.next(network.first)
      const one = network.next(zero)
      const refused = (submission: Submission) => refusal(world, chain, submission)
      assert.equal(await refused(network.submission(one)), 'wrongParent')
      assert.equal(await refused(network.submission(zero, { absent: [0, 1] })), 'reverted')
      const { signature } = network.submission(one)
      assert.equal(await refused({ ...network.submission(zero), signature }), 'reverted')
      await land(world, chain, network.submission(zero))
      assert.equal(await refused(network.submission(zero)), 'alreadyAccepted')
      await until(world, () => lastEpoch(chain) === 0)
      assert.equal(await refused(network.submission(zero)), 'alreadyAccepted')
      const astray = { ...one, parent: sha256(one.parent) }
      assert.equal(await refused(network.submission(astray)), 'wrongParent')
    }),
    rule('forgets what is cancelled, and takes it again by later votes only', async world => {
      const chain = await started(world)
      const network = await beginWith(world, 4)
      const zero = network.next(network.first)
      const one = network.next(zero)
      const two = network.next(one)
      await land(world, chain, network.submission(zero))
      await land(world, chain, network.submission(one, { round: 3 }))
      await land(world, chain, network.submission(two))
      await until(world, () => lastEpoch(chain) === 2)
      assert.deepEqual(chain.cancelled(), [])
      const head = headOf(chain).number
      await settled(world, world.cancel(1, zero))
      await until(world, () => lastEpoch(chain) === 0)
      const [gone, ...more] = chain.cancelled()
      assert.deepEqual([gone?.epoch, gone?.root, gone?.round], [1, checkpointRoot(one), 3])
      assert.deepEqual(more, [], 'what went with it was not cancelled itself')
      assert.equal(chain.checkpointsAt(head).at(-1)?.epoch, 2, 'as of then they were accepted')
      for (const round of [0, 3]) {
        assert.equal(await refusal(world, chain, network.submission(one, { round })), 'reverted')
      }
      await land(world, chain, network.submission(one, { round: 4 }))
      await land(world, chain, network.submission(two))
      await until(world, () => lastEpoch(chain) === 2)
    }),
    rule('cancels upon a member that is not registered so, and upon no other', async world => {
      const chain = await started(world)
      for (let nodes = 0; nodes < 2; nodes++) await world.register()
      await until(world, () => chain.registryAt(headOf(chain).number).length === 2)
      const registered = chain.registryAt(headOf(chain).number)
      const network = await beginWith(world, 3)
      const { number, hash } = headOf(chain)
      const zero = { ...network.next(network.first), base: { number, hash } }
      const members = [
        ...registered.map(({ voting, bond }) => ({ key: voting, weight: Number(bond / TOKEN) })),
        ...network.members,
      ]
      const one = { ...network.next(zero), nextCommittee: committeeWord(members) }
      await land(world, chain, network.submission(zero))
      await land(world, chain, network.submission(one))
      await until(world, () => lastEpoch(chain) === 1)
      const veto = (place: number, who: readonly WeightedKey[] = members) => {
        const { signal } = new AbortController()
        return settled(world, chain.veto({ epoch: 1, term: 0, members: who, place }, signal))
      }
      assert.equal(await veto(0), 'refused')
      assert.equal(await veto(1), 'refused')
      assert.equal(await veto(2, network.members), 'refused', 'not the committee that it names')
      assert.equal(await veto(2), 'vetoed')
      await until(world, () => lastEpoch(chain) === 0)
      assert.equal(await veto(2), 'done')
      assert.deepEqual(
        chain.cancelled().map(({ root }) => root),
        [checkpointRoot(one)],
      )
    }),
    rule(
      'makes those the committee who check in while none signs, if they are a majority',
      async world => {
        const chain = await started(world)
        for (let nodes = 0; nodes < 3; nodes++) await world.register()
        await until(world, () => chain.registryAt(headOf(chain).number).length === 3)
        const registered = chain.registryAt(headOf(chain).number)
        const network = await beginWith(world, 3)
        const zero = network.next(network.first)
        const one = network.next(zero)
        await land(world, chain, network.submission(zero))
        await until(world, () => lastEpoch(chain) === 0)
        const { signal } = new AbortController()
        const checkIn = (node: number, window: number) => {
          const message = checkInSigningRoot({ epoch: 1n, window: BigInt(window) }, network.id)
          const signature = world.signVoting(node, message)
          const key = registered[node]?.voting ?? new Uint8Array()
          return settled(world, chain.checkIn({ node, key, signature }, signal))
        }
        const form = () => settled(world, chain.formCommittee(signal))
        const now = () => chain.succession()
        assert.equal(now()?.epoch, 1)
        assert.equal(await checkIn(0, 1), 'done', 'too early')
        assert.equal(await form(), 'done', 'nobody came')
        await until(world, () => headOf(chain).timestamp >= (now()?.due ?? 0))
        const others = checkIn(0, 2)
        await assert.rejects(others, { code: 'reverted' })
        assert.equal(await checkIn(0, 1), 'checkedIn')
        await until(world, () => now()?.window !== undefined)
        assert.equal(await checkIn(0, 1), 'done', 'it came before')
        assert.equal(await form(), 'done', 'others may come')
        const over = () => headOf(chain).timestamp > (now()?.window?.end ?? Number.MAX_VALUE)
        await until(world, over)
        assert.equal(await form(), 'tooFew')
        for (const node of [2, 0]) assert.equal(await checkIn(node, 2), 'checkedIn')
        await until(world, () => now()?.windows === 2 && now()?.window?.members.length === 2)
        await until(world, over)
        assert.equal(await checkIn(1, 3), 'done', 'a majority waits')
        assert.equal(await form(), 'formed')
        await until(world, () => now()?.formed !== undefined)
        assert.equal(await form(), 'done')
        const members = [2, 0].map(node => {
          const { voting, bond } = registered[node] as RegistryEntry
          return { node, key: voting, weight: Number(bond / TOKEN) }
        })
        const formed = now()?.formed
        assert.equal(formed?.epoch, 1)
        assert.deepEqual(formed?.members, members)
        assert.deepEqual([formed?.window, formed?.chosen], [2, false])
        assert.deepEqual(formed?.word, committeeWord(members))
        assert.equal(await refusal(world, chain, network.submission(one)), 'reverted')
        const signedIn = (round: number) => {
          const vote = { epoch: 1n, round: BigInt(round), checkpoint: checkpointRoot(one) }
          const message = voteSigningRoot(vote, network.id)
          const signatures = members.map(({ node }) => world.signVoting(node, message))
          return {
            checkpoint: Checkpoint.serialize(one),
            round,
            committee: { members, absent: [] },
            signature: bls.aggregateSignatures(signatures),
          }
        }
        // What they had voted for the committee of before is no vote of theirs, nor of a later window.
        for (const round of [3, roundIn(1, 3), roundIn(3, 3)]) {
          assert.equal(await refusal(world, chain, signedIn(round)), 'reverted')
        }
        await land(world, chain, signedIn(roundIn(2, 3)))
        await until(world, () => lastEpoch(chain) === 1)
        assert.deepEqual(
          chain.checkpointsAt(headOf(chain).number).at(-1)?.formed?.word,
          formed?.word,
        )
        assert.equal(now()?.formed, undefined)
        await world.cancel(1, zero)
        await until(world, () => lastEpoch(chain) === 0)
        assert.equal(now()?.window?.members.length, 2, 'they still wait')
        assert.equal(await form(), 'formed')
      },
    ),
    rule('opens an active checkpoint for claims, once', async world => {
      const chain = await started(world)
      const network = await beginWith(world, 4)
      const [zero, one] = [network.next(network.first), network.first]
      const next = network.next(zero)
      const fund = (checkpoint: Checkpoint) =>
        settled(world, chain.fund({ checkpoint, payouts: [] }, new AbortController().signal))
      await land(world, chain, network.submission(zero))
      assert.equal(await fund(zero), 'notActive')
      assert.equal(await fund({ ...zero, deals: one.state }), 'notActive')
      await until(world, () => lastEpoch(chain) === 0)
      const due = (chain.checkpointsAt(headOf(chain).number)[1]?.block.timestamp ?? 0) + 60
      await until(world, () => headOf(chain).timestamp >= due)
      assert.equal(await fund({ ...zero, deals: one.state }), 'done', 'not what was accepted')
      assert.equal(await fund(zero), 'funded')
      assert.equal(await fund(zero), 'done')
      await land(world, chain, network.submission(next))
      await until(world, () => lastEpoch(chain) === 1)
      assert.equal(await fund(next), 'notActive')
      await settled(world, world.cancel(1, zero))
      assert.equal(await fund(next), 'done')
    }),
    rule('takes the bond that an active checkpoint’s penalties say, once', async world => {
      const chain = await started(world)
      for (let i = 0; i < 2; i++) await world.register()
      await until(world, () => chain.registryAt(headOf(chain).number).length === 2)
      const network = await beginWith(world, 4)
      const penalties = [{ node: 1, amount: 7n, evidence: sha256(Uint8Array.of(1)) }]
      const checkpoint = {
        ...network.next(network.first),
        penalties: listRoot(penaltyLeaves(penalties), ListDepth.penalties),
      }
      const bond = () => chain.registryAt(headOf(chain).number)[1]?.bond ?? 0n
      const before = bond()
      const punish = (change: Partial<RecordedPenalty> = {}) => {
        const recorded = { checkpoint, penalties, position: 0, ...change }
        return settled(
          world,
          chain.punish({ type: 'recorded', ...recorded }, new AbortController().signal),
        )
      }
      await land(world, chain, network.submission(checkpoint))
      assert.equal(await punish(), 'notActive')
      await until(world, () => lastEpoch(chain) === 0)
      const due = (chain.checkpointsAt(headOf(chain).number)[1]?.block.timestamp ?? 0) + 60
      await until(world, () => headOf(chain).timestamp >= due)
      const other = { ...checkpoint, deals: checkpoint.messages }
      assert.equal(await punish({ checkpoint: other }), 'lapsed', 'not what was accepted')
      assert.equal(await punish(), 'taken')
      await until(world, () => bond() === before - 7n)
      assert.equal(await punish(), 'before')
      assert.equal(bond(), before - 7n)
    }),
    rule(
      'takes bond of who signed two checkpoints of one round, and of nobody else',
      async world => {
        const chain = await started(world)
        for (let i = 0; i < 2; i++) await world.register()
        await until(world, () => chain.registryAt(headOf(chain).number).length === 2)
        const network = await beginWith(world, 4)
        const entries = () => chain.registryAt(headOf(chain).number)
        const [first, second] = entries().map(({ bond }) => bond) as [bigint, bigint]
        const cast = (label: number, round = 3, node = 1) => {
          const checkpoint = sha256(Uint8Array.of(label))
          const vote = { epoch: 5n, round: BigInt(round), checkpoint }
          return {
            checkpoint,
            signature: world.signVoting(node, voteSigningRoot(vote, network.id)),
          }
        }
        const punish = (votes: readonly [CastVote, CastVote]) => {
          const key = entries()[1]?.voting ?? new Uint8Array(48)
          const found: DoubleVote = { node: 1, key, epoch: 5, round: 3, votes }
          return settled(
            world,
            chain.punish({ type: 'doubleVote', ...found }, new AbortController().signal),
          )
        }
        const refused = async (votes: readonly [CastVote, CastVote]) =>
          assert.equal(await punish(votes), 'refused')
        await refused([cast(1), cast(1)])
        await refused([cast(1), cast(2, 4)])
        await refused([cast(1), cast(2, 3, 0)])
        assert.equal(await punish([cast(1), cast(2)]), 'taken')
        // A tenth of its bond, or what all nodes together lose for an epoch at most.
        const cap = ((first + second) * 2n) / 100n
        const taken = second / 10n < cap ? second / 10n : cap
        await until(world, () => entries()[1]?.bond === second - taken)
        assert.equal(await punish([cast(2), cast(1)]), 'before')
        assert.equal(entries()[0]?.bond, first)
      },
    ),
    rule('lets one of two submissions of an epoch land', async world => {
      const [chain, other] = world.chains
      await started(world)
      await other.start(new AbortController().signal)
      const network = await beginWith(world, 4)
      await until(world, () => other.genesis() !== undefined)
      const submission = network.submission(network.next(network.first))
      const { signal } = new AbortController()
      const both = [chain, other].map(view => codeOf(view.submit(submission, signal)))
      const results = await settled(world, Promise.all(both))
      assert.deepEqual(results.toSorted(), ['alreadyAccepted', 'landed'])
      await until(world, () => lastEpoch(chain) === 0 && lastEpoch(other) === 0)
      const [mine, theirs] = [chain, other].map(view => view.checkpointsAt(headOf(view).number)[1])
      assert.deepEqual(mine, theirs)
    }),
    rule('goes on answering while it is cut off, and catches up after', async world => {
      const chain = await started(world)
      assert.equal(chain.healthy(), true)
      const network = await beginWith(world, 3)
      await until(world, () => chain.genesis() !== undefined)
      await world.setDown(true)
      await until(world, () => !chain.healthy())
      const head = headOf(chain)
      const submission = network.submission(network.next(network.first))
      assert.equal(await refusal(world, chain, submission), 'chainUnavailable')
      await world.register()
      for (let i = 0; i < 5; i++) await world.pass()
      assert.deepEqual(chain.head(), head)
      assert.deepEqual(chain.registryAt(head.number), [])
      assert.equal(lastEpoch(chain), -1)
      await world.setDown(false)
      await until(world, () => chain.healthy() && headOf(chain).number >= head.number + 5n)
      await until(world, () => chain.registryAt(headOf(chain).number).length === 1)
      assert.deepEqual(chain.block(head.number), head)
      for (const block of allBlocks(chain)) assert.ok(block.hash.length === 32)
      await land(world, chain, submission)
    }),
    rule('starts while it is cut off, and learns everything later', async world => {
      await world.setDown(true)
      const identity = await world.register()
      const [chain] = world.chains
      await settled(world, chain.start(new AbortController().signal))
      assert.equal(chain.healthy(), false)
      assert.equal(chain.genesis(), undefined)
      await world.setDown(false)
      await until(world, () => chain.healthy() && chain.head() !== undefined)
      await until(world, () => chain.registryAt(headOf(chain).number).length === 1)
      assert.deepEqual(chain.registryAt(headOf(chain).number)[0]?.identity, identity)
    }),
    rule('tells its listeners after it advanced, until they leave', async world => {
      const chain = await started(world)
      const seen: bigint[] = []
      const leave = chain.onAdvance(() => seen.push(headOf(chain).number))
      await until(world, () => seen.length >= 2)
      assert.ok(seen.every((number, i) => i === 0 || number >= (seen[i - 1] as bigint)))
      leave()
      const { length } = seen
      const { number } = headOf(chain)
      await until(world, () => headOf(chain).number > number)
      assert.equal(seen.length, length)
    }),
    rule('gives up a submission whose signal aborts', async world => {
      const chain = await started(world)
      const network = await beginWith(world, 3)
      await until(world, () => chain.genesis() !== undefined)
      const reason = new Error('stopped')
      const submission = network.submission(network.next(network.first))
      const submitting = chain.submit(submission, AbortSignal.abort(reason))
      await settled(
        world,
        assert.rejects(submitting, error => error === reason),
      )
    }),
    rule('stops twice, and once more before it ever started', async world => {
      const [chain, other] = world.chains
      await other.stop()
      await started(world)
      await chain.stop()
      await chain.stop()
    }),
  ]
}

async function started(world: ChainWorld): Promise<Chain> {
  const [chain] = world.chains
  await settled(world, chain.start(new AbortController().signal))
  await until(world, () => chain.head() !== undefined)
  return chain
}

/** Starts a network whose committee has `size` members with known secrets. */
async function beginWith(world: ChainWorld, size: number) {
  const secrets = Array.from({ length: size }, (_, i) => {
    const secret = sha256(Uint8Array.of(1, i))
    // Below the group's order, whose first byte is 0x73.
    secret[0] = (secret[0] as number) & 0x3f
    return secret
  })
  const members: WeightedKey[] = secrets.map((secret, i) => ({
    key: bls.publicKey(secret),
    weight: 1_000 + i,
  }))
  const nextCommittee = committeeWord(members)
  const first = checkpointWith({ epoch: GENESIS_EPOCH, nextCommittee })
  const network = await settled(world, world.begin(first))
  const submission = (
    checkpoint: Checkpoint,
    { round = 0, absent = [] }: { round?: number; absent?: number[] } = {},
  ): Submission => {
    const root = checkpointRoot(checkpoint)
    const vote = { epoch: checkpoint.epoch, round: BigInt(round), checkpoint: root }
    const message = voteSigningRoot(vote, network)
    const present = secrets.filter((_, i) => !absent.includes(i))
    return {
      checkpoint: Checkpoint.serialize(checkpoint),
      round,
      committee: { members, absent },
      signature: bls.aggregateSignatures(present.map(secret => bls.sign(message, secret))),
    }
  }
  const next = (parent: Checkpoint) =>
    checkpointWith({
      epoch: BigInt.asUintN(64, parent.epoch + 1n),
      parent: checkpointRoot(parent),
      messages: sha256(parent.messages),
      nextCommittee,
    })
  return { first, next, submission, members, id: network }
}

function checkpointWith(fields: Partial<Checkpoint>): Checkpoint {
  const zero = new Uint8Array(32)
  return {
    epoch: 0n,
    base: { number: 0n, hash: zero },
    parent: zero,
    messages: listRoot([], ListDepth.messages),
    state: zero,
    payouts: listRoot([], ListDepth.payouts),
    penalties: listRoot([], ListDepth.penalties),
    deals: listRoot([], ListDepth.deals),
    counts: {
      messages: new Array<number>(COUNTED_TYPES).fill(0),
      verdicts: new Array<number>(3 * COUNTED_KINDS).fill(0),
    },
    earnedTotal: 0n,
    spentTotal: 0n,
    nextCommittee: zero,
    rulesVersion: 1,
    ...fields,
  }
}

async function land(world: ChainWorld, chain: Chain, submission: Submission): Promise<void> {
  await settled(world, chain.submit(submission, new AbortController().signal))
}

/** Code with which a submission is refused, or `landed`. */
async function refusal(world: ChainWorld, chain: Chain, submission: Submission): Promise<string> {
  return await codeOf(land(world, chain, submission))
}

async function codeOf(submitting: Promise<void>): Promise<string> {
  try {
    await submitting
    return 'landed'
  } catch (error) {
    assert.ok(error instanceof CairnError, String(error))
    return error.code
  }
}

function headOf(chain: Chain): BlockHeader {
  const head = chain.head()
  assert.ok(head !== undefined)
  return head
}

function lastEpoch(chain: Chain): number | undefined {
  return chain.checkpointsAt(headOf(chain).number).at(-1)?.epoch
}

function allBlocks(chain: Chain): BlockHeader[] {
  return Array.from({ length: Number(headOf(chain).number) + 1 }, (_, i) => {
    const block = chain.block(BigInt(i))
    assert.ok(block !== undefined)
    return block
  })
}

/** Lets blocks come until the condition holds. */
async function until(world: ChainWorld, holds: () => boolean): Promise<void> {
  for (let passes = 0; !holds(); passes++) {
    assert.ok(passes < PASSES_MAX, `${PASSES_MAX} blocks came and it does not hold: ${holds}`)
    await world.pass()
  }
}

/** Lets blocks come until the promise is settled. */
async function settled<T>(world: ChainWorld, promise: Promise<T>): Promise<T> {
  let done = false
  const finished = promise.finally(() => {
    done = true
  })
  finished.catch(() => done)
  for (let passes = 0; !done; passes++) {
    assert.ok(passes < PASSES_MAX, `${PASSES_MAX} blocks came and it is not settled`)
    await world.pass()
  }
  return await finished
}
