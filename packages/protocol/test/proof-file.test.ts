import { strict as assert } from 'node:assert'
import fc from 'fast-check'
import {
  CairnError,
  type Checkpoint,
  COUNTED_KINDS,
  COUNTED_TYPES,
  checkpointRoot,
  inclusionProof,
  ListDepth,
  listRoot,
  MessageType,
  messageId,
  Payout,
} from '../src/index.ts'
import {
  encodeProofFile,
  PROOF_FILE_MAX_CHARS,
  type ProofFile,
  type ProofFileJson,
  parseProofFile,
  verifyProofFile,
} from '../src/proof-file.ts'

const ZERO = new Uint8Array(32)
const MESSAGE = { type: MessageType.ready, body: new Uint8Array(17), signature: new Uint8Array(64) }
const PAYOUT = { account: new Uint8Array(20).fill(3), earned: 10n ** 30n, spent: 0n }
const IDS = [messageId(MESSAGE), ZERO.slice().fill(0xfe), ZERO.slice().fill(0xff)]

const checkpoint: Checkpoint = {
  epoch: 4n,
  base: { number: 1n, hash: ZERO },
  parent: ZERO,
  messages: listRoot(IDS, ListDepth.messages),
  state: ZERO,
  payouts: listRoot([Payout.hashTreeRoot(PAYOUT)], ListDepth.payouts),
  penalties: ZERO,
  deals: ZERO,
  counts: {
    messages: new Array<number>(COUNTED_TYPES).fill(0),
    verdicts: new Array<number>(3 * COUNTED_KINDS).fill(0),
  },
  earnedTotal: 0n,
  spentTotal: 0n,
  nextCommittee: ZERO,
  rulesVersion: 1,
}

const messageProof: ProofFile = {
  network: ZERO,
  epoch: 4,
  checkpoint,
  inclusion: inclusionProof({ checkpoint, field: 'messages', leaves: IDS, position: 0 }),
  message: MESSAGE,
}
const payoutProof: ProofFile = {
  network: ZERO,
  epoch: 4,
  checkpoint,
  inclusion: inclusionProof({
    checkpoint,
    field: 'payouts',
    leaves: [Payout.hashTreeRoot(PAYOUT)],
    position: 0,
  }),
  payout: PAYOUT,
}

function read(json: ProofFileJson): ProofFile {
  return parseProofFile(JSON.stringify(json))
}

function verdict(json: ProofFileJson): string {
  try {
    verifyProofFile(read(json))
    return 'holds'
  } catch (error) {
    assert(error instanceof CairnError)
    return error.code
  }
}

describe('proof file', () => {
  it('reads back what it wrote, and holds for its checkpoint’s root', () => {
    for (const proof of [messageProof, payoutProof]) {
      const file = read(encodeProofFile(proof))
      assert.deepEqual(encodeProofFile(file), encodeProofFile(proof))
      assert.deepEqual(verifyProofFile(file), checkpointRoot(checkpoint))
    }
  })

  it('does not hold when anything in it was changed', () => {
    const message = encodeProofFile(messageProof)
    const payout = encodeProofFile(payoutProof)
    const other = '11'.repeat(32)
    const changes: ProofFileJson[] = [
      { ...message, epoch: 5 },
      { ...message, index: 1 },
      { ...message, leaf: other },
      { ...message, path: message.path.with(0, other) },
      { ...message, path: message.path.slice(1) },
      { ...message, path: [] },
      { ...message, field: 'payouts' },
      { ...payout, field: 'messages' },
      { ...payout, payout: { account: '03'.repeat(20), earned: '1', spent: '0' } },
      { ...message, checkpoint: `${message.checkpoint.slice(0, -2)}01` },
      { ...message, message: `${message.message?.slice(0, 20)}ff${message.message?.slice(22)}` },
      { ...message, payout: payout.payout },
    ]
    for (const [place, change] of changes.entries()) {
      assert.notEqual(verdict(change), 'holds', `change ${place}`)
    }
  })

  it('is refused in any other form with a coded error', () => {
    const good = encodeProofFile(messageProof)
    const bad: unknown[] = [
      { ...good, schema: 2 },
      { ...good, more: 1 },
      { ...good, leaf: 'zz' },
      { ...good, network: '' },
      { ...good, path: Array.from({ length: 65 }, () => good.leaf) },
      { ...good, index: 2 ** 32 },
      null,
    ]
    for (const value of bad) {
      assert.throws(() => parseProofFile(JSON.stringify(value)), { code: 'badProofFile' })
    }
    assert.throws(() => parseProofFile('{'), { code: 'badProofFile' })
    assert.throws(() => parseProofFile(' '.repeat(PROOF_FILE_MAX_CHARS + 1)), {
      code: 'badProofFile',
    })
    fc.assert(
      fc.property(fc.json(), text => {
        assert.throws(() => parseProofFile(text), { code: 'badProofFile' })
      }),
    )
  })
})
