import { strict as assert } from 'node:assert'
import {
  Checkpoint,
  COUNTED_TYPES,
  checkpointRoot,
  compareBytes,
  decode,
  decodeState,
  drawCommittee,
  type Envelope,
  type Fee,
  hex,
  KERNEL_KIND,
  type Kind,
  type KindSettlement,
  ListDepth,
  listRoot,
  MessageSet,
  MessageType,
  messageId,
  PPM,
  type Profile,
  payoutLeaves,
  penaltyLeaves,
  ppm,
  type Settlement,
  settle,
  TOKEN,
  Verdict,
} from '@cairn/protocol'
import fc from 'fast-check'
import { addTo, bytes32, depositOf, entryOf, KernelWorld, type WorldInit } from '../kernel-world.ts'
import { ECHO, type EchoState, echo } from '../kinds/trivial.ts'

const NODES = 6

/** A kind that settles whatever it is told to. */
function scripted(script: Partial<KindSettlement<EchoState>>, code = ECHO): Kind<unknown> {
  const settled = { state: { passes: 0 }, verdicts: [], proven: new Map(), served: new Map() }
  const kind: Kind<EchoState> = {
    ...echo,
    code,
    settle: () => ({ ...settled, provenIsFees: false, fees: [], ...script }),
  }
  return kind as unknown as Kind<unknown>
}

function settled(script: Partial<KindSettlement<EchoState>>, init: WorldInit = {}): Settlement {
  const world = new KernelWorld({ ...init, kinds: [scripted(script)] })
  return settle(world.settlement([]))
}

function holds({ sums }: Settlement): boolean {
  return sums.payouts + sums.burned + sums.unminted === sums.emission + sums.fees
}

function earnedBy({ changes }: Settlement, account: Uint8Array): bigint {
  return changes.find(change => change.account === hex(account))?.earned ?? 0n
}

const payoutOf = (node: number) => entryOf(node).payout
const client = depositOf(0, 1_000n * TOKEN)
const deposits = [client]
const sum = (amounts: Iterable<bigint>) => [...amounts].reduce((total, one) => total + one, 0n)

function fee(node: number, amount: bigint): Fee {
  return { client: hex(client.key), node, amount }
}

