/** `cairn ledger verify`: holds a proof file against whatever of the network is at hand. */
import { resolve } from 'node:path'
import type { Manifest } from '@cairn/node'
import {
  Attestation,
  authorOf,
  CairnError,
  check,
  decode,
  type Envelope,
  equalBytes,
  hex,
  KINDS,
  type LightVerdict,
  MessageType,
  messageSigningRoot,
  type ProofFile,
  parseProofFile,
  plainVerifier,
  type RegistryEntry,
  type RpcRequest,
  unhex,
  unitsText,
  Verdict,
  Vote,
  verdictSentences,
  verifyOnChain,
  verifyProofFile,
  verifyVote,
} from '@cairn/protocol'
import { readText } from '../input.ts'
import { rpcEndpoint, unanswered } from '../rpc.ts'
import type { Session } from '../session.ts'

/** Between lines that say how far a long way back is, ms. */
const TOLD_MS = 10_000

export interface VerifyOptions {
  checkpointRoot?: string
  rpc?: string[]
  contract?: string
  chainId?: number
  finality?: number
}

/** What can be checked of a proof, in the order in which it is. */
type Part = 'path' | 'root' | 'network' | 'chain' | 'accepted' | 'signature'

/** Each part as people read it: what holds, and what to pass so that it is checked. */
const PARTS: Record<Part, { holds: string; missing?: string }> = {
  path: { holds: 'the leaf climbs to the checkpoint’s root' },
  root: { holds: 'the root is the one you gave' },
  network: {
    holds: 'the proof is of this network',
    missing: 'whether the proof is of your network: pass --network',
  },
  chain: {
    holds: 'the endpoints are of the chain that you named',
    missing: 'which chain the endpoints are of: pass --network or --chain-id',
  },
  accepted: {
    holds: 'the chain accepted the checkpoint, and acts upon it',
    missing: 'whether the chain accepted the checkpoint: pass --rpc or --checkpoint-root',
  },
  signature: {
    holds: 'the message is signed by the node that it names',
    missing: 'who signed the message',
  },
}

export async function verify(session: Session, file: string, options: VerifyOptions) {
  const { rpc } = options
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
  let verdict: LightVerdict | undefined
  if (rpc !== undefined) {
    verdict = await askChain(session, proof, manifest, options)
    checked.add('network').add('accepted')
    if (manifest !== undefined || options.chainId !== undefined) checked.add('chain')
  }
  const { message } = proof
  const home = verdict?.contract.chainId === BigInt(manifest?.chain.chainId ?? -1)
  if (message !== undefined && rpc !== undefined && manifest !== undefined && home) {
    const asked = rpc.map(url => isSigned(message, proof.network, { rpc: url, manifest }))
    if ((await Promise.all(asked)).every(Boolean)) checked.add('signature')
  }
  const passed = { manifest: manifest !== undefined, rpc: rpc !== undefined }
  print(session, proof, { root, checked, passed, verdict })
  return undefined
}

interface Outcome {
  root: Uint8Array
  checked: ReadonlySet<Part>
  passed: Passed
  verdict: LightVerdict | undefined
}

function print(session: Session, proof: ProofFile, outcome: Outcome): void {
  const { epoch, inclusion, message } = proof
  const { root, checked, passed, verdict } = outcome
  const accepted = checked.has('accepted') || checked.has('root')
  const unchecked = (['network', 'chain', 'accepted', 'signature'] as const).filter(
    part =>
      !checked.has(part) &&
      !(part === 'accepted' && accepted) &&
      !(part === 'chain' && verdict === undefined) &&
      !(part === 'signature' && message === undefined),
  )
  const said = verdict === undefined ? [] : verdictSentences(verdict, proof)
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
      ...(verdict === undefined ? {} : { chain: chainFacts(verdict) }),
    },
    [
      `holds: leaf ${position} of ${field} in epoch ${epoch}${payoutText(proof)}`,
      ...messageText(proof),
      `checkpoint root ${hex(root)}`,
      ...said,
      ...[...checked].map(part => `  checked      ${PARTS[part].holds}`),
      ...unchecked.map(part => `  not checked  ${missingOf(part, passed)}`),
    ].join('\n'),
  )
}

/** What the chain said, for programs; amounts of blocks and epochs are numbers. */
function chainFacts(verdict: LightVerdict) {
  const { contract, block, newest, endpoints, lastEpoch, keptEpoch, activeAt } = verdict
  return {
    chainId: Number(contract.chainId),
    contract: `0x${hex(contract.checkpoints)}`,
    block: Number(block.number),
    blockHash: hex(block.hash),
    newest: Number(newest),
    endpoints,
    lastEpoch,
    keptEpoch,
    activeAt,
  }
}

