import type {
  Json,
  PreviewView,
  VoteAct,
  VoteParameter,
  VoteProposal,
  Votes,
  VotingPower,
} from '@cairn/node'
import {
  check,
  durationText,
  parameterOf,
  parameterText,
  parseParameter,
  requireVotedNumber,
  tokenText,
  votedNumberOf,
} from '@cairn/protocol'
import { Argument } from 'commander'
import type { Commands } from '../run.ts'
import type { Session } from '../session.ts'
import { tokens } from './earnings.ts'
import { within } from './numbers.ts'

/** What the API settles at most. */
const PREVIEW_EPOCHS_MAX = 48

/** Digits of an id that are shown in lists, and enough to name it. */
const ID_CHARS = 12
const ID = 'its id, or the first digits'
/** The longest name of a parameter. */
const NAME_CHARS = 14
const MOVES = {
  queue: 'have what has passed wait to be carried out; anybody may',
  execute: 'carry out what has waited; anybody may',
  cancel: 'cancel a proposal of one’s own before voting begins; the guardian any',
} as const

export function voteCommand({ program, action }: Commands): void {
  const vote = program.command('vote').description('what token holders decide about the network')
  vote
    .command('preview')
    .description('settle the last epochs again under other parameters: who would earn what')
    .argument('[id]', `a proposal whose changes to take: ${ID}`)
    .option('--set <name=value>', 'a parameter and what it would be; may be given again')
    .option(
      '--epochs <n>',
      `how many, at most ${PREVIEW_EPOCHS_MAX}`,
      within(1, PREVIEW_EPOCHS_MAX),
      10,
    )
    .action(action(preview))
  vote
    .command('list')
    .description('proposals, the newest first, and the votes of this node’s account')
    .action(action(list))
  vote
    .command('parameters')
    .description('what can be voted on: as it is now, its bounds, and what one vote moves it by')
    .action(action(parameters))
  vote
    .command('show')
    .description('what a proposal would change, how votes stand, and what to do next')
    .argument('<id>', ID)
    .action(action(show))
  vote
    .command('propose')
    .description('propose other parameters')
    .option('--set <name=value>', 'a parameter and what it is to be; may be given again')
    .requiredOption('--title <text>', 'what it is for, in a sentence')
    .action(action(propose))
  vote
    .command('cast')
    .description('vote with the bonds and the delegated tokens of this node’s account')
    .argument('<id>', ID)
    .addArgument(new Argument('<support>').choices(['for', 'against', 'abstain']))
    .action(action(cast))
  for (const [act, description] of Object.entries(MOVES)) {
    vote
      .command(act)
      .description(description)
      .argument('<id>', ID)
      .action(action((session: Session, id: string) => move(session, act, id)))
  }
  vote
    .command('delegate')
    .description('have the account’s tokens vote: for itself, or for another account')
    .argument('[account]', 'absent: itself')
    .action(action(delegate))
}

async function list(session: Session) {
  const api = await session.api()
  const found = await api.json<Json<Votes>>('/v1/votes')
  const lines = found.proposals.map(
    ({ id, state, title }) => `${id.slice(0, ID_CHARS)}  ${state.padEnd(9)}  ${title}`,
  )
  const proposals = lines.length === 0 ? ['nothing was proposed yet'] : lines
  session.output.result(found, [...proposals, '', ...powerLines(found.power)].join('\n'))
  return undefined
}

async function parameters(session: Session) {
  const api = await session.api()
  const found = await api.json<Json<{ parameters: VoteParameter[] }>>('/v1/votes/parameters')
  session.output.result(found, found.parameters.map(parameterLines).join('\n'))
  session.output.note('see who would earn what with `cairn vote preview --set NAME=VALUE`')
  return undefined
}

async function show(session: Session, id: string) {
  const api = await session.api()
  const found = await api.json<Json<VoteProposal>>(pathOf(id))
  session.output.result(found, proposalText(found))
  session.output.note(nextStep(found))
  return undefined
}

async function propose(session: Session, { title }: { title: string }) {
  const given = takeParameters(session)
  check(given.length > 0, 'usage', 'expected what is to change', {
    next: 'name it as in --set baseShare=0.4; `cairn vote parameters` lists what there is',
  })
  const api = await session.api()
  const done = await api.json<Json<VoteAct>>('/v1/votes/propose', {
    method: 'POST',
    query: { set: given.map(assignment => assignment.join('=')).join(','), title },
  })
  const { id, starts, ends } = done.proposal
  const times = `voting is from ${timeText(starts)} to ${timeText(ends)}`
  session.output.result(done, [`proposed ${id}`, times].join('\n'))
  // No epoch pays otherwise for what contracts alone read.
  const same = given
    .filter(([name]) => parameterOf(name) !== undefined)
    .map(assignment => `--set ${assignment.join('=')}`)
  if (same.length > 0) {
    session.output.note(`see who would earn what with \`cairn vote preview ${same.join(' ')}\``)
  }
  session.output.note(nextStep(done.proposal))
  return undefined
}