describe('emission', () => {
  it('is not minted where nobody earns', () => {
    const result = settled({})
    assert.deepEqual(result.changes, [])
    assert.deepEqual(result.sums, {
      emission: 1_000n * TOKEN,
      fees: 0n,
      payouts: 0n,
      burned: 0n,
      unminted: 1_000n * TOKEN,
    })
  })

  it('pays base shares by what was proven, after votes, submission and duties', () => {
    const result = settled({
      proven: new Map([
        [1, 1n],
        [2, 2n],
      ]),
    })
    // 1,000 less 2 % and 1 % is 970; less 10 % for duties 873; of which 30 % is 261.9.
    assert.equal(earnedBy(result, payoutOf(1)), (2_619n * TOKEN) / 30n)
    assert.equal(earnedBy(result, payoutOf(2)), (2n * 2_619n * TOKEN) / 30n)
    assert.equal(result.sums.unminted, 1_000n * TOKEN - (2_619n * TOKEN) / 10n)
  })

  it('by fees is at most BURN_MATCH times what was burned of those fees', () => {
    const script = {
      proven: new Map([[1, 1n]]),
      served: new Map([[2, 500n * TOKEN]]),
      fees: [fee(2, 500n * TOKEN)],
    }
    const result = settled(script, { deposits })
    assert.equal(result.sums.burned, 50n * TOKEN)
    assert.equal(earnedBy(result, payoutOf(1)), (2_619n * TOKEN) / 10n)
    assert.equal(earnedBy(result, payoutOf(2)), 450n * TOKEN + 50n * TOKEN)
    const halved = settled(script, { deposits, profile: { burnMatch: PPM / 2n } })
    assert.equal(earnedBy(halved, payoutOf(2)), 450n * TOKEN + 25n * TOKEN)
  })

  it('by fees draws nothing of what was burned of the fees of another pot', () => {
    const script = {
      proven: new Map([[1, 500n * TOKEN]]),
      provenIsFees: true,
      served: new Map([[2, TOKEN]]),
      fees: [fee(1, 500n * TOKEN), fee(2, TOKEN)],
    }
    const result = settled(script, { deposits })
    assert.equal(earnedBy(result, payoutOf(1)), 500n * TOKEN)
    assert.equal(earnedBy(result, payoutOf(2)), TOKEN, 'the fee comes back, and no more')
    // Of fees that count for nothing nothing is matched, to nobody.
    const uncounted = settled({ ...script, served: new Map([[3, 1n]]) }, { deposits })
    assert.equal(earnedBy(uncounted, payoutOf(2)), (9n * TOKEN) / 10n)
    assert.equal(earnedBy(uncounted, payoutOf(3)), 0n)
  })

  it('by fees is never more than what was burned, however many fees were rounded', () => {
    const fees = Array.from({ length: 9 }, () => fee(2, 19n))
    const result = settled({ served: new Map([[2, 171n]]), fees }, { deposits })
    assert.equal(result.sums.burned, 9n)
    assert.equal(earnedBy(result, payoutOf(2)), 171n)
  })

  it('by fees is not bounded below its share when enough is burned', () => {
    const rich = [depositOf(0, 10_000n * TOKEN)]
    const script = { served: new Map([[2, 10_000n * TOKEN]]), fees: [fee(2, 10_000n * TOKEN)] }
    const result = settled(script, { deposits: rich })
    assert.equal(earnedBy(result, payoutOf(2)), 9_000n * TOKEN + (6_111n * TOKEN) / 10n)
  })

  it('pays one part of the duty share per on-time reveal and per agreeing attestation', () => {
    const world = new KernelWorld({ profile: { baseShare: 0n } })
    const challenge = world.challenge(0)
    const { challengers, verifiers } = world.base.duty(ECHO, 0)
    const dissenter = verifiers.at(-1) as number
    const said = [
      challenge,
      world.seal(challenge),
      ...verifiers.map(author =>
        world.attestation(challenge, author, {
          verdict: author === dissenter ? Verdict.inconclusive : Verdict.pass,
        }),
      ),
    ]
    const result = settle(world.settlement(said))
    const paid = verifiers.length - 1
    assert.equal(result.kinds[0]?.verdicts[0]?.verdict, Verdict.pass)
    for (const node of [...challengers.slice(0, 1), ...verifiers.slice(0, paid)]) {
      const share = (97n * TOKEN) / BigInt(paid + 1)
      const rest = earnedBy(result, payoutOf(node)) - share
      assert.ok(rest === 0n || rest === 1n)
    }
    assert.equal(earnedBy(result, payoutOf(dissenter)), 0n)
    assert.equal(result.sums.payouts, 97n * TOKEN)
  })

  it('pays nobody for a reveal that most verifiers saw too late', () => {
    const world = new KernelWorld()
    const challenge = world.challenge(0)
    const late = world.base
      .duty(ECHO, 0)
      .verifiers.map(author => world.attestation(challenge, author, { seenSlot: 9 }))
    const result = settle(world.settlement([challenge, world.seal(challenge), ...late]))
    assert.equal(result.kinds[0]?.verdicts[0]?.reason, 'late')
    assert.equal(result.sums.payouts, 0n)
  })

  it('pays nobody for a reveal that its kind does not count', () => {
    const { base } = new KernelWorld()
    const paid = (counts: boolean) => {
      const challenge = new KernelWorld().challenge(0)
      const verdict = {
        challenge: messageId(challenge),
        target: 0,
        verdict: Verdict.inconclusive,
        reason: 'scripted',
        facts: {},
        agreeing: [],
        counts,
      }
      const world = new KernelWorld({ kinds: [scripted({ verdicts: [verdict] })] })
      const seen = base.duty(ECHO, 0).verifiers.map(author => world.attestation(challenge, author))
      return settle(world.settlement([challenge, world.seal(challenge), ...seen])).sums.payouts
    }
    assert.ok(paid(true) > 0n)
    assert.equal(paid(false), 0n)
  })

  it('is divided between kinds by weight; a kind without one gets nothing', () => {
    const proven = new Map([[1, 1n]])
    const profile = { weights: { 5: 1, 6: 3 } }
    const kinds = [scripted({ proven }, 5), scripted({ proven }, 6), scripted({ proven })]
    const result = settle(new KernelWorld({ kinds, profile }).settlement([]))
    assert.deepEqual(
      result.kinds.map(({ earnings }) => earnings.get(1) ?? 0n),
      [(2_619n * TOKEN) / 40n, (3n * 2_619n * TOKEN) / 40n, 0n],
    )
  })

  it('adds up for nodes that are paid into one account', () => {
    const payout = new Uint8Array(20).fill(9)
    const proven = new Map([
      [1, 1n],
      [2, 1n],
    ])
    const result = settled({ proven }, { entry: () => ({ payout }) })
    assert.equal(result.changes.length, 1)
    assert.equal(earnedBy(result, payout), (2_619n * TOKEN) / 10n)
  })

  it('is paid to nobody outside of the base: such a result is a bug of the kind', () => {
    assert.throws(() => settled({ proven: new Map([[99, 1n]]) }), /only nodes of the base are paid/)
  })
})

