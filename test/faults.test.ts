/** What faults do to a network, and how it mends. Each scenario has a network of its own. */
import { strict as assert } from 'node:assert'
import { type Attestation, MessageType, type Vote } from '@cairn/protocol'
import type { TestnetInit } from '@cairn/testnet'
import {
  accepted,
  adopted,
  begun,
  presentEpoch,
  quickTestnet,
  type Running,
  until,
} from './network.ts'

const VICTIM = 'node4'
/** For what needs an epoch or two, and a follower that asks ever more rarely, ms. */
const SOON_MS = 60_000
/** Several dozen epochs: what waits for none of them is broken, ms. */
const TEST_MS = 240_000
/** Three networks start at the same time. */
const PREPARATION_S = 9

describe('a network in trouble', function () {
  this.timeout(TEST_MS)
  const networks: Running[] = []
  /** They mostly wait, so they run side by side; each test says how one of them went. */
  const outcomes = new Map<string, Promise<void>>()

  before(async () => {
    const kinds = { stopped: 1, chainless: 2, away: 3 } satisfies Record<string, number>
    const started = Object.entries(kinds).map(([, seed]) => start({ seed }))
    const settled = await Promise.allSettled(started)
    for (const one of settled) if (one.status === 'fulfilled') networks.push(one.value)
    const [first, second, third] = await Promise.all(started)
    if (first === undefined || second === undefined || third === undefined) assert.fail()
    const stopped = stopAndStart(first)
    outcomes.set('stopped', stopped)
    outcomes.set(
      'cut',
      stopped.then(() => cutAndHeal(first)),
    )
    outcomes.set('chainless', takeChain(second))
    outcomes.set('away', takeEveryChain(third))
    // Whoever waits for one gets to know; until then nobody is waiting.
    for (const outcome of outcomes.values()) outcome.catch(() => undefined)
  })
  after(() => Promise.all(networks.map(({ end }) => end())))

  it('goes on without a node that is stopped, which catches up and votes again', () =>
    outcomes.get('stopped'))
  it('goes on without a node that is cut off, which catches up when healed', () =>
    outcomes.get('cut'))
  it('goes on while one node has no chain, which says so and takes no duties', () =>
    outcomes.get('chainless'))
  it('goes on agreeing without any chain, and lands in order when it is back', () =>
    outcomes.get('away'))
})

function start(init: Partial<TestnetInit>): Promise<Running> {
  return quickTestnet({ preparationS: PREPARATION_S, ...init })
}

async function stopAndStart(running: Running): Promise<void> {
  const { testnet } = running
  const before = testnet.daemon(VICTIM).node
  await adopted(before, 0)
  await testnet.fault('stop', [VICTIM])
  const { epoch: missed } = await accepted(testnet, presentEpoch(testnet))
  assert.ok(!testnet.monitor.recomputedBy(missed).includes(VICTIM))

  await testnet.fault('start', [VICTIM])
  const { node } = testnet.daemon(VICTIM)
  if (node.checkpointer.adopted < missed) await adopted(node, missed)
  assert.equal((await node.settlements.recompute(missed))?.equal, true)
  assert.equal(node.mutedUntil, 0, 'it was closed cleanly')
  await voteOf(running, missed + 1)
  assert.deepEqual(testnet.monitor.violations, [])
}

async function cutAndHeal(running: Running): Promise<void> {
  const { testnet } = running
  const { node, network, view } = testnet.daemon(VICTIM)
  await testnet.fault('partition', [VICTIM])
  assert.deepEqual(network.peers(), [])
  const landed = await accepted(testnet, presentEpoch(testnet))
  assert.ok(node.checkpointer.adopted < landed.epoch, 'it has not the messages')

  const caughtUp = adopted(node, landed.epoch)
  await testnet.fault('heal', [])
  assert.deepEqual((await caughtUp).accepted.root, landed.root)
  await voteOf(running, landed.epoch + 1)
  await until(
    SOON_MS,
    () => view.status(),
    status => status.ready && status.peers === 3,
  )
  assert.deepEqual(testnet.monitor.violations, [], 'nobody is penalised for being away')
}

