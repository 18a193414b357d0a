/**
 * The proof file: one leaf of an epoch's checkpoint with its way to the root, in JSON. It says all
 * that is needed to check it offline; only that the chain accepted this checkpoint is left to ask.
 */
import * as z from 'zod'
import { Checkpoint, checkpointRoot } from './checkpoint.ts'
import { CairnError, check } from './errors.ts'
import { type Envelope, Envelope as EnvelopeCodec, messageId } from './messages.ts'
import { decode, equalBytes, hex, unhex } from './ssz.ts'
import { Payout } from './state.ts'
import { CHECKPOINT_DEPTH, type Inclusion, ListDepth, verifyInclusion } from './tree.ts'

export const PROOF_FILE_SCHEMA = 1

/** The longest one holds a message of 16 KiB, in hexadecimal; the rest is under 8 KiB. */
export const PROOF_FILE_MAX_CHARS = 64 * 1024
const NEXT = 'pass the file that `cairn ledger prove` wrote'

const CHECKPOINT_DIGITS = 2 * 468
const PATH_NODES_MAX = 64
const MESSAGE_DIGITS_MAX = 2 * 16 * 1024

const digits = z.string().regex(/^([0-9a-f]{2})*$/, 'expected lower-case hexadecimal digits')
const root = digits.length(64)
const amount = z.string().regex(/^(0|[1-9][0-9]{0,38})$/, 'expected a decimal string')

/** Its JSON form; bytes are hexadecimal without prefix, amounts decimal strings. */
export const ProofFileSchema = z.strictObject({
  schema: z.literal(PROOF_FILE_SCHEMA),
  /** Network id. */
  network: root,
  epoch: z.int().min(0),
  /** The whole container, 468 bytes; its SSZ root is what the chain accepted. */
  checkpoint: digits.length(CHECKPOINT_DIGITS),
  field: z.enum(['messages', 'payouts', 'penalties', 'deals']),
  /** Place in the field's list. */
  index: z
    .int()
    .min(0)
    .max(2 ** 32 - 1),
  leaf: root,
  /** Siblings from the leaf upwards. */
  path: z.array(root).max(PATH_NODES_MAX),
  /** With `messages`: the envelope whose id the leaf is. */
  message: digits.max(MESSAGE_DIGITS_MAX).optional(),
  /** With `payouts`: the totals whose root the leaf is. */
  payout: z.strictObject({ account: digits.length(40), earned: amount, spent: amount }).optional(),
})
export type ProofFileJson = z.infer<typeof ProofFileSchema>

export interface ProofFile {
  /** Network id, 32 bytes. */
  network: Uint8Array
  epoch: number
  checkpoint: Checkpoint
  inclusion: Omit<Inclusion, 'index'>
  message?: Envelope
  payout?: Payout
}

export function encodeProofFile(proof: ProofFile): ProofFileJson {
  const { inclusion, message, payout } = proof
  return {
    schema: PROOF_FILE_SCHEMA,
    network: hex(proof.network),
    epoch: proof.epoch,
    checkpoint: hex(Checkpoint.serialize(proof.checkpoint)),
    field: inclusion.field,
    index: inclusion.position,
    leaf: hex(inclusion.leaf),
    path: inclusion.path.map(hex),
    ...(message === undefined ? {} : { message: hex(EnvelopeCodec.serialize(message)) }),
    ...(payout === undefined
      ? {}
      : {
          payout: {
            account: hex(payout.account),
            earned: String(payout.earned),
            spent: String(payout.spent),
          },
        }),
  }
}

/** Reads a proof file's text. Throws `badProofFile`; says nothing of whether the proof holds. */
export function parseProofFile(text: string): ProofFile {
  check(
    text.length <= PROOF_FILE_MAX_CHARS,
    'badProofFile',
    `expected at most ${PROOF_FILE_MAX_CHARS} characters, found ${text.length}`,
  )
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (cause) {
    throw new CairnError('badProofFile', 'not a proof file: it is not JSON', { cause, next: NEXT })
  }
  const result = ProofFileSchema.safeParse(json)
  if (!result.success) {
    const issue = result.error.issues[0]
    const path = issue?.path.join('.')
    const where = path === '' ? 'it' : `its '${path}'`
    throw new CairnError('badProofFile', `not a proof file: ${where} is wrong: ${issue?.message}`, {
      facts: { path },
      next: NEXT,
    })
  }
  const file = result.data
  return {
    network: unhex(file.network),
    epoch: file.epoch,
    checkpoint: decode(Checkpoint, unhex(file.checkpoint)),
    inclusion: {
      field: file.field,
      position: file.index,
      leaf: unhex(file.leaf),
      path: file.path.map(unhex),
    },
    ...(file.message === undefined ? {} : { message: decode(EnvelopeCodec, unhex(file.message)) }),
    ...(file.payout === undefined
      ? {}
      : {
          payout: {
            account: unhex(file.payout.account),
            earned: BigInt(file.payout.earned),
            spent: BigInt(file.payout.spent),
          },
        }),
  }
}

/**
 * Checks a proof against its own checkpoint and resolves with that checkpoint's root, which the
 * reader compares with the chain's. Throws `badProof`, saying what does not hold.
 */
export function verifyProofFile(proof: ProofFile): Uint8Array {
  const { checkpoint, epoch, inclusion, message, payout } = proof
  const refuse = (text: string, facts: Record<string, string | number | bigint> = {}): never => {
    throw new CairnError('badProof', text, {
      facts,
      next: 'ask another node for the proof; do not rely on this file',
    })
  }
  if (checkpoint.epoch !== BigInt(epoch)) {
    refuse('the checkpoint is of another epoch', { epoch, checkpoint: checkpoint.epoch })
  }
  const levels = ListDepth[inclusion.field] + 1 + CHECKPOINT_DEPTH
  if (inclusion.path.length !== levels) {
    refuse(`expected a path of ${levels} nodes`, { found: inclusion.path.length })
  }
  if (message !== undefined) {
    if (inclusion.field !== 'messages') refuse(`a message is no leaf of ${inclusion.field}`)
    if (!equalBytes(messageId(message), inclusion.leaf)) refuse('the leaf is not the message’s id')
  }
  if (payout !== undefined) {
    if (inclusion.field !== 'payouts') refuse(`a payout is no leaf of ${inclusion.field}`)
    if (!equalBytes(Payout.hashTreeRoot(payout), inclusion.leaf)) {
      refuse('the leaf is not the root of the payout')
    }
  }
  const top = checkpointRoot(checkpoint)
  if (!verifyInclusion(top, inclusion)) refuse('the leaf does not climb to the checkpoint’s root')
  return top
}