describe('fees', () => {
  it('move from the deposit to the node that earned them, less the part burned', () => {
    const result = settled({ fees: [fee(3, 1_001n)] }, { deposits })
    assert.equal(result.sums.fees, 1_001n)
    assert.equal(result.sums.burned, 100n)
    assert.equal(earnedBy(result, payoutOf(3)), 901n)
    const spent = result.changes.find(({ account }) => account === hex(client.account))?.spent
    assert.equal(spent, 1_001n)
    assert.equal(result.checkpoint.spentTotal, 1_001n)
  })

  it('come from deposits that the base holds: others are a bug of the kind', () => {
    assert.throws(() => settled({ fees: [fee(3, 1n)] }), /deposit that the base holds/)
  })

  it('leave a client what its deposit had less what was spent, in this kind and before', () => {
    const seen: bigint[] = []
    const watching = (code: number, amount: bigint): Kind<unknown> => {
      const kind = scripted({ fees: [fee(1, amount)] }, code)
      return {
        ...kind,
        settle: input => {
          seen.push(input.available(hex(client.key)), input.available('00'))
          return kind.settle(input)
        },
      }
    }
    const kinds = [watching(5, 100n), watching(6, 20n)]
    const world = new KernelWorld({ kinds, deposits: [depositOf(0, 1_000n)] })
    const first = settle(world.settlement([]))
    const parent = { root: first.root, checkpoint: first.checkpoint, state: first.state }
    settle(world.settlement([], { parent, base: world.baseOf(5) }))
    assert.deepEqual(seen, [1_000n, 0n, 900n, 0n, 880n, 0n, 780n, 0n])
  })
})

describe('votes for the parent', () => {
  const parent = bytes32('parent')

  it('share VOTE_SHARE by weight', () => {
    const world = new KernelWorld({ entry: index => ({ bond: BigInt(100 * (index + 1)) * TOKEN }) })
    const result = settle(world.settlement([world.vote(0, parent), world.vote(2, parent)]))
    assert.equal(earnedBy(result, payoutOf(0)), 5n * TOKEN)
    assert.equal(earnedBy(result, payoutOf(2)), 15n * TOKEN)
    assert.equal(result.sums.payouts, 20n * TOKEN)
  })

  it('are paid once, however many rounds they were said in', () => {
    const world = new KernelWorld()
    const votes = [0, 1, 2].map(round => world.vote(0, parent, { round }))
    const result = settle(world.settlement([...votes, world.vote(1, parent)]))
    assert.equal(earnedBy(result, payoutOf(0)), 10n * TOKEN)
    assert.equal(earnedBy(result, payoutOf(1)), 10n * TOKEN)
  })

  it("are paid for the parent's root only, and to members of its committee that are active", () => {
    const world = new KernelWorld()
    const said = [world.vote(0, bytes32('another')), world.vote(1, parent), world.vote(2, parent)]
    const all = drawCommittee(world.base.nodes, world.profile, undefined)
    const gone = { index: 77, key: new Uint8Array(48), weight: 100 }
    const voters = [...all.filter(({ index }) => index !== 1), gone]
    const withGone = [...said, world.vote(77, parent)]
    const result = settle(world.settlement(withGone, { voters }))
    assert.deepEqual(
      result.changes.map(({ account, earned }) => [account, earned]),
      [[hex(payoutOf(2)), 20n * TOKEN]],
    )
  })

  it('of one member for two roots in one round are not paid', () => {
    const world = new KernelWorld()
    const result = settle(
      world.settlement([world.vote(0, parent), world.vote(0, bytes32('another'))]),
    )
    assert.equal(result.sums.payouts, 0n)
  })
})

