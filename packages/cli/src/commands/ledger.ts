import { readFile, writeFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { Json, MessagePage, MessageView, RecomputeView } from '@cairn/node'
import { hasCode } from '@cairn/node/lock'
import {
  CairnError,
  CheckpointField,
  check,
  equalBytes,
  hex,
  type ProofFile,
  type ProofFileJson,
  parseProofFile,
  unhex,
  verifyProofFile,
} from '@cairn/protocol'
import { EXIT_CODES } from '../exit-codes.ts'
import type { Commands } from '../run.ts'
import type { Session } from '../session.ts'
import { findingLine } from './explain.ts'
import { positive, whole } from './numbers.ts'

export function ledgerCommand({ program, action }: Commands): void {
  const ledger = program.command('ledger').description('read, prove and recompute the ledger')
  ledger
    .command('show [id]')
    .description('print one message, or those of an epoch')
    .option('--epoch <n>', 'messages of this epoch', whole)
    .option('--author <index>', 'only those of this node', whole)
    .option('--limit <n>', 'how many at most', positive, 100)
    .option('--after <id>', 'continue after this one')
    .action(action(show))
  ledger
    .command('prove [id]')
    .description('print the proof that a checkpoint holds a message, or a payout')
    .option('--payout <account>', 'prove the totals of this account instead')
    .option('--epoch <n>', 'in this checkpoint: of a payout only', whole)
    .option('-o, --output <file>', 'write it to a file')
    .action(action(prove))
  ledger
    .command('verify <file>')
    .description('check a proof file, offline or against the chain')
    .option('--checkpoint-root <hex>', 'the root that you know to be accepted')
    .option('--rpc <url>', 'ask the Checkpoints contract over this endpoint')
    .option('--contract <address>', "the contract's address; the manifest's unless given")
    .action(action(verify))
  ledger
    .command('recompute')
    .description('settle an epoch again from the ledger and compare the roots')
    .argument('<epoch>', '', whole)
    .action(action(recompute))
}

interface ShowOptions {
  epoch?: number
  author?: number
  limit: number
  after?: string
}

async function show(session: Session, id: string | undefined, options: ShowOptions) {
  const { epoch, author, limit, after } = options
  check(id !== undefined || epoch !== undefined, 'usage', 'expected an id or --epoch')
  const api = await session.api()
  if (id !== undefined) {
    const message = await api.json<Json<MessageView>>(`/v1/ledger/${encodeURIComponent(id)}`)
    session.output.result(message, JSON.stringify(message, undefined, 2))
    return undefined
  }
  const page = await api.json<Json<MessagePage>>('/v1/ledger', {
    query: { epoch, author, limit, after },
  })
  const lines = page.messages.map(
    message =>
      `${message.id}  ${message.type.padEnd(11)}  ${message.kind.padEnd(8)}  ${message.author ?? ''}`,
  )
  if (page.next !== undefined) lines.push(`more: --after ${page.next}`)
  session.output.result(page, lines.length === 0 ? 'no messages' : lines.join('\n'))
  return undefined
}

interface ProveOptions {
  payout?: string
  epoch?: number
  output?: string
}

async function prove(session: Session, id: string | undefined, options: ProveOptions) {
  const { payout, epoch, output } = options
  check((id === undefined) !== (payout === undefined), 'usage', 'expected an id or --payout')
  const path =
    payout === undefined
      ? `/v1/ledger/${encodeURIComponent(id ?? '')}/proof`
      : `/v1/payouts/${encodeURIComponent(payout)}/proof`
  const api = await session.api()
  const proof = await api.json<ProofFileJson>(path, {
    query: payout === undefined ? {} : { epoch },
  })
  const text = JSON.stringify(proof, undefined, 2)
  if (output === undefined) session.output.result(proof, text)
  else {
    const file = resolve(session.world.cwd, output)
    await writeFile(file, `${text}\n`)
    session.output.result({ path: file }, file)
  }
  return undefined
}

interface VerifyOptions {
  checkpointRoot?: string
  rpc?: string
  contract?: string
}

async function verify(session: Session, file: string, options: VerifyOptions) {
  const proof = parseProofFile(await readText(resolve(session.world.cwd, file)))
  const root = verifyProofFile(proof)
  if (options.checkpointRoot !== undefined) {
    const expected = unhex(options.checkpointRoot)
    check(equalBytes(expected, root), 'otherCheckpoint', 'the proof is for another checkpoint', {
      facts: { expected: hex(expected), found: hex(root) },
    })
  }
  if (options.rpc !== undefined) await verifyOnChain(session, proof, options.rpc, options.contract)
  const against =
    options.rpc !== undefined
      ? 'chain'
      : options.checkpointRoot !== undefined
        ? 'checkpointRoot'
        : 'file'
  const { epoch, inclusion } = proof
  const trust =
    against === 'file'
      ? `\nThat the chain accepted this checkpoint was not checked: pass --rpc or --checkpoint-root.`
      : ''
  session.output.result(
    {
      valid: true,
      against,
      epoch,
      field: inclusion.field,
      index: inclusion.position,
      leaf: hex(inclusion.leaf),
      checkpointRoot: hex(root),
    },
    `holds: leaf ${inclusion.position} of ${inclusion.field} in epoch ${epoch}\ncheckpoint root ${hex(root)}${trust}`,
  )
  return undefined
}

async function verifyOnChain(
  session: Session,
  { epoch, inclusion, network }: ProofFile,
  rpc: string,
  contract: string | undefined,
): Promise<void> {
  const [{ checkpointsAbi }, { createPublicClient, http, isAddress, toHex }] = await Promise.all([
    import('@cairn/contracts'),
    import('viem'),
  ])
  const address = contract ?? (await manifestContract(session, network))
  check(isAddress(address), 'usage', `expected an address, found '${address}'`)
  const client = createPublicClient({ transport: http(rpc) })
  const accepted = await client
    .readContract({
      address,
      abi: checkpointsAbi,
      functionName: 'verify',
      args: [
        BigInt(epoch),
        CheckpointField[inclusion.field],
        toHex(inclusion.leaf),
        BigInt(inclusion.position),
        inclusion.path.map(node => toHex(node)),
      ],
    })
    .catch((cause: unknown) => {
      const why = cause instanceof Error ? (cause.message.split('\n')[0] ?? '') : String(cause)
      throw new CairnError('chainUnavailable', `the chain did not answer: ${why}`, {
        facts: { address },
        cause,
        next: 'check --rpc and --contract; old epochs are kept by the contract for a time only',
      })
    })
  check(accepted, 'badProof', 'the chain accepted another checkpoint for this epoch', {
    facts: { epoch, address },
  })
}

/** The contract of the manifest, provided the proof is of its network. */
async function manifestContract(session: Session, network: Uint8Array): Promise<string> {
  const { values } = await session.config()
  const { parseManifest, networkIdOf } = await import('@cairn/node')
  const manifest = parseManifest(await readText(values.network))
  check(
    equalBytes(networkIdOf(manifest), network),
    'otherNetwork',
    'the proof is of another network',
    {
      facts: { manifest: values.network, found: hex(network) },
      next: 'pass the manifest of its network with --network, or --contract',
    },
  )
  return manifest.chain.contracts.checkpoints
}

async function recompute(session: Session, epoch: number) {
  const api = await session.api()
  const found = await api.json<Json<RecomputeView>>(`/v1/ledger/${epoch}/recompute`, {
    method: 'POST',
  })
  const { equal, accepted, computed, messages, findings, penalties } = found
  const lines = [
    ...findings.map(findingLine),
    ...penalties.map(
      ({ node, amount, evidence }) => `node ${node}: penalty ${amount} for ${evidence}`,
    ),
  ]
  session.output.result(
    found,
    [
      equal
        ? `equal: ${messages} messages settle to ${accepted}`
        : `differs: the chain accepted ${accepted}, this ledger gives ${computed}`,
      ...lines,
    ].join('\n'),
  )
  return equal ? EXIT_CODES.ok.code : EXIT_CODES.notTrue.code
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (cause) {
    if (!hasCode(cause, 'ENOENT')) throw cause
    throw new CairnError('fileNotFound', `there is no file ${path}`, { facts: { path } })
  }
}
