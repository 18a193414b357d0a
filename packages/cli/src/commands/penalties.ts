import type { Json, PenaltyDetails, PenaltyView, RecomputeView } from '@cairn/node'
import {
  Checkpoint,
  decode,
  hex,
  KINDS,
  messageId,
  type PenaltyFault,
  penaltyFault,
  plainVerifier,
  rulebook,
  tokenText,
  unhex,
} from '@cairn/protocol'
import { EXIT_CODES } from '../exit-codes.ts'
import type { Commands } from '../run.ts'
import type { Session } from '../session.ts'
import { tokens } from './earnings.ts'
import { whole } from './numbers.ts'

const FAULTS: Readonly<Record<PenaltyFault, string>> = {
  notRecorded: 'the checkpoint does not record it',
  notTheEvidence: 'the messages are not those that the checkpoint names, or are one message',
  otherAuthor: 'another node said one of them',
  otherSubject: 'they are about two things, or of another epoch, and so no contradiction',
  badSignature: 'the node did not sign one of them',
  tooMuch: 'it takes more than its part of the bond',
}

const STATES: Readonly<Record<Json<PenaltyView>['state'], string>> = {
  open: 'not taken yet, as far as this node knows',
  taken: 'taken',
  capReached: 'not taken: others lost all that one epoch may cost',
  noBond: 'not taken: the node has no bond left',
  lapsed: 'not taken: the chain no longer has what proves it',
  refused: 'not taken: the contract refused it (see the log)',
}

export function penaltiesCommand({ program, action }: Commands): void {
  const penalties = program
    .command('penalties')
    .description('what cost bond, with the evidence, and whether it is right')
  penalties
    .command('list', { isDefault: true })
    .description('list what cost bond, or was to, the latest first')
    .action(action(list))
  penalties
    .command('show')
    .description('print one penalty with both messages')
    .argument('<epoch>', '', whole)
    .argument('<node>', '', whole)
    .action(action(show))
  penalties
    .command('verify')
    .description('check a penalty from its two messages, or by settling its epoch again')
    .argument('<epoch>', '', whole)
    .argument('<node>', '', whole)
    .action(action(verifyOne))
}

async function list(session: Session) {
  const api = await session.api()
  const found = await api.json<{ penalties: Json<PenaltyView>[] }>('/v1/penalties')
  const lines = found.penalties.map(line)
  session.output.result(found, lines.length === 0 ? 'no penalties' : lines.join('\n'))
  return undefined
}

function line({ epoch, node, own, offence, amount, state }: Json<PenaltyView>): string {
  const lost = (amount === undefined ? 'its part' : tokens(BigInt(amount))).padStart(14)
  const notes = [
    STATES[state],
    ...(amount === undefined ? ['in no checkpoint'] : []),
    ...(own ? ['yours'] : []),
  ]
  return `epoch ${epoch}  node ${node}  ${lost}  ${whatOf(offence)}, ${notes.join(', ')}`
}

/** What cost bond, by what evidence, and how to check it. */
export function penaltyLines(penalty: Json<PenaltyView>): string[] {
  const { epoch, node, amount, offence, evidence, rival, state } = penalty
  const lost = amount === undefined ? 'its part of the bond' : tokenText(BigInt(amount))
  const against = rival === undefined ? '' : ` against ${rival}`
  return [
    `node ${node}: penalised ${lost} for ${whatOf(offence)}, ${STATES[state]}`,
    `  evidence ${evidence}${against}`,
    ...(amount === undefined ? [] : [`  -> cairn penalties verify ${epoch} ${node}`]),
  ]
}

function whatOf(offence: string): string {
  return offence === 'sealedWrong' ? 'a second wrong leaf, sealed' : `two ${offence}s`
}

async function detailsOf(session: Session, epoch: number, node: number) {
  const api = await session.api()
  return await api.json<Json<PenaltyDetails>>(`/v1/penalties/${epoch}/${node}`)
}

async function show(session: Session, epoch: number, node: number) {
  const found = await detailsOf(session, epoch, node)
  const { evidence, rival, bond, root, messages } = found
  session.output.result(
    found,
    [
      line(found),
      `  bond at the base  ${tokens(BigInt(bond))}`,
      `  evidence          ${evidence}`,
      ...(rival === undefined ? [] : [`  against           ${rival}`]),
      `  checkpoint        ${root}`,
      ...messages.map(({ body }, i) => `  message ${i + 1}         ${body}`),
      `  check it: cairn penalties verify ${epoch} ${node}`,
    ].join('\n'),
  )
  return undefined
}

async function verifyOne(session: Session, epoch: number, node: number) {
  const found = await detailsOf(session, epoch, node)
  const [first, second] = found.messages
  const result =
    first === undefined || second === undefined
      ? await resettle(session, found)
      : contradiction(found, [envelopeOf(first), envelopeOf(second)])
  session.output.result({ epoch, node, ...result }, result.text)
  return result.right ? undefined : EXIT_CODES.notTrue.code
}

function envelopeOf({ type, body, signature }: Json<PenaltyDetails>['messages'][number]) {
  return { type, body: unhex(body), signature: unhex(signature) }
}

type Envelopes = readonly [ReturnType<typeof envelopeOf>, ReturnType<typeof envelopeOf>]

/** Of what the daemon says nothing is believed but the node's keys, its bond and the root. */
function contradiction(found: Json<PenaltyDetails>, messages: Envelopes) {
  const { node, amount, evidence, position, offence, root } = found
  const fault = penaltyFault(
    {
      network: unhex(found.network),
      penalty: { node, amount: BigInt(amount), evidence: unhex(evidence) },
      checkpoint: decode(Checkpoint, unhex(found.checkpoint)),
      position,
      path: found.path.map(unhex),
      identity: unhex(found.identity),
      voting: unhex(found.voting),
      bond: BigInt(found.bond),
      share: BigInt(found.share),
      messages,
    },
    { book: rulebook(KINDS), verifier: plainVerifier },
  )
  const ids = messages.map(message => hex(messageId(message))).join(' and ')
  const text =
    fault === undefined
      ? `right: node ${node} signed ${whatOf(offence)} that contradict each other, ${ids};\nchecked: both signatures, their subject, the amount, and the way into checkpoint ${root}`
      : `wrong: ${FAULTS[fault]}`
  return { right: fault === undefined, ...(fault && { fault }), text }
}

/** What a kind found follows from the whole epoch, and nothing less. */
async function resettle(session: Session, { epoch, node, amount, evidence }: Json<PenaltyDetails>) {
  const api = await session.api()
  const again = await api.json<Json<RecomputeView>>(`/v1/ledger/${epoch}/recompute`, {
    method: 'POST',
  })
  const same = again.penalties.some(
    penalty => penalty.node === node && penalty.amount === amount && penalty.evidence === evidence,
  )
  const right = again.equal && same
  const text = right
    ? `right: ${again.messages} messages of epoch ${epoch} settle to the accepted root, with this penalty`
    : `wrong: the messages of epoch ${epoch} settle ${again.equal ? 'without it' : 'to another root'}`
  return { right, text }
}