describe('submitters', () => {
  it('share SUBMIT_REWARD by checkpoints landed', () => {
    const [one, other] = [new Uint8Array(20).fill(1), new Uint8Array(20).fill(2)] as const
    const world = new KernelWorld()
    const result = settle(world.settlement([], { landed: [one, other, one] }))
    // A third of 10 tokens leaves a remainder; two thirds the larger one.
    assert.equal(earnedBy(result, one), (20n * TOKEN + 1n) / 3n)
    assert.equal(earnedBy(result, other), (10n * TOKEN) / 3n)
    assert.equal(result.sums.payouts, 10n * TOKEN)
  })
})

const anyWeights = fc.dictionary(
  fc.nat({ max: NODES - 1 }).map(String),
  fc.bigInt({ min: 0n, max: 10n ** 24n }),
)
const asMap = (record: Record<string, bigint>) =>
  new Map(Object.entries(record).map(([node, weight]) => [Number(node), weight]))
const anyShare = fc.bigInt({ min: 0n, max: PPM })
const anyProfile = fc.record({
  emission: fc.bigInt({ min: 0n, max: 10n ** 24n }),
  baseShare: anyShare,
  dutyShare: anyShare,
  feeBurn: anyShare,
  burnMatch: anyShare,
  voteShare: fc.bigInt({ min: 0n, max: PPM / 2n }),
  submitReward: fc.bigInt({ min: 0n, max: PPM / 2n }),
})
const anyScript = fc.record({
  proven: anyWeights.map(asMap),
  served: anyWeights.map(asMap),
  provenIsFees: fc.boolean(),
  fees: fc.array(
    fc
      .tuple(fc.nat({ max: NODES - 1 }), fc.bigInt({ min: 0n, max: 50n * TOKEN }))
      .map(([node, amount]) => fee(node, amount)),
    { maxLength: 8 },
  ),
})
const anyVoters = fc.uniqueArray(fc.nat({ max: NODES - 1 }), { maxLength: 3 })
const anyLanded = fc.array(fc.uint8Array({ minLength: 20, maxLength: 20 }), { maxLength: 3 })

