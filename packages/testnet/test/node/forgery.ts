/** A checkpoint that a whole committee signs though its nodes compute another. */
import { strict as assert } from 'node:assert'
import {
  bls,
  type Checkpoint,
  Checkpoint as CheckpointCodec,
  type CommitteeMember,
  checkpointRoot,
  decode,
  drawCommittee,
  voteSigningRoot,
} from '@cairn/protocol'
import { NETWORK, votingSecret } from '../../../protocol/test/kernel-world.ts'
import type { NodeWorld } from './world.ts'

/** Lands the last checkpoint once more, for the next epoch, but for what `change` says. */
export async function landForged(
  world: NodeWorld,
  change: (members: readonly CommitteeMember[]) => Partial<Checkpoint>,
): Promise<Uint8Array> {
  const last = world.chain.accepted.at(-1)
  assert.ok(last)
  const members = drawCommittee(world.registry, world.profile, undefined)
  const before = decode(CheckpointCodec, last.checkpoint)
  const fields = { epoch: before.epoch + 1n, parent: last.root }
  const checkpoint: Checkpoint = { ...before, ...fields, ...change(members) }
  const root = checkpointRoot(checkpoint)
  const message = voteSigningRoot({ epoch: checkpoint.epoch, round: 0n, checkpoint: root }, NETWORK)
  const signatures = members.map(({ index }) => bls.sign(message, votingSecret(index)))
  const submission = {
    checkpoint: CheckpointCodec.serialize(checkpoint),
    round: 0,
    committee: { members, absent: [] },
    signature: bls.aggregateSignatures(signatures),
  }
  const outsider = world.chain.port(new Uint8Array(20))
  await world.until(outsider.submit(submission, new AbortController().signal))
  assert.deepEqual(world.chain.accepted.at(-1)?.root, root)
  return root
}
