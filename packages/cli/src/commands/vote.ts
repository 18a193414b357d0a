import type { Json, PreviewView } from '@cairn/node'
import { check, parameterText, parseParameter, requireParameter } from '@cairn/protocol'
import type { Commands } from '../run.ts'
import type { Session } from '../session.ts'
import { tokens } from './earnings.ts'
import { within } from './numbers.ts'

/** What the API settles at most. */
const PREVIEW_EPOCHS_MAX = 48

export function voteCommand({ program, action }: Commands): void {
  const vote = program.command('vote').description('what token holders decide about the network')
  vote
    .command('preview')
    .description('settle the last epochs again under other parameters: who would earn what')
    .option('--set <name=value>', 'a parameter and what it would be; may be given again')
    .option(
      '--epochs <n>',
      `how many, at most ${PREVIEW_EPOCHS_MAX}`,
      within(1, PREVIEW_EPOCHS_MAX),
      10,
    )
    .action(action(preview))
}

async function preview(session: Session, { epochs }: { epochs: number }) {
  const given = session.takeParameters()
  check(given.length > 0, 'usage', 'expected what would change', {
    next: 'name it as in --set weight.2=2',
  })
  for (const [name, value] of given) parseParameter(name, value)
  const api = await session.api()
  const found = await api.json<Json<PreviewView>>('/v1/votes/preview', {
    query: { set: given.map(assignment => assignment.join('=')).join(','), epochs },
  })
  session.output.result(found, previewText(found))
  return undefined
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
  const parameter = requireParameter(name)
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
