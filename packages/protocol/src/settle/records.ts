/** Joins an epoch's messages into one record per challenge, as the kinds settle them. */

import { MessageType } from '../domain.ts'
import { isMajority } from '../duties.ts'
import type { ChallengeRecord, EpochBase, Kind } from '../kind.ts'
import type { Challenge, Seal } from '../messages.ts'
import { hex } from '../ssz.ts'
import type { MessageSet } from './set.ts'

/** Records of one kind by target, then by the challenger's place in the duty. */
export function challengeRecords(
  base: EpochBase,
  kind: Kind<unknown>,
  set: MessageSet,
): ChallengeRecord[] {
  const seals = new Map<string, Seal>()
  for (const { value } of set.ofType<Seal>(MessageType.seal, kind.code)) {
    seals.set(hex(value.challenge), value)
  }
  const records: (ChallengeRecord & { order: number })[] = []
  for (const { id, value } of set.ofType<Challenge>(MessageType.challenge, kind.code)) {
    const duty = base.duty(kind.code, value.target)
    const order = duty.challengers.indexOf(value.author)
    const slot = kind.revealSlot(base, order, value.output)
    const attestations = set.attestationsOf(id)
    // One seen before its slot was told to somebody early: what it asks could be prepared.
    const prompt = attestations.filter(
      ({ value: { seenSlot } }) => slot <= seenSlot && seenSlot <= slot + 1,
    ).length
    records.push({
      id,
      value,
      slot,
      duty,
      order,
      onTime: isMajority(prompt, duty.verifiers.length),
      attestations,
      seal: seals.get(hex(id)),
    })
  }
  return records.sort((a, b) => a.value.target - b.value.target || a.order - b.order)
}
