/** A vote on the chain of a testnet of real daemons: who takes it up when, and what is paid then. */
import { strict as assert } from 'node:assert'
import { cairnGovernorAbi, parametersAbi, parameterWord, testAccounts } from '@cairn/contracts'
import type { AcceptedCheckpoint, Json, PreviewView } from '@cairn/node'
import {
  Checkpoint,
  challengeRecords,
  decode,
  equalBytes,
  hex,
  Preview,
  type Profile,
  type Settlement,
  type SettlementInput,
  TESTNET_PROFILE,
} from '@cairn/protocol'
import {
  createPublicClient,
  createWalletClient,
  encodeFunctionData,
  type Hex,
  http,
  keccak256,
  stringToHex,
} from 'viem'
import { cairn, jsonOf } from '../packages/cli/test/process.ts'
import { accepted, quickTestnet, type Running, until } from './network.ts'

/** Coverage gets three parts of four. */
const VOTED = { 'weight.2': 3n, dutyShare: 150_000n }
const PPM = 1_000_000n
/** More than anybody spends here. */
const DEPOSIT = 10n ** 27n
/** Settled before the vote, and under it. */
const BEFORE = 2
const AFTER = 3
/** Until the last of the nodes has an epoch too. */
const RECOMPUTED_MS = 60_000

/** As short as four daemons need to cast their votes on a busy machine, s. */
const TERMS = { votingPeriod: 15, lateExtension: 3, timelockDelay: 2n }
const VOTE_MS = 120_000
/** Of OpenZeppelin's governor. */
const STATES = { active: 1, succeeded: 4 } as const
const IN_FAVOUR = 1

interface Seen {
  readonly running: Running
  /** The first epoch whose base comes after the vote's last block, by the chain's times. */
  readonly first: number
  readonly landed: readonly AcceptedCheckpoint[]
  /** By node, what each epoch ran on. */
  readonly profiles: ReadonlyMap<string, ReadonlyMap<number, Profile>>
  /** What the command said before the vote. */
  readonly foretold: Json<PreviewView>
}