describe('settlement', () => {
  it('gives account of every unit, whatever was proven, served, paid and voted', () => {
    const script: Partial<KindSettlement<EchoState>> = {}
    const world = new KernelWorld({ nodes: NODES, deposits, kinds: [scripted(script)] })
    const votes = world.base.nodes.map(({ index }) => world.vote(index, bytes32('parent')))
    fc.assert(
      fc.property(anyProfile, anyScript, anyVoters, anyLanded, (profile, said, voters, landed) => {
        Object.assign(script, said)
        const base = new KernelWorld({ nodes: NODES, deposits, profile: profile as Profile }).base
        const input = world.settlement(
          voters.map(index => votes[index] as Envelope),
          { landed, base, kinds: [scripted(said)] },
        )
        const result = settle(input)
        const { sums, changes, kinds, checkpoint, state } = result
        assert.ok(holds(result))
        assert.ok(sums.unminted >= 0n && sums.burned >= 0n)
        assert.equal(sum(changes.map(({ earned }) => earned)), sums.payouts)
        assert.equal(sum(changes.map(({ spent }) => spent)), sums.fees)
        assert.equal(sum(said.fees.map(({ amount }) => amount)), sums.fees)
        // BURN_MATCH bounds what was minted in the kind for fees, and in each pot for its own.
        const share = profile.emission
        const kindEmission =
          share - ppm(share, profile.voteShare) - ppm(share, profile.submitReward)
        const minted = sum(kinds[0]?.earnings.values() ?? []) - (sums.fees - sums.burned)
        const duty = ppm(kindEmission, profile.dutyShare)
        const byProof = said.provenIsFees ? 0n : ppm(kindEmission - duty, profile.baseShare)
        assert.ok(minted <= byProof + ppm(sums.burned, profile.burnMatch))
        const matched = [said.served, ...(said.provenIsFees ? [said.proven] : [])]
          .map(weights => ppm(ppm(sum(weights.values()), profile.feeBurn), profile.burnMatch))
          .reduce((total, one) => total + one, 0n)
        assert.ok(minted <= byProof + matched)
        assert.equal(checkpoint.earnedTotal, sum(state.core.payouts.map(({ earned }) => earned)))
        assert.equal(checkpoint.spentTotal, sum(state.core.payouts.map(({ spent }) => spent)))
      }),
      { numRuns: 150 },
    )
  })

  it('adds to the cumulative totals of accounts, which stay in order', () => {
    const world = new KernelWorld({ deposits })
    let parent = { root: bytes32('parent'), checkpoint: world.genesis, state: world.state }
    const totals = new Map<string, bigint>()
    for (const epoch of [4, 5, 6]) {
      const script = { proven: new Map([[epoch % NODES, 1n]]), fees: [fee(1, BigInt(epoch))] }
      const result = settle(
        world.settlement([], { parent, base: world.baseOf(epoch), kinds: [scripted(script)] }),
      )
      for (const { account, earned } of result.changes) {
        totals.set(account, (totals.get(account) ?? 0n) + earned)
      }
      parent = { root: result.root, checkpoint: result.checkpoint, state: result.state }
    }
    const { payouts } = parent.state.core
    assert.deepEqual(new Map(payouts.map(({ account, earned }) => [hex(account), earned])), totals)
    assert.deepEqual(
      payouts,
      payouts.toSorted((a, b) => compareBytes(a.account, b.account)),
    )
    const paidOut = sum([...totals.values()])
    assert.equal(parent.checkpoint.earnedTotal, paidOut)
    assert.equal(parent.checkpoint.spentTotal, 15n)
    assert.deepEqual(
      parent.checkpoint.payouts,
      listRoot(payoutLeaves(parent.state), ListDepth.payouts),
    )
  })

  it('is the same whatever the order in which messages arrived', () => {
    const world = new KernelWorld({ nodes: 4, deposits })
    const liar = world.base.duty(ECHO, 0).verifiers[0] as number
    const said = [
      ...world.honest(),
      world.attestation(world.challenge(0), liar, { seenSlot: 9 }),
      world.tip(1, 0, 10n * TOKEN),
      world.tip(2, 0, 20n * TOKEN),
      world.vote(1, bytes32('parent')),
    ]
    const expected = settle(world.settlement(said))
    fc.assert(
      fc.property(fc.shuffledSubarray(said, { minLength: said.length }), shuffled => {
        const result = settle(world.settlement(shuffled))
        assert.equal(hex(result.root), hex(expected.root))
        assert.deepEqual(result.kinds, expected.kinds)
        assert.deepEqual(result.changes, expected.changes)
        assert.equal(result.penalties.length, 1)
      }),
      { numRuns: 10 },
    )
  })

  it('leaves what it is given unchanged, and gives the same twice', () => {
    const world = new KernelWorld({ deposits })
    const input = world.settlement(world.honest())
    const before = { state: input.parent.state.encode(), ids: [...input.set.ids()] }
    const first = settle(input)
    assert.deepEqual(settle(input).checkpoint, first.checkpoint)
    assert.deepEqual(input.parent.state.encode(), before.state)
    assert.deepEqual([...input.set.ids()], before.ids)
  })
})

describe('activity', () => {
  it('is the last epoch in which a node said anything, votes and contradictions included', () => {
    const activity = [
      { node: 0, epoch: 1 },
      { node: 4, epoch: 1 },
    ]
    const world = new KernelWorld({ activity, deposits })
    const parent = bytes32('parent')
    const result = settle(
      world.settlement([
        world.tip(3, 0, 1n),
        world.vote(1, parent),
        world.vote(4, parent),
        world.vote(4, bytes32('another')),
      ]),
    )
    assert.deepEqual(result.state.core.activity, [
      { node: 0, epoch: 1 },
      { node: 1, epoch: 4 },
      { node: 3, epoch: 4 },
      { node: 4, epoch: 4 },
    ])
  })

  it("is nobody's by a message without an author, such as a deal", () => {
    const world = new KernelWorld()
    const set = new MessageSet()
    const envelope = { type: MessageType.deal, body: Uint8Array.of(1), signature: new Uint8Array() }
    set.add({ id: messageId(envelope), envelope, value: { client: 1 } }, 'deal', 'standing')
    const { state, checkpoint } = settle(world.settlement([], { set }))
    assert.deepEqual(state.core.activity, [])
    assert.equal(checkpoint.counts.messages[MessageType.deal], 1)
  })
})

