/** `cairn claim`, and the totals that `cairn earnings` shows. */
import { resolve } from 'node:path'
import type { ClaimDone, EarningsStanding, Json, OperatorStanding } from '@cairn/node'
import { check, equalBytes, parseProofFile, unitsText } from '@cairn/protocol'
import { accountGiven } from '../amounts.ts'
import { readText } from '../input.ts'
import { readManifest } from '../manifest.ts'
import { openClaims, requireGift, strangerOf } from '../operator.ts'
import type { Commands } from '../run.ts'
import type { Session } from '../session.ts'
import { whole } from './numbers.ts'

interface ClaimOptions {
  for?: string[]
  all?: true
  bond?: number
  proof?: string
  dryRun?: true
  yes?: true
}

export function claimCommand({ program, action }: Commands): void {
  program
    .command('claim')
    .description('have paid what this node earned, or other accounts')
    .option('--for <account...>', 'pay these accounts instead')
    .option('--all', 'pay everybody who has something due')
    .option('--bond <index>', 'add it to the bond of this node instead', whole)
    .option('--yes', 'with --bond: give the tokens to its operator, where that is another account')
    .option('--proof <file>', 'by a proof file, without a daemon: pays the account that it is of')
    .option('--dry-run', 'say what would be paid and what it costs, and send nothing')
    .action(action(claim))
}

async function claim(session: Session, options: ClaimOptions) {
  const { all = false, bond, proof, dryRun = false, yes = false } = options
  const accounts = (options.for ?? []).map(accountGiven)
  check([all, accounts.length > 0, bond !== undefined].filter(Boolean).length <= 1, 'usage', BOTH, {
    next: 'pass one of --for, --all and --bond',
  })
  if (proof !== undefined) return await claimByProof(session, proof, { bond, dryRun, yes })
  const api = await session.api()
  const bonded =
    bond === undefined
      ? undefined
      : await api.json<Json<OperatorStanding>>('/v1/operator', { query: { node: bond } })
  if (bonded !== undefined) requireGift(bonded, yes || dryRun)
  const done = await api.json<Json<ClaimDone>>('/v1/claims', {
    method: 'POST',
    query: {
      accounts: accounts.length === 0 ? undefined : accounts.join(','),
      all: String(all),
      bond,
      dryRun: String(dryRun),
    },
  })
  if (done.done === 'before' && !all) {
    const query = { accounts: accounts.length === 0 ? undefined : accounts.join(',') }
    const standing = await api.json<Json<EarningsStanding>>('/v1/claims', { query })
    session.output.result(
      done,
      ['nothing can be claimed now', ...standingLines(standing)].join('\n'),
    )
    return undefined
  }
  session.output.result(done, claimText(done, bonded))
  return undefined
}

const BOTH = 'these options exclude each other'

async function claimByProof(
  session: Session,
  file: string,
  { bond, dryRun, yes }: { bond: number | undefined; dryRun: boolean; yes: boolean },
) {
  const proof = parseProofFile(await readText(resolve(session.world.cwd, file)))
  const { values } = await session.config()
  const { claimableOfProof, networkIdOf, parseManifest } = await import('@cairn/node')
  const manifest = parseManifest(await readManifest(values.network))
  check(
    equalBytes(networkIdOf(manifest), proof.network),
    'otherNetwork',
    'the proof is of another network',
    { next: 'pass the manifest of its network with --network' },
  )
  const payouts = claimableOfProof(proof)
  const accounts = proof.payout === undefined ? [] : [proof.payout.account]
  const desk = await openClaims(session, payouts, manifest)
  try {
    const bonded = bond === undefined ? undefined : await desk.standing(bond)
    if (bonded !== undefined) requireGift(bonded, yes || dryRun)
    const done = await desk.claim({ accounts, all: false, bond, dryRun })
    const standing = done.done === 'before' ? await desk.earnings(accounts) : undefined
    const text =
      standing === undefined
        ? claimText(done, bonded)
        : ['nothing can be claimed now', ...standingLines(standing)].join('\n')
    session.output.result(done, text)
  } finally {
    await desk.close()
  }
  return undefined
}

function claimText(done: Json<ClaimDone>, bonded: Json<OperatorStanding> | undefined): string {
  const { epoch, paid, total, funded, gas, fee, transactions } = done
  if (done.done === 'before') return 'nothing can be claimed now'
  const stranger = bonded && strangerOf(bonded)
  const whose =
    stranger === undefined ? '' : `, which is of 0x${stranger}, who alone has its bond back`
  const where =
    bonded === undefined ? '' : `, added to the bond of node ${bonded.node?.index}${whose}`
  const cost = `${gas} gas, ${unitsText(BigInt(fee))} ether`
  return [
    `${done.done === 'dryRun' ? 'would pay' : 'paid'} ${unitsText(BigInt(total))} tokens up to epoch ${epoch}${where}`,
    ...paid.map(({ account, amount }) => `  0x${account}  ${unitsText(BigInt(amount))}`),
    ...(funded
      ? [
          done.done === 'dryRun'
            ? `  the checkpoint has to be opened for claims first: that costs about ${cost}; the claim comes on top, with up to about 86,000 gas an account; nothing was sent`
            : '  opened the checkpoint for claims first, which nobody had done',
        ]
      : []),
    ...(done.done === 'now' ? [`  cost ${cost}, ${transactions.join(' ')}`] : []),
    ...(done.done === 'dryRun' && !funded
      ? [`  costs about ${cost}, as a rule somewhat less; nothing was sent`]
      : []),
  ].join('\n')
}

/** What accounts have earned and claimed, and when more can be. */
function standingLines(standing: Json<EarningsStanding>): string[] {
  const { accounts, epoch, active, funded, nextActiveAt } = standing
  const rows = accounts.flatMap(({ account, earned, spent, claimed, claimable, waiting }) => [
    `0x${account}`,
    `  earned     ${unitsText(BigInt(earned))} tokens up to epoch ${epoch}`,
    `  spent      ${unitsText(BigInt(spent))}`,
    `  claimed    ${unitsText(BigInt(claimed))}`,
    `  claimable  ${unitsText(BigInt(claimable))}`,
    ...(BigInt(waiting) === 0n ? [] : [`  waiting    ${unitsText(BigInt(waiting))}`]),
  ])
  const next =
    nextActiveAt === undefined
      ? []
      : [
          `the next checkpoint can be claimed from at ${new Date(nextActiveAt * 1_000).toISOString()}`,
        ]
  const open =
    active === undefined
      ? 'no checkpoint can be claimed from yet'
      : funded === undefined || funded < active
        ? `claims go up to epoch ${active}, which \`cairn claim\` opens first`
        : `claims go up to epoch ${active}`
  const opened =
    funded === undefined
      ? 'no epoch is opened for claims yet'
      : `the last epoch opened for claims is ${funded}`
  return [...rows, open, opened, ...next]
}

export async function totals(session: Session, accounts: readonly string[]) {
  const api = await session.api()
  const query = { accounts: accounts.length === 0 ? undefined : accounts.join(',') }
  const standing = await api.json<Json<EarningsStanding>>('/v1/claims', { query })
  session.output.result(standing, standingLines(standing).join('\n'))
  return undefined
}
