import { strict as assert } from 'node:assert'
import { hex, type Kind, PPM, Preview, parameterOf, settle, TOKEN } from '@cairn/protocol'
import { bytes32, depositOf, entryOf, KernelWorld, type WorldInit } from '../kernel-world.ts'
import { ECHO, echo } from '../kinds/trivial.ts'

const NODES = 6
/** Two kinds by the codes of those that have a weight of their own in the vote. */
const twin = (code: number, name: string): Kind<unknown> =>
  ({
    ...echo,
    code,
    name,
    // Kind 2 pays nodes 0 and 1, kind 1 all others.
    settle: (input: Parameters<typeof echo.settle>[0]) => ({
      ...echo.settle(input),
      proven: new Map(
        input.base.nodes
          .filter(({ index }) => index < 2 === (code === 2))
          .map(({ index }) => [index, BigInt(index + 1)]),
      ),
      served: new Map(),
    }),
  }) as unknown as Kind<unknown>

const profile = { weights: { 1: 1, 2: 1 } }
const nameOf = (operator: number) => hex(entryOf(operator).operator)

function worldOf(init: WorldInit = {}): KernelWorld {
  return new KernelWorld({
    nodes: NODES,
    kinds: [twin(1, 'one'), twin(2, 'two')],
    profile,
    ...init,
  })
}

function previewOf(world: KernelWorld, values: Record<string, bigint>, epochs = 1) {
  const preview = new Preview(world.profile, new Map(Object.entries(values)))
  for (let i = 0; i < epochs; i++) {
    const base = world.baseOf(4 + i)
    preview.add(world.settlement([], { base, landed: [bytes32('lander').slice(0, 20)] }))
  }
  return preview
}

describe('a preview', () => {
  it('finds no change in values that are as they were', () => {
    const world = worldOf()
    const { weights, feeBurn } = world.profile
    const preview = previewOf(world, { 'weight.2': BigInt(weights[2] ?? 0), feeBurn })
    const { before, after } = preview.sums()
    assert.deepEqual(before, after)
    for (const earner of preview.earners()) assert.equal(earner.before, earner.after)
  })

  it('moves the emission with the weights, to the last unit, and names who gains first', () => {
    const world = worldOf()
    const preview = previewOf(world, { 'weight.2': 2n })
    const rest = (world.profile.emission * (PPM - 30_000n)) / PPM
    // Of each kind's part: what is left after the part for duties, of that the base share.
    const proven = (amount: bigint) => {
      const left = amount - amount / 10n
      return (left * 3n) / 10n
    }
    const { before, after } = preview.sums()
    const landing = world.profile.emission / 100n
    assert.equal(before.payouts, 2n * proven(rest / 2n) + landing)
    assert.equal(after.payouts, proven(rest / 3n) + proven(rest - rest / 3n) + landing)
    const earners = preview.earners()
    assert.deepEqual(
      earners.map(({ earner }) => earner),
      [
        nameOf(1),
        nameOf(0),
        hex(bytes32('lander').slice(0, 20)),
        nameOf(2),
        nameOf(3),
        nameOf(4),
        nameOf(5),
      ],
    )
    for (const { earner, before: was, after: would } of earners) {
      const index = [0, 1, 2, 3, 4, 5].find(node => nameOf(node) === earner)
      if (index === undefined) assert.equal(was, would)
      else assert.ok(index < 2 ? would > was : would < was)
    }
  })

  it('gives what a settlement under the other profile gives, and leaves the first one alone', () => {
    const world = worldOf()
    const other = worldOf({ profile: { weights: { 1: 1, 2: 7 }, baseShare: 350_000n } })
    const landed = [bytes32('lander').slice(0, 20)]
    const was = settle(world.settlement([], { landed }))
    const would = settle(world.settlement([], { landed, base: other.base }))
    const preview = previewOf(world, { 'weight.2': 7n, baseShare: 350_000n })
    assert.deepEqual(preview.sums(), { before: was.sums, after: would.sums })
    assert.deepEqual(settle(world.settlement([], { landed })).root, was.root)
  })

  it('adds epochs up, so that all earners together have what was paid', () => {
    const world = worldOf()
    const one = previewOf(world, { voteShare: 30_000n })
    const three = previewOf(world, { voteShare: 30_000n }, 3)
    for (const side of ['before', 'after'] as const) {
      assert.equal(three.sums()[side].payouts, 3n * one.sums()[side].payouts)
      const earned = three.earners().reduce((sum, earner) => sum + earner[side], 0n)
      assert.equal(earned, three.sums()[side].payouts)
      for (const earner of three.earners()) {
        const shares = earner.shares.reduce((sum, share) => sum + share[side], 0n)
        assert.equal(shares, earner[side])
      }
    }
  })

  it('counts votes and fees of real messages, and whoever lands as the operator it belongs to', () => {
    const deposit = depositOf(1, 100n * TOKEN)
    const world = new KernelWorld({
      nodes: NODES,
      deposits: [deposit],
      profile: { weights: { 1: 1, [ECHO]: 1 } },
    })
    const said = world.honest()
    const input = world.settlement([...said, world.tip(2, 1, 10n * TOKEN)], {
      landed: [entryOf(3).payout],
    })
    const votes = [0, 1, 2].map(node => world.vote(node, input.parent.root))
    const preview = new Preview(
      world.profile,
      new Map([
        ['feeBurn', 200_000n],
        ['voteShare', 10_000n],
      ]),
    )
    preview.add({ ...input, set: world.set([...said, world.tip(2, 1, 10n * TOKEN), ...votes]) })
    const { before, after } = preview.sums()
    assert.equal(before.fees, 10n * TOKEN)
    assert.equal(before.burned, TOKEN)
    assert.equal(after.burned, 2n * TOKEN)
    const shareOf = (node: number, source: string) => {
      const shares = preview.earners().find(({ earner }) => earner === nameOf(node))?.shares
      return shares?.find(share => share.source === source)
    }
    const { emission } = world.profile
    assert.equal(shareOf(3, 'landing')?.before, emission / 100n)
    const voted = [0, 1, 2].map(node => shareOf(node, 'votes'))
    assert.equal(
      voted.reduce((sum, share) => sum + (share?.before ?? 0n), 0n),
      emission / 50n,
    )
    assert.equal(
      voted.reduce((sum, share) => sum + (share?.after ?? 0n), 0n),
      emission / 100n,
    )
  })

  it('refuses values that no vote can set', () => {
    const most = parameterOf('feeBurn')?.limits(worldOf().profile).most ?? 0n
    assert.throws(() => previewOf(worldOf(), { feeBurn: most + 1n }), { code: 'badParameter' })
    assert.throws(() => previewOf(worldOf(), { slotMs: 1n }), { code: 'badParameter' })
  })
})
