import type { Json, NodeStatus } from '@cairn/node'
import { durationText } from '@cairn/protocol'
import { EXIT_CODES } from '../exit-codes.ts'
import type { Output } from '../output.ts'
import type { Commands } from '../run.ts'

export function statusCommand({ program, action }: Commands): void {
  program
    .command('status')
    .description('say whether the node is of use, and if not, why; exits non-zero then')
    .action(
      action(async session => {
        const { output } = session
        const api = await session.api()
        const status = await api.json<Json<NodeStatus>>('/v1/status')
        output.result(status, statusText(output, status, session.world.now()))
        return status.ready ? EXIT_CODES.ok.code : EXIT_CODES.notReady.code
      }),
    )
}

function statusText(output: Output, status: Json<NodeStatus>, now: number): string {
  const { name, index, network, epoch, accepted, peers, radios, reasons, ready } = status
  const who = index === undefined ? 'not registered' : `node ${index}`
  const state = ready ? output.style('green', 'useful') : output.style('red', 'of no use now')
  return [
    `${output.style('bold', name)} (${who}) on ${network.name}: ${state}`,
    `  ${epochText(epoch, accepted, now)}; ${peers} peers`,
    ...reasons.map(reason => healthLine(output, reason)),
    ...radios.flatMap(radio => radioLines(output, radio)),
  ].join('\n')
}

/** Before genesis there is no slot to speak of. */
export function epochText(epoch: Json<NodeStatus>['epoch'], accepted: number, now: number): string {
  const { number, slot, slotsPerEpoch, startsAt, endsAt } = epoch
  if (number >= 0)
    return `epoch ${number}, slot ${slot} of ${slotsPerEpoch}; accepted up to ${accepted}`
  const genesis = startsAt - number * (endsAt - startsAt)
  const wait = durationText(Math.max(0, Math.ceil((genesis - now) / 1_000)))
  return `genesis at ${new Date(genesis).toISOString().replace('.000Z', 'Z')}, in ${wait}`
}

/** A gateway, and below it what it lacks. */
function radioLines(output: Output, radio: Json<NodeStatus>['radios'][number]): string[] {
  const { name, index, eui, plan, online, lacks } = radio
  const who = index === undefined ? 'not registered' : `node ${index}`
  const state = online ? output.style('green', 'heard') : output.style('red', 'not heard')
  return [
    `  radio ${name} (${who}), ${eui === undefined ? 'no EUI known yet' : `EUI ${eui}`}, ${plan}: ${state}`,
    ...lacks.map(({ text, next }) => `       ${text}: ${next}`),
  ]
}

interface Finding {
  severity: string
  text: string
  next?: string | undefined
}

/** One finding with its next step. */
export function healthLine(output: Output, { severity, text, next }: Finding): string {
  const mark =
    severity === 'critical'
      ? output.style('red', 'fail')
      : severity === 'warning'
        ? output.style('yellow', 'warn')
        : output.style('green', 'ok  ')
  return `  ${mark} ${text}${next === undefined ? '' : `\n       ${next}`}`
}