function payoutText({ payout }: ProofFile): string {
  if (payout === undefined) return ''
  const { account, earned, spent } = payout
  return `: account 0x${hex(account)} earned ${unitsText(earned)} tokens and spent ${unitsText(spent)} since genesis`
}

/** What the message says, as far as its envelope and, of an attestation, its body tell. */
function messageText({ message }: ProofFile): string[] {
  if (message === undefined) return []
  const name = Object.entries(MessageType).find(([, type]) => type === message.type)?.[0]
  const author = authorOf(message)
  if (name === undefined || author === undefined) return []
  if (message.type !== MessageType.attestation) return [`it is a ${name} of node ${author}`]
  const { kind, challenge, verdict } = decode(Attestation, message.body)
  const said = Object.entries(Verdict).find(([, code]) => code === verdict)?.[0] ?? verdict
  const about = KINDS.find(({ code }) => code === kind)?.name ?? `kind ${kind}`
  return [
    `it is an attestation of ${about}: node ${author} says '${said}' of challenge ${hex(challenge)}, which names the node that was tried`,
  ]
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

async function askChain(
  session: Session,
  proof: ProofFile,
  manifest: Manifest | undefined,
  options: VerifyOptions,
): Promise<LightVerdict> {
  const { finality, contract } = options
  if (contract !== undefined || manifest === undefined) addressBytes(contract)
  for (const url of options.rpc ?? []) {
    check(URL.canParse(url), 'usage', `expected the URL of an endpoint, found '${url}'`)
  }
  // One that is named twice agrees with itself.
  const urls = [...new Set(options.rpc?.map(url => new URL(url).href))]
  const endpoints = urls.map(url => rpcEndpoint(url, session.signal))
  const at = await chainAsked(endpoints, manifest, options)
  const { networkIdOf } = await import('@cairn/node')
  const network = at.home || manifest === undefined ? {} : { network: networkIdOf(manifest) }
  return await verifyOnChain(proof, {
    contract: {
      chainId: at.chainId,
      checkpoints: addressBytes(contract ?? at.checkpoints),
      ...network,
    },
    endpoints,
    finality: finality ?? at.finality,
    fromBlock: BigInt(at.fromBlock),
    onLinks: wayBack(session),
  })
}

/** Says now and then how many of the checkpoints between are found. */
function wayBack({ world, output }: Session): (found: number, links: number) => void {
  let told = world.now()
  return (found, links) => {
    if (world.now() - told < TOLD_MS) return
    told = world.now()
    output.note(`followed ${found} of ${links} checkpoints back`)
  }
}

/** Home or a mirror, which the manifest lists or `--contract` names: which of them is told by the first endpoint, all are held against it later. */
async function chainAsked(
  [first]: readonly RpcRequest[],
  manifest: Manifest | undefined,
  { chainId, contract }: VerifyOptions,
) {
  const id = chainId ?? Number(await first?.('eth_chainId', []))
  const mirror = manifest?.mirrors?.find(found => found.chainId === id)
  if (mirror !== undefined) {
    const { checkpoints, finality, fromBlock = 0 } = mirror
    return { home: false, chainId: BigInt(id), checkpoints, finality, fromBlock }
  }
  const chain = manifest?.chain
  if (contract !== undefined && chain !== undefined && chain.chainId !== id) {
    return { home: false, chainId: BigInt(id), checkpoints: contract, finality: 0, fromBlock: 0 }
  }
  return {
    home: true,
    chainId: BigInt(chainId ?? chain?.chainId ?? id),
    checkpoints: chain?.contracts.checkpoints,
    finality: chain?.finality ?? 0,
    fromBlock: chain?.fromBlock ?? 0,
  }
}

function addressBytes(address: string | undefined): Uint8Array {
  check(address !== undefined, 'usage', 'the Checkpoints contract is not known', {
    next: 'pass --network MANIFEST, or --contract ADDRESS',
  })
  const wellFormed = /^0x[0-9a-fA-F]{40}$/.test(address)
  check(wellFormed, 'usage', `expected an address, found '${address}'`)
  return unhex(address)
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
  const { chainId, contracts } = manifest.chain
  const asked = { rpcUrl: rpc, chainId, contracts, index }
  const entry = await readEntry(asked).catch((cause: unknown) => {
    throw unanswered(cause, `the registry ${contracts.registry}`)
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