describe('a vote on how the emission is split', function () {
  this.timeout(400_000)

  let running: Running | undefined
  let seen: Seen
  before(async () => {
    running = await quickTestnet({ parameters: TERMS })
    seen = await voted(running)
  })
  after(() => running?.end())

  it('is taken up by every node in the same epoch', () => {
    const { running, first, profiles } = seen
    const { profile } = running.testnet.manifest
    const then = { ...profile, weights: { 1: 1, 2: 3 }, dutyShare: 150_000n }
    assert.equal(profiles.size, 4)
    for (const [name, own] of profiles) {
      for (const [epoch, found] of own) {
        assert.deepEqual(found, epoch < first ? profile : then, `${name}, epoch ${epoch}`)
      }
      assert.ok(own.has(first - 1) && own.has(first), name)
    }
  })

  it('keeps no epoch from being checkpointed, nor any node from the same root', async () => {
    const { running, first, landed } = seen
    assert.deepEqual(
      landed.map(({ epoch }) => epoch),
      Array.from({ length: first + AFTER }, (_, epoch) => epoch),
    )
    const { monitor } = running.testnet
    assert.deepEqual(monitor.violations, [])
    for (let epoch = first - 1; epoch < first + AFTER; epoch++) {
      await until(
        RECOMPUTED_MS,
        () => monitor.recomputedBy(epoch),
        nodes => nodes.length === 4,
      )
    }
  })

  it('moves every payout to the last unit', async () => {
    const { first, landed } = seen
    let earning = 0
    for (let epoch = Math.max(0, first - BEFORE); epoch < first + AFTER; epoch++) {
      const { input, settlement } = await settledOf(seen, epoch)
      const [weights, duty] = epoch < first ? [[1n, 1n], 100_000n] : [[1n, 3n], 150_000n]
      const expected = payoutsOf(input, settlement, { weights: weights as [bigint, bigint], duty })
      const found = settlement.changes.filter(({ earned }) => earned > 0n)
      assert.deepEqual(new Map(found.map(({ account, earned }) => [account, earned])), expected)
      // The chain holds the same sum.
      const [was, is] = [epoch - 1, epoch].map(at => checkpointOf(landed, at)?.earnedTotal ?? 0n)
      const sum = [...expected.values()].reduce((total, amount) => total + amount, 0n)
      assert.equal((is as bigint) - (was as bigint), sum)
      const kinds = settlement.kinds.map(({ earnings }) => [...earnings.values()])
      if (epoch >= first && kinds.every(all => all.some(amount => amount > 0n))) earning++
    }
    assert.ok(earning > 0, 'both kinds earned after the vote')
  })

  it('was foretold by the preview: the same messages under it give what was paid', async () => {
    const { running, first } = seen
    const { profile } = running.testnet.manifest
    for (let epoch = first; epoch < first + AFTER; epoch++) {
      const { input, settlement } = await settledOf(seen, epoch)
      const preview = new Preview(profile, new Map(Object.entries(VOTED)))
      preview.add({ ...input, base: input.base.under(profile) })
      assert.deepEqual(preview.sums().after, settlement.sums)
      const total = preview.earners().reduce((sum, { after }) => sum + after, 0n)
      assert.equal(total, settlement.sums.payouts)
      const view = running.testnet.daemon('node2').view
      const back = await view.recompute(epoch)
      assert.equal(back?.equal, true)
    }
  })

  it('was previewed by the command from the epochs before, as their own sums are', async () => {
    const { foretold, first } = seen
    const { changes, earners, first: from, last } = foretold
    assert.deepEqual(changes, [
      { name: 'weight.2', before: '1', after: '3' },
      { name: 'dutyShare', before: '100000', after: '150000' },
    ])
    assert.ok(last < first)
    const weights: [bigint, bigint] = [1n, 3n]
    let [before, after] = [0n, 0n]
    for (let epoch = from; epoch <= last; epoch++) {
      const { input, settlement } = await settledOf(seen, epoch)
      before += settlement.sums.payouts
      for (const amount of payoutsOf(input, settlement, { weights, duty: 150_000n }).values()) {
        after += amount
      }
    }
    assert.deepEqual([foretold.before.payouts, foretold.after.payouts], [`${before}`, `${after}`])
    const sums = (side: 'before' | 'after') =>
      earners.reduce((sum, earner) => sum + BigInt(earner[side]), 0n)
    assert.deepEqual([sums('before'), sums('after')], [before, after])
    const gain = (source: string) =>
      earners
        .flatMap(({ shares }) => shares.filter(share => share.source === source))
        .reduce((sum, share) => sum + BigInt(share.after) - BigInt(share.before), 0n)
    assert.ok(gain('coverage') > 0n && gain('storage') < 0n)
    assert.equal(gain('votes'), 0n)
  })
})

async function voted(running: Running): Promise<Seen> {
  const { testnet, file } = running
  const landed: AcceptedCheckpoint[] = []
  const profiles = new Map<string, Map<number, Profile>>()
  testnet.monitor.onEpoch(found => landed.push(found))
  for (const { name, daemon } of testnet.running()) {
    const own = new Map<number, Profile>()
    profiles.set(name, own)
    daemon.node.epochs.onBase(base => void own.set(base.epoch, base.profile))
  }
  await accepted(testnet, BEFORE)
  const set = Object.entries(VOTED).flatMap(([name, value]) => [
    '--set',
    `${name}=${name === 'dutyShare' ? '0.15' : value}`,
  ])
  const dataDir = file.nodes[0]?.dataDir ?? ''
  const asked = await cairn(['vote', 'preview', ...set, '--json', '--data-dir', dataDir])
  const at = await carriedOut(running)
  const { genesis, profile } = testnet.manifest
  const epochS = (profile.slotMs * profile.slotsPerEpoch) / 1_000
  // The base of e is the last block before the start of e - lookback.
  const first = Math.floor((at - genesis) / epochS) + 1 + profile.lookback
  await accepted(testnet, first + AFTER - 1)
  const end = landed.findIndex(({ epoch }) => epoch === first + AFTER - 1)
  return {
    running,
    first,
    landed: landed.slice(0, end + 1),
    profiles,
    foretold: jsonOf<Json<PreviewView>>(asked),
  }
}

