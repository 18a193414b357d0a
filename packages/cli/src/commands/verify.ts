/** `cairn ledger verify`: holds a proof file against whatever of the network is at hand. */
import { resolve } from 'node:path'
import type { Manifest } from '@cairn/node'
import {
  authorOf,
  CairnError,
  CheckpointField,
  check,
  decode,
  type Envelope,
  equalBytes,
  hex,
  MessageType,
  messageSigningRoot,
  type ProofFile,
  parseProofFile,
  plainVerifier,
  type RegistryEntry,
  unhex,
  Vote,
  verifyProofFile,
  verifyVote,
} from '@cairn/protocol'
import { readText } from '../input.ts'
import type { Session } from '../session.ts'

export interface VerifyOptions {
  checkpointRoot?: string
  rpc?: string
  contract?: string
}

/** What can be checked of a proof, in the order in which it is. */
type Part = 'path' | 'root' | 'network' | 'accepted' | 'signature'

/** Each part as people read it: what holds, and what to pass so that it is checked. */
const PARTS: Record<Part, { holds: string; missing?: string }> = {
  path: { holds: 'the leaf climbs to the checkpoint’s root' },
  root: { holds: 'the root is the one you gave' },
  network: {
    holds: 'the proof is of this network',
    missing: 'whether the proof is of your network: pass --network',
  },
  accepted: {
    holds: 'the chain accepted the checkpoint',
    missing: 'whether the chain accepted the checkpoint: pass --rpc or --checkpoint-root',
  },
  signature: {
    holds: 'the message is signed by the node that it names',
    missing: 'who signed the message',
  },
}

export async function verify(session: Session, file: string, options: VerifyOptions) {
  const { rpc, contract } = options
  const proof = parseProofFile(await readText(resolve(session.world.cwd, file)))
  const root = verifyProofFile(proof)
  const checked = new Set<Part>(['path'])
  if (options.checkpointRoot !== undefined) {
    const expected = unhex(options.checkpointRoot)
    check(equalBytes(expected, root), 'otherCheckpoint', 'the proof is for another checkpoint', {
      facts: { expected: hex(expected), found: hex(root) },
    })
    checked.add('root')
  }
  const manifest = await manifestOf(session, options)
  if (manifest !== undefined) {
    await requireNetwork(session, manifest, proof)
    checked.add('network')
  }
  if (rpc !== undefined) {
    const address = contract ?? manifest?.chain.contracts.checkpoints
    check(address !== undefined, 'usage', 'the Checkpoints contract is not known', {
      next: 'pass --network MANIFEST, or --contract ADDRESS',
    })
    await requireAccepted(proof, { rpc, address })
    checked.add('network').add('accepted')
  }
  const { message } = proof
  if (message !== undefined && rpc !== undefined && manifest !== undefined) {
    if (await isSigned(message, proof.network, { rpc, manifest })) checked.add('signature')
  }
  const passed = { manifest: manifest !== undefined, rpc: rpc !== undefined }
  print(session, proof, { root, checked, passed })
  return undefined
}

function print(
  session: Session,
  { epoch, inclusion, message }: ProofFile,
  { root, checked, passed }: { root: Uint8Array; checked: ReadonlySet<Part>; passed: Passed },
): void {
  const accepted = checked.has('accepted') || checked.has('root')
  const unchecked = (['network', 'accepted', 'signature'] as const).filter(
    part =>
      !checked.has(part) &&
      !(part === 'accepted' && accepted) &&
      !(part === 'signature' && message === undefined),
  )
  const { field, position, leaf } = inclusion
  session.output.result(
    {
      valid: true,
      against: checked.has('accepted') ? 'chain' : checked.has('root') ? 'checkpointRoot' : 'file',
      epoch,
      field,
      index: position,
      leaf: hex(leaf),
      checkpointRoot: hex(root),
      checked: [...checked],
      unchecked,
    },
    [
      `holds: leaf ${position} of ${field} in epoch ${epoch}`,
      `checkpoint root ${hex(root)}`,
      ...[...checked].map(part => `  checked      ${PARTS[part].holds}`),
      ...unchecked.map(part => `  not checked  ${missingOf(part, passed)}`),
    ].join('\n'),
  )
}

interface Passed {
  manifest: boolean
  rpc: boolean
}

/** What to pass so that a part is checked, without what was passed. */
function missingOf(part: Part, { manifest, rpc }: Passed): string | undefined {
  const { missing } = PARTS[part]
  if (part !== 'signature') return missing
  const wanted = [...(manifest ? [] : ['--network']), ...(rpc ? [] : ['--rpc'])]
  if (wanted.length === 0) return `${missing}: it has no single author in the registry`
  return `${missing}: pass ${wanted.join(' and ')}, for the registry’s sake`
}