async function cast(session: Session, id: string, support: string) {
  const api = await session.api()
  const options = { method: 'POST', query: { support } } as const
  const done = await api.json<Json<VoteAct>>(`${pathOf(id)}/cast`, options)
  const { proposal } = done
  const votes = tokenText(BigInt(proposal.own.votes))
  session.output.result(done, [`voted ${support} with ${votes}`, tally(proposal)].join('\n'))
  session.output.note(nextStep(proposal))
  return undefined
}

async function move(session: Session, act: string, id: string) {
  const api = await session.api()
  const done = await api.json<Json<VoteAct>>(`${pathOf(id)}/${act}`, { method: 'POST' })
  session.output.result(done, `${done.proposal.state}: ${done.proposal.title}`)
  session.output.note(nextStep(done.proposal))
  return undefined
}

async function delegate(session: Session, account: string | undefined) {
  const api = await session.api()
  const query: Record<string, string> = account === undefined ? {} : { to: account }
  const path = '/v1/votes/delegate'
  const power = await api.json<Json<VotingPower>>(path, { method: 'POST', query })
  session.output.result(power, powerLines(power).join('\n'))
  session.output.note('it counts for proposals on which voting begins from now on')
  return undefined
}

async function preview(session: Session, id: string | undefined, { epochs }: { epochs: number }) {
  const asked = takeParameters(session)
  check(asked.length > 0 || id !== undefined, 'usage', 'expected what would change', {
    next: 'name a proposal, or a parameter as in --set weight.2=2',
  })
  const api = await session.api()
  const proposed = id === undefined ? [] : await proposedBy(session, id)
  const given = [...new Map([...proposed, ...asked])]
  const found = await api.json<Json<PreviewView>>('/v1/votes/preview', {
    query: { set: given.map(assignment => assignment.join('=')).join(','), epochs },
  })
  session.output.result(found, previewText(found))
  return undefined
}

/** Throws `usage` for one given twice, and `badParameter` for what is no parameter or no value of it. */
function takeParameters(session: Session): (readonly [name: string, value: string])[] {
  const given = session.takeParameters()
  const seen = new Set<string>()
  for (const [name, value] of given) {
    check(!seen.has(name), 'usage', `--set names ${name} twice`, {
      facts: { name },
      next: 'give each parameter one value',
    })
    seen.add(name)
    parseParameter(name, value)
  }
  return given
}

/** What a proposal sets of the parameters that nodes pay by. Throws `notPreviewed` where it is none. */
async function proposedBy(session: Session, id: string): Promise<[name: string, value: string][]> {
  const api = await session.api()
  const { calls } = await api.json<Json<VoteProposal>>(pathOf(id))
  const changes = calls.flatMap(({ change }): [string, string][] => {
    if (change === undefined) return []
    const parameter = parameterOf(change.name)
    if (parameter === undefined) return []
    return [[parameter.name, parameterText(parameter, BigInt(change.proposed))]]
  })
  check(changes.length > 0, 'notPreviewed', 'the proposal changes nothing that nodes pay by', {
    facts: { calls: calls.length },
    next: 'see what it does with `cairn vote show`',
  })
  const others = calls.length - changes.length
  if (others > 0)
    session.output.note(`${others} more of its calls change nothing that nodes pay by`)
  return changes
}

function parameterLines({ name, now, least, most, step }: Json<VoteParameter>): string {
  const parameter = requireVotedNumber(name)
  const text = (value: string) => parameterText(parameter, BigInt(value))
  const unit = parameter.unit === 'tokens' ? ' tokens' : ''
  const bounds = `from ${text(least)} to ${text(most)}, by ${text(step)} a vote`
  return `${name.padEnd(NAME_CHARS)} ${text(now)}${unit}, ${bounds}\n  ${parameter.about}`
}

/** The sums to the last unit, what each earns to a millionth. */
function previewText(found: Json<PreviewView>): string {
  const { first, last, epochs, asked, changes, before, after, earners } = found
  const sum = (name: keyof typeof before) => `${exact(before[name])} -> ${exact(after[name])}`
  return [
    `${changes.map(changeText).join(', ')}, had it been so in epochs ${first} to ${last}:`,
    ...(epochs < asked ? [`this ledger has ${epochs} of the ${asked} epochs asked for`] : []),
    ...earners.flatMap(earner => earnerLines(earner)),
    `paid ${sum('payouts')}, burned ${sum('burned')}, not minted ${sum('unminted')}`,
    'each epoch is settled from what was said in it: nobody acts otherwise here than they did',
  ].join('\n')
}