/**
 * Proposed by one operator, voted for by all with their bonds, queued and executed; resolves with the
 * time of the block that sets all values, seconds since 1970.
 */
async function carriedOut({ testnet }: Running): Promise<number> {
  const transport = http(testnet.rpcUrl)
  const client = createPublicClient({ transport, pollingInterval: 50 })
  const { governor, parameters } = testnet.contracts
  const contract = { address: governor, abi: cairnGovernorAbi } as const
  const operators = testAccounts(testnet.members.length).map(({ account }) =>
    createWalletClient({ account, transport }),
  )
  const [first] = operators
  assert.ok(first !== undefined)
  const description = 'Pay coverage three parts of four'
  const targets = Object.keys(VOTED).map(() => parameters)
  const values = targets.map(() => 0n)
  const calls = Object.entries(VOTED).map(([name, value]) =>
    encodeFunctionData({
      abi: parametersAbi,
      functionName: 'set',
      args: [parameterWord(name), value],
    }),
  )
  const done = async (hash: Hex) => {
    const { status, blockNumber } = await client.waitForTransactionReceipt({ hash })
    assert.equal(status, 'success')
    return Number((await client.getBlock({ blockNumber })).timestamp)
  }
  const proposal = [targets, values, calls] as const
  const hashed = [...proposal, keccak256(stringToHex(description))] as const
  const chain = null
  await done(
    await first.writeContract({
      ...contract,
      functionName: 'propose',
      args: [...proposal, description],
      chain,
    }),
  )
  const id = await client.readContract({
    ...contract,
    functionName: 'hashProposal',
    args: hashed,
  })
  const reaches = (wanted: number) =>
    until(
      VOTE_MS,
      () => client.readContract({ ...contract, functionName: 'state', args: [id] }),
      state => state === wanted,
    )
  await reaches(STATES.active)
  // The one that reaches the quorum costs more than each would alone.
  const vote = {
    ...contract,
    functionName: 'castVote',
    args: [id, IN_FAVOUR],
    chain,
    gas: 500_000n,
  } as const
  await Promise.all(operators.map(async wallet => done(await wallet.writeContract(vote))))
  await reaches(STATES.succeeded)
  await done(await first.writeContract({ ...contract, functionName: 'queue', args: hashed, chain }))
  const due = await client.readContract({ ...contract, functionName: 'proposalEta', args: [id] })
  await until(
    VOTE_MS,
    async () => (await client.getBlock()).timestamp,
    now => now >= due,
  )
  const execution = { ...contract, functionName: 'execute', args: hashed, chain } as const
  return await done(await first.writeContract(execution))
}

/** From the ledger of a daemon that is not asked for anything else. */
async function settledOf(
  { running, landed }: Seen,
  epoch: number,
): Promise<{ input: SettlementInput; settlement: Settlement }> {
  const { settlements } = running.testnet.daemon('node3').node
  const input = await settlements.input(epoch)
  const redone = await settlements.recompute(epoch)
  assert.ok(input !== undefined && redone !== undefined, `epoch ${epoch} is all here`)
  const root = landed.find(found => found.epoch === epoch)?.root
  assert.ok(root !== undefined && equalBytes(redone.settlement.root, root))
  return { input, settlement: redone.settlement }
}

function checkpointOf(landed: readonly AcceptedCheckpoint[], epoch: number) {
  const found = landed.find(one => one.epoch === epoch)
  return found && decode(Checkpoint, found.checkpoint)
}

/**
 * The sum redone by hand from what was proven, served, said and paid: who gets what of an epoch, by
 * account. All other numbers are the founding ones.
 */
