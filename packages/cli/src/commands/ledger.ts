import { writeFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { Json, MessagePage, MessageView, RecomputeView } from '@cairn/node'
import { check, type ProofFileJson } from '@cairn/protocol'
import { EXIT_CODES } from '../exit-codes.ts'
import type { Commands } from '../run.ts'
import type { Session } from '../session.ts'
import { findingLine } from './explain.ts'
import { positive, whole } from './numbers.ts'
import { verify } from './verify.ts'

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
    .description('check a proof file, offline or against the chain, and say what was checked')
    .option('--checkpoint-root <hex>', 'the root that you know to be accepted')
    .option(
      '--rpc <url>',
      'ask the Checkpoints contract; needs --network or --contract; of several all must agree',
      (url: string, urls: string[] = []) => [...urls, url],
    )
    .option('--contract <address>', "the contract's address; the manifest's unless given")
    .option('--chain-id <id>', "its chain's id; the manifest's unless given", positive)
    .option('--finality <blocks>', "blocks upon the one asked about; the manifest's, or 0", whole)
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