describe('penalties', () => {
  const world = new KernelWorld({ deposits, profile: { penaltyCap: PPM } })
  const [first, second] = [world.challenge(0), world.challenge(1)]
  const liar = world.base.duty(ECHO, 0).verifiers[0] as number
  const lies = [Verdict.pass, Verdict.fail].map(verdict =>
    world.attestation(first, liar, { verdict }),
  )
  const seals = (target: Envelope) => [
    world.seal(target),
    world.seal(target, { proofRoot: new Uint8Array(32) }),
  ]
  const lowest = (pair: readonly Envelope[]) => pair.map(messageId).sort(compareBytes)[0]

  it('are a tenth of the bond for two different attestations, with the lower id as evidence', () => {
    const result = settle(world.settlement([first, ...lies]))
    assert.deepEqual(result.penalties, [
      { node: liar, amount: 10n * TOKEN, evidence: lowest(lies) },
    ])
    assert.deepEqual(
      result.checkpoint.penalties,
      listRoot(penaltyLeaves(result.penalties), ListDepth.penalties),
    )
  })

  it('are for two seals and two votes in one round too, by ascending node', () => {
    const votes = ['one', 'another'].map(label => world.vote(5, bytes32(label)))
    const result = settle(
      world.settlement([second, first, ...seals(second), ...seals(first), ...votes]),
    )
    assert.deepEqual(
      result.penalties.map(({ node }) => node),
      [0, 1, 5],
    )
  })

  it('take no more of all bonds than the cap, in order of node index', () => {
    const capped = new KernelWorld({ deposits })
    const bonds = capped.base.nodes.reduce((sum, { bond }) => sum + bond, 0n)
    const votes = [0, 1, 5].flatMap(voter =>
      ['one', 'another'].map(label => capped.vote(voter, bytes32(label))),
    )
    const { penalties } = settle(capped.settlement(votes))
    const total = penalties.reduce((sum, { amount }) => sum + amount, 0n)
    assert.equal(total, (bonds * capped.profile.penaltyCap) / PPM)
    assert.deepEqual(
      penalties.map(({ node }) => node),
      [0, 1],
    )
  })

  it('are one per author and epoch, with the lowest evidence', () => {
    const votes = ['one', 'another'].map(label => world.vote(liar, bytes32(label)))
    const pairs = [lies, votes]
    const expected = pairs.map(pair => lowest(pair) as Uint8Array).sort(compareBytes)[0]
    for (const said of [pairs.flat(), pairs.toReversed().flat()]) {
      const { penalties } = settle(world.settlement([first, ...said]))
      assert.deepEqual(penalties, [{ node: liar, amount: 10n * TOKEN, evidence: expected }])
    }
  })

  it('are for what a kind found, one per node with the lowest evidence of all', () => {
    const low = new Uint8Array(32).fill(1)
    const high = new Uint8Array(32).fill(255)
    const offences = [
      { node: 2, evidence: high },
      { node: liar, evidence: low },
      { node: liar, evidence: high },
      { node: 99, evidence: low },
    ]
    const found = { node: 2, code: 'lied', facts: { times: 2 } }
    const kind = scripted({ penalties: offences, findings: [found] })
    const kinds = new KernelWorld({ deposits, profile: { penaltyCap: PPM }, kinds: [kind] })
    const votes = ['one', 'another'].map(label => kinds.vote(liar, bytes32(label)))
    const result = settle(kinds.settlement(votes))
    assert.deepEqual(
      result.penalties,
      [
        { node: 2, amount: 10n * TOKEN, evidence: high },
        { node: liar, amount: 10n * TOKEN, evidence: low },
      ].sort((a, b) => a.node - b.node),
    )
    assert.deepEqual(result.kinds[0]?.findings, [found])
  })

  it('are for no other contradiction, and for nobody unknown to the base', () => {
    const tips = [1n, 2n].map(amount => world.tip(2, 0, amount))
    const strangers = ['one', 'another'].map(label => world.vote(99, bytes32(label)))
    const result = settle(world.settlement([...tips, ...strangers]))
    assert.deepEqual(result.penalties, [])
    assert.equal(result.sums.fees, 0n)
  })

  it('are none for silence, lateness or dissent', () => {
    const { verifiers } = world.base.duty(ECHO, 0)
    const late = verifiers.map(author => world.attestation(first, author, { seenSlot: 9 }))
    assert.deepEqual(settle(world.settlement([first, ...late])).penalties, [])
  })
})

