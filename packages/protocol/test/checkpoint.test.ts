import { strict as assert } from 'node:assert'
import {
  Checkpoint,
  CheckpointField,
  COUNTED_KINDS,
  COUNTED_TYPES,
  checkpointRoot,
  decode,
  hex,
  Payout,
  Penalty,
  sha256,
  VoteData,
  voteSigningRoot,
} from '@cairn/protocol'
import { bytes32, NETWORK } from './kernel-world.ts'

const fill = (byte: number) => new Uint8Array(32).fill(byte)

const checkpoint: Checkpoint = {
  epoch: 7n,
  base: { number: 1_234n, hash: fill(1) },
  parent: fill(2),
  messages: fill(3),
  state: fill(4),
  payouts: fill(5),
  penalties: fill(6),
  deals: fill(7),
  counts: {
    messages: Array.from({ length: COUNTED_TYPES }, (_, i) => i + 1),
    verdicts: Array.from({ length: 3 * COUNTED_KINDS }, (_, i) => i + 100),
  },
  earnedTotal: 10n ** 21n + 1n,
  spentTotal: 10n ** 20n + 2n,
  nextCommittee: fill(8),
  rulesVersion: 1,
}
const vote = { epoch: 5n, round: 2n, checkpoint: fill(0x33) }

describe('checkpoint', () => {
  it('is 468 bytes of the published layout', () => {
    const bytes = Checkpoint.serialize(checkpoint)
    assert.equal(Checkpoint.fixedSize, 468)
    assert.equal(bytes.length, 468)
    assert.equal(
      hex(sha256(bytes)),
      'd2819c5f99760964cc32e6f7b1130ccf5d522b69b2021c284132bac8be5acce0',
    )
    assert.deepEqual(decode(Checkpoint, bytes), checkpoint)
  })

  it('has the root of an independent implementation', () => {
    assert.equal(
      hex(checkpointRoot(checkpoint)),
      '3b822f576f6ddb01a03f7adcc05b18d7a8ead3db8b90c58ac7928386239ce80e',
    )
  })

  it('has another root when any field differs', () => {
    const others: Partial<Checkpoint>[] = [
      {},
      { epoch: 8n },
      { base: { number: 1_235n, hash: fill(1) } },
      { base: { number: 1_234n, hash: fill(9) } },
      { parent: fill(9) },
      { messages: fill(9) },
      { state: fill(9) },
      { payouts: fill(9) },
      { penalties: fill(9) },
      { deals: fill(9) },
      { counts: { ...checkpoint.counts, messages: checkpoint.counts.messages.with(15, 0) } },
      { counts: { ...checkpoint.counts, verdicts: checkpoint.counts.verdicts.with(23, 0) } },
      { earnedTotal: 0n },
      { spentTotal: 0n },
      { nextCommittee: fill(9) },
      { rulesVersion: 2 },
    ]
    const roots = others.map(change => hex(checkpointRoot({ ...checkpoint, ...change })))
    assert.equal(new Set(roots).size, others.length)
  })

  it('names the positions of its roots', () => {
    const names = Object.keys(Checkpoint.fields)
    for (const [name, position] of Object.entries(CheckpointField)) {
      assert.equal(names[position], name)
    }
  })

  it('refuses a byte more or less', () => {
    const bytes = Checkpoint.serialize(checkpoint)
    assert.throws(() => decode(Checkpoint, bytes.subarray(1)), { code: 'badLength' })
    assert.throws(() => decode(Checkpoint, new Uint8Array([...bytes, 0])), { code: 'badLength' })
  })
})

describe('vote', () => {
  it('signs 48 bytes of the published layout', () => {
    assert.equal(VoteData.fixedSize, 48)
    assert.equal(
      hex(VoteData.serialize(vote)),
      `05000000000000000200000000000000${'33'.repeat(32)}`,
    )
  })

  it('signs the published root', () => {
    assert.equal(
      hex(voteSigningRoot(vote, NETWORK)),
      'd36d1f7d2f00c4d6ca6e5967d1c518712bb7f9e4bdca7f1f561bc5d84427c984',
    )
  })

  it('signs another root for another epoch, round, checkpoint or network', () => {
    const roots = [
      voteSigningRoot(vote, NETWORK),
      voteSigningRoot({ ...vote, epoch: 6n }, NETWORK),
      voteSigningRoot({ ...vote, round: 3n }, NETWORK),
      voteSigningRoot({ ...vote, checkpoint: fill(0x34) }, NETWORK),
      voteSigningRoot(vote, bytes32('other network')),
    ].map(hex)
    assert.equal(new Set(roots).size, 5)
  })
})

describe("leaves of the checkpoint's trees", () => {
  it('have the roots of an independent implementation', () => {
    const account = Uint8Array.from({ length: 20 }, (_, i) => i)
    assert.equal(
      hex(Payout.hashTreeRoot({ account, earned: 5n, spent: 2n ** 127n })),
      'd09ef34051320f5336ce1e31f16f0f5ffeaa0a379a8d23b2bf4b805e30eb9ed2',
    )
    assert.equal(
      hex(Penalty.hashTreeRoot({ node: 9, amount: 10n ** 19n, evidence: fill(9) })),
      '4f11c8f1fddcefc8347c96cc8e259b981b453343baeb217bec1499f350a74a63',
    )
  })
})