function payoutsOf(
  { base, kinds, set, parent, voters, landed }: SettlementInput,
  { kinds: results, sums }: Settlement,
  { weights, duty }: { weights: [bigint, bigint]; duty: bigint },
): Map<string, bigint> {
  const { emission, baseShare, feeBurn, voteShare, submitReward } = TESTNET_PROFILE
  const part = (amount: bigint, share: bigint) => (amount * share) / PPM
  const paid = new Map<string, bigint>()
  const pay = (account: string, amount: bigint) => {
    if (amount > 0n) paid.set(account, (paid.get(account) ?? 0n) + amount)
  }
  const accountOf = (node: number) => hex(base.node(node)?.payout as Uint8Array)
  const payNodes = (amount: bigint, parts: ReadonlyMap<number, bigint>) => {
    for (const [node, share] of shared(amount, parts)) pay(accountOf(node), share)
  }

  const votes = part(emission, voteShare)
  const landing = part(emission, submitReward)
  const weightOf = new Map(voters.map(({ index, weight }) => [index, BigInt(weight)]))
  const voting = new Map<number, bigint>()
  for (const { value } of set.messages()) {
    const vote = value as { author: number; round?: number; checkpoint?: Uint8Array }
    const isVote = vote.round !== undefined && vote.checkpoint instanceof Uint8Array
    if (!isVote || !equalBytes(vote.checkpoint as Uint8Array, parent.root)) continue
    const weight = weightOf.get(vote.author)
    if (weight !== undefined) voting.set(vote.author, weight)
  }
  payNodes(votes, voting)
  const landers = new Map<string, bigint>()
  for (const account of landed) {
    landers.set(hex(account), (landers.get(hex(account)) ?? 0n) + 1n)
  }
  for (const [account, share] of shared(landing, landers)) pay(account, share)

  const byKind = shared(emission - votes - landing, new Map(weights.map((w, i) => [i + 1, w])))
  let fees = 0n
  for (const [i, kind] of kinds.entries()) {
    const result = results[i]
    assert.ok(result !== undefined && result.kind === kind.code)
    const whole = byKind.get(kind.code) ?? 0n
    const duties = new Map<number, bigint>()
    const one = (node: number) => duties.set(node, (duties.get(node) ?? 0n) + 1n)
    const uncounted = result.verdicts.filter(({ counts }) => counts === false)
    for (const { id, onTime, value } of challengeRecords(base, kind, set)) {
      const counts = !uncounted.some(({ challenge }) => equalBytes(challenge, id))
      if (onTime && counts) one(value.author)
    }
    for (const { agreeing } of result.verdicts) for (const node of agreeing) one(node)
    const forDuty = part(whole, duty)
    payNodes(forDuty, duties)
    const pot = part(whole - forDuty, baseShare)
    if (kind.name === 'coverage') {
      // Nobody bought a packet.
      assert.equal(result.served.size, 0)
      payNodes(pot, result.proven)
      continue
    }
    // Each fee is paid less its burn; the pots give as much as was burned of what they go by.
    const challenges = challengeRecords(base, kind, set)
    const state = parent.state.of(kind)
    const available = () => DEPOSIT
    const own = kind.settle({ base, state, challenges, messages: set, available })
    let room = 0n
    for (const { node, amount } of own.fees) {
      fees += amount
      room += part(amount, feeBurn)
      pay(accountOf(node), amount - part(amount, feeBurn))
    }
    const pots = [
      { most: pot, parts: result.proven },
      { most: whole - forDuty - pot, parts: result.served },
    ]
    for (const { most, parts } of pots) {
      const matched = part(
        [...parts.values()].reduce((sum, amount) => sum + amount, 0n),
        feeBurn,
      )
      const amount = [most, matched, room].toSorted((x, y) => (x < y ? -1 : 1))[0] as bigint
      payNodes(amount, parts)
      room -= amount
    }
  }
  assert.equal(fees, sums.fees)
  return paid
}

/** The whole amount by largest remainder, ties by ascending key. */
function shared<K extends number | string>(
  amount: bigint,
  parts: ReadonlyMap<K, bigint>,
): Map<K, bigint> {
  const total = [...parts.values()].reduce((sum, weight) => sum + weight, 0n)
  if (total === 0n) return new Map()
  const exact = [...parts].map(([key, weight]) => ({
    key,
    floor: (amount * weight) / total,
    rest: (amount * weight) % total,
  }))
  let left = amount - exact.reduce((sum, { floor }) => sum + floor, 0n)
  const inTurn = exact.toSorted((a, b) =>
    a.rest === b.rest ? (a.key < b.key ? -1 : 1) : a.rest > b.rest ? -1 : 1,
  )
  return new Map(
    inTurn.map(({ key, floor }) => {
      const more = left > 0n ? 1n : 0n
      left -= more
      return [key, floor + more]
    }),
  )
}