function changeText({ name, before, after }: Json<PreviewView>['changes'][number]): string {
  const parameter = requireVotedNumber(name)
  const text = (value: string) => parameterText(parameter, BigInt(value))
  return `${name} ${text(before)} -> ${text(after)}`
}

function earnerLines(earner: Json<PreviewView>['earners'][number]): string[] {
  const { penalties, shares } = earner
  const penalised = penalties.before !== '0' || penalties.after !== '0'
  return [
    `0x${earner.earner}  ${comparedText(earner)}`,
    ...shares.map(share => `  ${share.source.padEnd(40)}  ${comparedText(share)}`),
    ...(penalised ? [`  ${'reported for penalties'.padEnd(40)}  ${comparedText(penalties)}`] : []),
  ]
}

function comparedText({ before, after }: { before: string; after: string }): string {
  const gain = BigInt(after) - BigInt(before)
  const sign = gain < 0n ? '-' : '+'
  const change = `${sign}${tokens(gain < 0n ? -gain : gain)}`
  return `${tokens(BigInt(before)).padStart(14)} -> ${tokens(BigInt(after)).padStart(14)}  ${change.padStart(14)}`
}

function exact(amount: string): string {
  return parameterText({ unit: 'tokens' }, BigInt(amount))
}

function proposalText(proposal: Json<VoteProposal>): string {
  const { id, title, proposer, state, starts, ends, executableAt, own } = proposal
  return [
    title,
    `id        ${id}`,
    `by        ${proposer}`,
    `state     ${state}`,
    ...proposal.calls.map(call => `would     ${callText(call)}`),
    `voting    ${timeText(starts)} to ${timeText(ends)}`,
    ...(executableAt === 0 ? [] : [`waits     to ${timeText(executableAt)}`]),
    `votes     ${tally(proposal)}`,
    `yours     ${tokenText(BigInt(own.votes))}${own.cast ? ', cast' : ''}`,
  ].join('\n')
}

function callText(call: Json<VoteProposal>['calls'][number]): string {
  const { change } = call
  const parameter = change && votedNumberOf(change.name)
  if (change === undefined || parameter === undefined) {
    return `call ${call.contract}.${call.function ?? 'unknown'}(${call.arguments.join(', ')})`
  }
  const text = (value: string) => parameterText(parameter, BigInt(value))
  return `set ${change.name} to ${text(change.proposed)}, now ${text(change.now)}: ${parameter.about}`
}

function tally({ for: for_, against, abstain, quorum }: Json<VoteProposal>): string {
  const text = (amount: string | bigint) => parameterText({ unit: 'tokens' }, BigInt(amount))
  const missing = BigInt(quorum) - BigInt(for_) - BigInt(abstain)
  const reached = missing > 0n ? `${text(missing)} missing to the quorum` : 'the quorum is reached'
  return `${text(for_)} for, ${text(against)} against, ${text(abstain)} abstain; ${reached}`
}

function nextStep({ id, state, now, starts, ends, executableAt, own }: Json<VoteProposal>): string {
  const short = id.slice(0, ID_CHARS)
  switch (state) {
    case 'pending':
      return `vote in ${durationText(starts - now + 1)} with \`cairn vote cast ${short} for\`, or against`
    case 'active':
      return own.cast
        ? `voting ends in ${durationText(ends - now)}; if it passes, queue it with \`cairn vote queue ${short}\``
        : `vote with \`cairn vote cast ${short} for\`, or against; it ends in ${durationText(ends - now)}`
    case 'succeeded':
      return `it has passed: queue it with \`cairn vote queue ${short}\``
    case 'queued':
      return executableAt <= now
        ? `carry it out with \`cairn vote execute ${short}\``
        : `carry it out in ${durationText(executableAt - now)} with \`cairn vote execute ${short}\``
    case 'executed':
      return 'nodes go by it from the first epoch on whose base has it'
    default:
      return 'nothing more can be done about it'
  }
}

function powerLines({ votes, bonded, tokens, delegate, threshold }: Json<VotingPower>): string[] {
  const text = (amount: string) => tokenText(BigInt(amount))
  const idle = delegate === undefined && BigInt(tokens) > 0n
  return [
    `this account votes with ${text(votes)}, ${text(bonded)} of it bonded; proposing takes ${text(threshold)}`,
    ...(idle ? [`its ${text(tokens)} vote for nobody: \`cairn vote delegate\` changes that`] : []),
  ]
}

function pathOf(id: string): string {
  return `/v1/votes/${encodeURIComponent(id)}`
}

function timeText(seconds: number): string {
  return new Date(seconds * 1_000).toISOString().replace('.000Z', 'Z')
}