describe('checkpoint of an epoch', () => {
  const world = new KernelWorld({ deposits })
  const said = [...world.honest(), world.vote(1, bytes32('parent'))]
  const input = world.settlement(said)
  const result = settle(input)
  const { checkpoint } = result

  it('names epoch, base, parent, next committee and rules', () => {
    assert.equal(checkpoint.epoch, 4n)
    assert.deepEqual(checkpoint.base, world.base.block)
    assert.deepEqual(checkpoint.parent, bytes32('parent'))
    assert.deepEqual(checkpoint.nextCommittee, bytes32('next committee'))
    assert.equal(checkpoint.rulesVersion, world.profile.rulesVersion)
  })

  it('commits to messages, state and payouts, each of which has the root it names', () => {
    assert.deepEqual(checkpoint.messages, listRoot(input.set.ids(), ListDepth.messages))
    assert.deepEqual(checkpoint.state, result.state.root())
    const carried = decodeState(result.state.encode(), world.kinds)
    assert.deepEqual(carried.root(), checkpoint.state)
    assert.deepEqual(checkpoint.payouts, listRoot(payoutLeaves(carried), ListDepth.payouts))
    assert.deepEqual(
      result.root,
      checkpointRoot(decode(Checkpoint, Checkpoint.serialize(checkpoint))),
    )
  })

  it('counts messages by type and verdicts by kind', () => {
    const counts = new Map<number, number>()
    for (const { type } of said) counts.set(type, (counts.get(type) ?? 0) + 1)
    for (const [type, count] of checkpoint.counts.messages.entries()) {
      assert.equal(count, counts.get(type) ?? 0)
    }
    const expected = new Array<number>(24).fill(0)
    expected[3 * ECHO] = counts.get(MessageType.challenge) as number
    assert.deepEqual(checkpoint.counts.verdicts, expected)
    assert.equal(checkpoint.counts.verdicts[3 * KERNEL_KIND], 0)
  })

  it('counts messages of types beyond its places together', () => {
    const set = new MessageSet()
    for (const type of [COUNTED_TYPES, COUNTED_TYPES + 1, COUNTED_TYPES - 1]) {
      const envelope = { type, body: Uint8Array.of(type), signature: new Uint8Array() }
      set.add({ id: messageId(envelope), envelope, value: {} }, `type ${type}`, 'standing')
    }
    const counted = settle(new KernelWorld().settlement([], { set })).checkpoint.counts.messages
    assert.equal(counted.length, COUNTED_TYPES)
    assert.deepEqual([counted[0], counted[COUNTED_TYPES - 1]], [2, 1])
  })

  it('has no deals, or those of the kind that has them', () => {
    assert.deepEqual(checkpoint.deals, listRoot([], ListDepth.deals))
    const kind = { ...scripted({ state: { passes: 7 } }), dealsRoot: passesRoot }
    const withDeals = new KernelWorld({ kinds: [kind] })
    assert.deepEqual(settle(withDeals.settlement([])).checkpoint.deals, passesRoot({ passes: 7 }))
  })

  it('takes messages that the ledger adds one by one', () => {
    const set = new MessageSet()
    for (const envelope of said.toSorted((a, b) => a.type - b.type)) addTo(set, envelope, world)
    assert.deepEqual(settle({ ...input, set }).root, result.root)
  })
})

function passesRoot(state: unknown): Uint8Array {
  return bytes32('deals', (state as EchoState).passes)
}