async function takeChain({ testnet, file }: Running): Promise<void> {
  await accepted(testnet, 0)
  const { view, chain, node } = testnet.daemon(VICTIM)
  await testnet.fault('rpc-down', [VICTIM])
  await until(
    SOON_MS,
    () => chain.healthy(),
    healthy => !healthy,
  )
  // The cause alone, with what to do about it.
  const { reasons } = await until(
    SOON_MS,
    () => view.status(),
    status => !status.ready && String(status.reasons.map(({ code }) => code)) === 'chain',
  )
  assert.match(reasons[0]?.next ?? '', /chain\.rpc/)
  // The next epoch rests on a block that it may have seen; the one after that does not.
  const baseless = presentEpoch(testnet) + 2
  const landed = await accepted(testnet, baseless)
  assert.equal(node.epochs.base(baseless), undefined)
  const index = file.nodes.find(({ name }) => name === VICTIM)?.index
  const set = testnet.daemon('node1').node.epochs.record(baseless)?.set
  const authors = [1, 2]
    .flatMap(kind => set?.ofType<Attestation>(MessageType.attestation, kind) ?? [])
    .map(({ value }) => value.author)
  assert.ok(authors.length > 0 && !authors.some(author => author === index))

  const caughtUp = adopted(node, landed.epoch)
  await testnet.fault('rpc-up', [VICTIM])
  assert.deepEqual((await caughtUp).accepted.root, landed.root)
  await until(
    SOON_MS,
    () => view.status(),
    status => status.ready,
  )
  assert.deepEqual(testnet.monitor.violations, [])
}

async function takeEveryChain(running: Running): Promise<void> {
  const { testnet } = running
  const names = testnet.members.map(({ name }) => name)
  const landed: number[] = []
  const { epoch: last } = await accepted(testnet, 0)
  const first = last + 1
  testnet.monitor.onEpoch(({ epoch }) => landed.push(epoch))
  const { node, chain } = testnet.daemon('node1')
  await testnet.fault('rpc-down', names)
  // Its base was known, so it is voted for without the chain.
  await begun(testnet, first + 2)
  const votes = await until(
    SOON_MS,
    () => votesFor(running, first),
    found => found.length >= 3,
  )
  assert.equal(new Set(votes.map(({ checkpoint }) => String(checkpoint))).size, 1)
  assert.equal(chain.healthy(), false)
  assert.deepEqual(landed, [], 'nothing lands meanwhile')
  assert.ok(node.checkpointer.adopted < first)

  const again = accepted(testnet, presentEpoch(testnet) + 1)
  await testnet.fault('rpc-up', names)
  const { epoch } = await again
  assert.deepEqual(
    landed,
    Array.from({ length: epoch - first + 1 }, (_, place) => first + place),
  )
  assert.deepEqual(testnet.monitor.violations, [])
}

/** Resolves when the others hold the victim's vote for an epoch, `from` or later. */
async function voteOf({ testnet, file }: Running, from: number): Promise<void> {
  const index = file.nodes.find(({ name }) => name === VICTIM)?.index
  const { ingest } = testnet.daemon('node1').node
  await new Promise<void>(resolve => {
    ingest.onArrival(({ type, message }) => {
      const vote = message.value as Vote
      if (type === MessageType.vote && vote.author === index && vote.epoch >= from) resolve()
    })
  })
}

function votesFor({ testnet }: Running, epoch: number): Vote[] {
  const { epochs } = testnet.daemon('node1').node
  const votes = epochs.record(epoch + 1)?.set.ofType<Vote>(MessageType.vote, 0) ?? []
  return votes.map(({ value }) => value).filter(vote => vote.epoch === epoch)
}
