import { strict as assert } from 'node:assert'
import { earnedParts, hex, settle, TOKEN } from '@cairn/protocol'
import { depositOf, entryOf, KernelWorld } from '../kernel-world.ts'
import { ECHO } from '../kinds/trivial.ts'

describe('the parts of what an epoch pays', () => {
  const world = new KernelWorld({
    nodes: 6,
    deposits: [depositOf(1, 100n * TOKEN)],
    profile: { weights: { 1: 1, [ECHO]: 1 } },
  })
  const said = [...world.honest(), world.tip(2, 1, 10n * TOKEN)]
  const input = world.settlement(said, { landed: [entryOf(3).payout, new Uint8Array(20).fill(9)] })
  const votes = [0, 1, 2].map(node => world.vote(node, input.parent.root))
  const settlement = settle({ ...input, set: world.set([...said, ...votes]) })
  const parts = earnedParts(settlement, input.base)

  it('add up to what each account’s leaf grows by', () => {
    const sums = new Map<string, bigint>()
    for (const { account, amount } of parts) {
      sums.set(account, (sums.get(account) ?? 0n) + amount)
    }
    const leaves = settlement.state.core.payouts
      .map(({ account, earned }) => [hex(account), earned] as const)
      .filter(([, earned]) => earned > 0n)
    assert.deepEqual([...sums].sort(), leaves)
  })

  it('name each source, and the node unless an account landed', () => {
    const sources = new Set(parts.map(({ source }) => source))
    assert.deepEqual([...sources], ['echo', 'votes', 'landing'])
    const landed = parts.filter(({ source }) => source === 'landing')
    assert.deepEqual(
      landed.map(({ node, account }) => [node, account]),
      [hex(entryOf(3).payout), '09'.repeat(20)].map(account => [undefined, account]),
    )
    assert.ok(parts.every(({ source, node }) => source === 'landing' || node !== undefined))
  })
})
