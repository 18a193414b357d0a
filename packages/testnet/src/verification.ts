/** Proves one attestation per kind and one payout of an accepted epoch, offline and on the chain. */

import { anvilTransport, checkpointsAbi } from '@cairn/contracts'
import type { Daemon, Settled } from '@cairn/node'
import {
  type Attestation,
  CheckpointField,
  encodeProofFile,
  equalBytes,
  MessageType,
  type ProofFile,
  parseProofFile,
  unhex,
  verifyProofFile,
} from '@cairn/protocol'
import { createPublicClient, type Hex, toHex } from 'viem'

export interface InclusionInit {
  daemon: Daemon
  settled: Settled
  /** Root of the epoch's checkpoint as the chain accepted it. */
  accepted: Uint8Array
  rpcUrl: string
  checkpoints: Hex
}

/** What was proven; both false when there was nothing to prove. */
export interface InclusionResult {
  proofs: number
  offline: boolean
  onChain: boolean
}

export async function verifyInclusions(init: InclusionInit): Promise<InclusionResult> {
  const proofs = await proofsOf(init)
  let offline = proofs.length > 0
  let onChain = proofs.length > 0
  for (const proof of proofs) {
    // By way of the file's text: what a stranger would be given.
    const read = parseProofFile(JSON.stringify(encodeProofFile(proof)))
    offline &&= equalBytes(verifyProofFile(read), init.accepted)
    onChain &&= await verifyOnChain(read, init)
  }
  return { proofs: proofs.length, offline, onChain }
}

async function proofsOf({ daemon, settled }: InclusionInit): Promise<ProofFile[]> {
  const { settlement, set } = settled
  const proofs: (ProofFile | undefined)[] = []
  for (const { kind } of settlement.kinds) {
    const [attestation] = set.ofType<Attestation>(MessageType.attestation, kind)
    if (attestation !== undefined) proofs.push(await daemon.view.prove(attestation.id))
  }
  const [paid] = settlement.changes
  if (paid !== undefined) {
    const epoch = Number(settlement.checkpoint.epoch)
    proofs.push(await daemon.view.provePayout(unhex(paid.account), epoch))
  }
  return proofs.filter(proof => proof !== undefined)
}

async function verifyOnChain(
  { epoch, inclusion }: ProofFile,
  { rpcUrl, checkpoints }: InclusionInit,
): Promise<boolean> {
  const client = createPublicClient({ transport: anvilTransport(rpcUrl) })
  const { field, leaf, position, path } = inclusion
  return await client.readContract({
    address: checkpoints,
    abi: checkpointsAbi,
    functionName: 'verify',
    args: [
      BigInt(epoch),
      CheckpointField[field],
      toHex(leaf),
      BigInt(position),
      path.map(node => toHex(node)),
    ],
  })
}
