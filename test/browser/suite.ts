/** What a page has to do alike, whatever runs it: the protocol package and nothing of Node below it. */
import { strict as assert } from 'node:assert'
import {
  Attestation,
  bls,
  type Checkpoint,
  COUNTED_KINDS,
  COUNTED_TYPES,
  checkpointRoot,
  ed25519,
  encodeProofFile,
  hex,
  inclusionProof,
  ListDepth,
  listRoot,
  MessageType,
  messageId,
  Payout,
  type ProofFileJson,
  ReedSolomon,
  Verdict,
} from '@cairn/protocol'
import { startNetwork, worldForEach } from '../../packages/contracts/test/world.ts'

/** What a script, given `input`, exports as `result`, as JSON has it. */
export type InPage = <T>(script: string, input: unknown) => Promise<T>

const ZERO = new Uint8Array(32)
const MESSAGE = {
  type: MessageType.attestation,
  body: Attestation.serialize({
    ...{ epoch: 4, base: ZERO.slice(0, 8), kind: 2, author: 0, challenge: ZERO },
    ...{ seenSlot: 1, verdict: Verdict.pass, reason: 0, evidence: ZERO.slice(0, 0) },
  }),
  signature: new Uint8Array(64),
}
const PAYOUT = { account: new Uint8Array(20).fill(3), earned: 10n ** 30n, spent: 7n }
const IDS = [messageId(MESSAGE), ZERO.slice().fill(0xfe), ZERO.slice().fill(0xff)]
const PAYOUTS = [Payout.hashTreeRoot(PAYOUT)]

const CHECKPOINT: Checkpoint = {
  epoch: 4n,
  base: { number: 1n, hash: ZERO },
  parent: ZERO,
  messages: listRoot(IDS, ListDepth.messages),
  state: ZERO,
  payouts: listRoot(PAYOUTS, ListDepth.payouts),
  penalties: ZERO,
  deals: ZERO,
  counts: {
    messages: new Array<number>(COUNTED_TYPES).fill(0),
    verdicts: new Array<number>(3 * COUNTED_KINDS).fill(0),
  },
  earnedTotal: 10n ** 30n,
  spentTotal: 7n,
  nextCommittee: ZERO,
  rulesVersion: 1,
}

export function describePage(inPage: InPage): void {
  const world = worldForEach()

  it('verifies the proof files that a node wrote, and refuses changed ones', async () => {
    const [message, payout] = proofFiles()
    const changed: ProofFileJson[] = [
      { ...message, index: 1 },
      { ...message, leaf: '11'.repeat(32) },
      { ...payout, path: payout.path.with(0, '11'.repeat(32)) },
      { ...payout, payout: { account: '03'.repeat(20), earned: '1', spent: '7' } },
    ]
    const verdicts = await inPage<string[]>(
      `import { hex, parseProofFile, verifyProofFile } from '@cairn/protocol'
       const verdict = file => {
         try { return hex(verifyProofFile(parseProofFile(JSON.stringify(file)))) }
         catch (error) { return error.code }
       }
       export const result = input.map(verdict)`,
      [message, payout, ...changed],
    )
    const root = hex(checkpointRoot(CHECKPOINT))
    assert.deepEqual(verdicts, [root, root, ...changed.map(() => 'badProof')])
  })

  it('accepts the signatures that a node made, and refuses them over other bytes', async () => {
    const secret = new Uint8Array(32).fill(7)
    const keys = [ed25519, bls].map(scheme => ({
      key: hex(scheme.publicKey(secret)),
      signature: hex(scheme.sign(IDS[0] as Uint8Array, secret)),
    }))
    const verdicts = await inPage<boolean[][]>(
      `import { bls, ed25519, unhex } from '@cairn/protocol'
       export const result = [ed25519, bls].map((scheme, i) => {
         const { key, signature } = input.keys[i]
         return input.messages.map(message =>
           scheme.verify(unhex(message), unhex(key), unhex(signature)))
       })`,
      { keys, messages: IDS.slice(0, 2).map(hex) },
    )
    assert.deepEqual(verdicts, [
      [true, false],
      [true, false],
    ])
  })

  it('erasure-codes to the bytes of a node', async () => {
    const shape = { data: 3, total: 7 }
    const data = [...'abc'].map(letter => new TextEncoder().encode(letter.repeat(100)))
    const parity = await inPage<string[]>(
      `import { hex, ReedSolomon, unhex } from '@cairn/protocol'
       export const result = new ReedSolomon(input.shape).encode(input.data.map(unhex)).map(hex)`,
      { shape, data: data.map(hex) },
    )
    assert.deepEqual(parity, new ReedSolomon(shape).encode(data).map(hex))
  })

  it('holds an attestation and a payout against a chain of another origin with nothing but fetch', async () => {
    const network = await startNetwork(world, 1)
    const roots = { messages: CHECKPOINT.messages, payouts: CHECKPOINT.payouts }
    const checkpoint = network.next(network.first, roots)
    await network.submit(network.argumentsOf(checkpoint))
    const files = proofFiles(checkpoint, network.network)
    const forged = proofFiles({ ...checkpoint, earnedTotal: 1n }, network.network)
    const found = await inPage<string[][]>(
      `import { jsonRpc, parseProofFile, unhex, verdictSentences, verifyOnChain } from '@cairn/protocol'
       const headers = { 'content-type': 'application/json' }
       const endpoint = jsonRpc(async body =>
         (await fetch(input.rpcUrl, { method: 'POST', headers, body })).text())
       const contract = { chainId: 31337n, checkpoints: unhex(input.checkpoints) }
       const ask = async file => {
         const proof = parseProofFile(JSON.stringify(file))
         try {
           const verdict = await verifyOnChain(proof, { contract, endpoints: [endpoint], finality: 0 })
           return verdictSentences(verdict, proof)
         } catch (error) { return [error.code] }
       }
       export const result = Promise.all(input.files.map(ask))`,
      {
        rpcUrl: world.anvil.rpcUrl,
        checkpoints: world.contracts.checkpoints,
        files: [...files, ...forged],
      },
    )
    const root = hex(checkpointRoot(checkpoint))
    for (const said of found.slice(0, 2)) {
      assert.match(said[0] ?? '', new RegExp(`chain 31337 accepted checkpoint ${root} for epoch 0`))
    }
    assert.deepEqual(found.slice(2), [['badProof'], ['badProof']])
  })
}

function proofFiles(
  checkpoint = CHECKPOINT,
  network: Uint8Array = ZERO,
): [ProofFileJson, ProofFileJson] {
  const about = { network, epoch: Number(checkpoint.epoch), checkpoint }
  const of = (field: 'messages' | 'payouts', leaves: Uint8Array[]) =>
    inclusionProof({ checkpoint, field, leaves, position: 0 })
  return [
    encodeProofFile({ ...about, inclusion: of('messages', IDS), message: MESSAGE }),
    encodeProofFile({ ...about, inclusion: of('payouts', PAYOUTS), payout: PAYOUT }),
  ]
}