/** The manifest that was named, or that the contract's address is wanted of. */
async function manifestOf(
  session: Session,
  { rpc, contract }: VerifyOptions,
): Promise<Manifest | undefined> {
  const { values, origin } = await session.config()
  const named = origin.network !== 'default'
  if (!named && (rpc === undefined || contract !== undefined)) return undefined
  const text = await readText(values.network).catch((error: unknown) => {
    if (named || !(error instanceof CairnError)) throw error
    throw new CairnError('usage', '--rpc alone does not say which contract to ask', {
      next: 'pass --network MANIFEST too, or --contract ADDRESS',
      cause: error,
    })
  })
  const { parseManifest } = await import('@cairn/node')
  return parseManifest(text)
}

async function requireNetwork(
  session: Session,
  manifest: Manifest,
  { network }: ProofFile,
): Promise<void> {
  const { values } = await session.config()
  const { networkIdOf } = await import('@cairn/node')
  const expected = networkIdOf(manifest)
  check(equalBytes(expected, network), 'otherNetwork', 'the proof is of another network', {
    facts: { manifest: values.network, expected: hex(expected), found: hex(network) },
    next: 'pass the manifest of its network with --network',
  })
}

interface OnChain {
  rpc: string
  /** Of the Checkpoints contract. */
  address: string
}

/** Asks the contract for its network's id and for the leaf. */
async function requireAccepted(
  { epoch, inclusion, network }: ProofFile,
  { rpc, address }: OnChain,
): Promise<void> {
  const [{ checkpointsAbi: abi }, { createPublicClient, http, isAddress, toHex }] =
    await Promise.all([import('@cairn/contracts'), import('viem')])
  check(isAddress(address), 'usage', `expected an address, found '${address}'`)
  check(URL.canParse(rpc), 'usage', `expected the URL of an endpoint, found '${rpc}'`)
  const client = createPublicClient({ transport: http(rpc) })
  const ask = async () => {
    const genesis = await client.readContract({ address, abi, functionName: 'genesis' })
    const id = await client.readContract({
      address,
      abi,
      functionName: 'networkId',
      args: [genesis],
    })
    const accepted = await client.readContract({
      address,
      abi,
      functionName: 'verify',
      args: [
        BigInt(epoch),
        CheckpointField[inclusion.field],
        toHex(inclusion.leaf),
        BigInt(inclusion.position),
        inclusion.path.map(node => toHex(node)),
      ],
    })
    return { id, accepted }
  }
  const { id, accepted } = await ask().catch((cause: unknown) => {
    throw unanswered(cause, address)
  })
  check(id === `0x${hex(network)}`, 'otherNetwork', 'the contract is of another network', {
    facts: { address, expected: id.slice(2), found: hex(network) },
    next: 'pass the contract of the proof’s network',
  })
  check(accepted, 'badProof', 'the chain accepted another checkpoint for this epoch', {
    facts: { epoch, address },
  })
}

/**
 * Holds a message's signature against its author's registered keys. False where a message has no
 * registered author, as a deal; throws `badProof` when the registry knows no such node, or another
 * key signed.
 */
async function isSigned(
  message: Envelope,
  network: Uint8Array,
  { rpc, manifest }: { rpc: string; manifest: Manifest },
): Promise<boolean> {
  const index = authorOf(message)
  if (index === undefined) return false
  const { readEntry } = await import('@cairn/node')
  const { chainId, contracts, fromBlock = 0 } = manifest.chain
  const entry = await readEntry({
    rpcUrl: rpc,
    chainId,
    contracts,
    fromBlock: BigInt(fromBlock),
    index,
  }).catch((cause: unknown) => {
    throw unanswered(cause, contracts.registry)
  })
  check(entry !== undefined, 'badProof', `the registry knows no node ${index}`, {
    facts: { index, registry: contracts.registry },
  })
  check(holds(message, network, entry), 'badProof', `node ${index} did not sign this message`, {
    facts: { index },
    next: 'that the leaf is in the checkpoint holds; do not rely on the signature',
  })
  return true
}

function holds(message: Envelope, network: Uint8Array, entry: RegistryEntry): boolean {
  const { type, body, signature } = message
  if (type === MessageType.vote) {
    return verifyVote(decode(Vote, body), signature, entry.voting, network, plainVerifier)
  }
  const root = messageSigningRoot(message, network)
  return signature.length === 64 && plainVerifier.ed25519(root, entry.identity, signature)
}

function unanswered(cause: unknown, address: string): CairnError {
  const why = cause instanceof Error ? (cause.message.split('\n')[0] ?? '') : String(cause)
  return new CairnError('chainUnavailable', `the chain did not answer: ${why}`, {
    facts: { address },
    cause,
    next: 'check --rpc and --contract; old epochs are kept by the contract for a time only',
  })
}
