/** Every route of the API in one table, from which the server and the OpenAPI document follow. */
import {
  CairnError,
  check,
  encodeProofFile,
  NAME_MAX_BYTES,
  PLACES_MAX,
  parseParameter,
  unhex,
} from '@cairn/protocol'
import { z } from 'zod'
import type { Order } from '../chain/operator.ts'
import { REFERENCE_MAX_CHARS } from '../chain/transactions.ts'
import { SUPPORTS } from '../chain/voter.ts'
import { notFound } from './errors.ts'
import { toJson } from './json.ts'
import { PAGE_MAX, PREVIEW_EPOCHS_MAX } from './limits.ts'
import type { NodeView } from './node-view.ts'
import * as shapes from './shapes.ts'

export interface Route {
  method: 'GET' | 'POST'
  /** With parameters as OpenAPI writes them: `/v1/epochs/{epoch}`. */
  path: string
  summary: string
  /** Answered without a token. */
  open?: true
  params: z.ZodObject
  query: z.ZodObject
  response: z.ZodType
  answer: (view: NodeView, input: Input) => Promise<Answer>
}

/** A route whose body or response is a stream; the server knows how to serve each. */
export interface StreamRoute extends Omit<Route, 'answer' | 'response'> {
  stream: 'put' | 'pack' | 'get' | 'packets' | 'events' | 'metrics' | 'openapi'
  content: string
  response?: z.ZodType
}

interface Input {
  params: unknown
  query: unknown
}

export interface Answer {
  status?: number
  body: unknown
}

interface RouteInit<P extends z.ZodObject, Q extends z.ZodObject, R extends z.ZodType>
  extends Omit<Route, 'params' | 'query' | 'response' | 'answer'> {
  params?: P
  query?: Q
  response: R
  answer(
    view: NodeView,
    input: { params: z.output<P>; query: z.output<Q> },
  ): Promise<{ status?: number; body: z.input<R> }>
}

const EPOCH_MAX = 2 ** 32 - 1
/** Of a preview, unless it is said. */
const PREVIEW_EPOCHS = 10
const NONE = z.strictObject({})

const epoch = integer(0, EPOCH_MAX)
const id = z
  .string()
  .regex(/^(0x)?[0-9a-fA-F]{64}$/, 'expected 32 bytes in hexadecimal')
  .transform(unhex)
const account = z
  .string()
  .regex(/^(0x)?[0-9a-fA-F]{40}$/, 'expected 20 bytes in hexadecimal')
  .transform(unhex)

/** Base units: what fits in a uint128. */
const amount = z
  .string()
  .regex(/^(0|[1-9][0-9]{0,37})$/, 'expected base units as a whole number')
  .transform(BigInt)
const accounts = z
  .string()
  .regex(
    /^((0x)?[0-9a-fA-F]{40})(,(0x)?[0-9a-fA-F]{40}){0,255}$/,
    'expected accounts of 20 bytes in hexadecimal, at most 256',
  )
  .transform(text => text.split(',').map(unhex))
const flag = z.stringbool().default(false)
/** A node by its index, or one of the own by its identity. */
const choice = { node: integer(0, EPOCH_MAX).optional(), identity: id.optional() }
const cell = z
  .string()
  .regex(/^(0|[0-9a-fA-F]{15,16})$/, 'expected an H3 cell in hexadecimal')
  .transform(text => BigInt(`0x${text}`))
const GAIN_MAX = 32_767
const place = {
  cell,
  region: integer(0, 65_535),
  subBand: integer(0, 255),
  gain: z.coerce.number().int().min(-GAIN_MAX).max(GAIN_MAX),
}
const kinds = integer(0, EPOCH_MAX)
const REFERENCE = new RegExp(`^[A-Za-z0-9._-]{1,${REFERENCE_MAX_CHARS}}$`)
/** Under which the same is paid once. */
const reference = z
  .string()
  .regex(REFERENCE, `expected up to ${REFERENCE_MAX_CHARS} letters, digits, dots or dashes`)
  .optional()
/** What each order takes; all take `dryRun`. */
const ORDERS = {
  register: {
    summary: 'Registers a node whose keys are here, and bonds it',
    query: { ...choice, ...place, kinds, bond: amount.optional(), payout: account.optional() },
  },
  bond: { summary: 'Adds to the bond of a node', query: { ...choice, amount } },
  place: {
    summary: 'Changes where a node’s antenna is, for a fee that is burned',
    query: {
      ...choice,
      cell: place.cell.optional(),
      region: place.region.optional(),
      subBand: place.subBand.optional(),
      gain: place.gain.optional(),
    },
  },
  offer: {
    summary: 'Changes the account that a node’s rewards go to, and the kinds that it offers',
    query: { ...choice, payout: account.optional(), kinds: kinds.optional() },
  },
  exit: { summary: 'Asks to take a node out; its bond is free after a while', query: choice },
  withdraw: { summary: 'Takes the bond back of a node that has left', query: choice },
} as const

const assignments = z
  .string()
  .regex(/^[^=,]+=[^=,]+(,[^=,]+=[^=,]+)*$/, 'expected as in weight.2=2,feeBurn=0.2')

const TITLE_MAX_CHARS = 200
/** The first digits of a proposal's id. */
const proposal = z
  .string()
  .regex(/^(0x)?[0-9a-fA-F]{1,64}$/, 'expected the first digits of a proposal’s id')
  .transform(text => text.toLowerCase().replace(/^0x/, ''))
const ACTS = {
  queue: 'Has what has passed wait to be carried out',
  execute: 'Carries out what has waited',
  cancel: 'Cancels a proposal: for its proposer before voting begins, and for the guardian',
} as const

const location = z.string().min(1).max(4096)

const LINK_MAX_CHARS = 2048
const link = z.string().min(1).max(LINK_MAX_CHARS)
const indices = z
  .string()
  .regex(/^(0|[1-9][0-9]{0,9})(,(0|[1-9][0-9]{0,9})){0,63}$/, 'expected node indices, as in 4,7')
  .transform(text => text.split(',').map(Number))
/** A peer id; the longest with a key of ours takes 52. */
const peer = z.string().min(1).max(128)
/** k and n of an upload: both, or neither. */
const shape = {
  data: integer(1, PLACES_MAX).optional(),
  total: integer(1, PLACES_MAX).optional(),
}
const PutQuery = z.strictObject({ ...shape, name: z.string().max(NAME_MAX_BYTES).default('') })
const PackQuery = z.strictObject(shape)
const PacketsQuery = z.strictObject({
  gateways: indices,
  /** Data of these addresses: the first bits of one, as in `26000000/7`. */
  addresses: z
    .string()
    .regex(
      /^[0-9a-f]{8}\/[0-9]{1,2}(,[0-9a-f]{8}\/[0-9]{1,2}){0,15}$/i,
      'expected addresses with their bits, as in 26000000/7',
    )
    .transform(text => text.split(',').map(addressFilter))
    .pipe(z.array(z.object({ address: z.int(), bits: z.int().max(32) })))
    .optional(),
  joins: z.enum(['true', 'false']).default('false'),
  /** Packets taken of each gateway in a second. */
  perSecond: integer(1, 1_000).optional(),
})

/** Values as people write them, by name. Throws `badParameter`. */
function parametersOf(text: string): Map<string, bigint> {
  const values = new Map<string, bigint>()
  for (const assignment of text.split(',')) {
    const [name = '', value = ''] = assignment.split('=')
    check(!values.has(name), 'badParameter', `${name} is given twice`, {
      facts: { name },
      next: 'give each parameter one value',
    })
    values.set(name, parseParameter(name, value))
  }
  return values
}

function addressFilter(text: string): { address: number; bits: number } {
  const [address = '', bits] = text.split('/')
  return { address: Number.parseInt(address, 16), bits: Number(bits) }
}
/** Bytes of a range, both included. */
const GetQuery = z.strictObject({
  link,
  first: integer(0, Number.MAX_SAFE_INTEGER).optional(),
  last: integer(0, Number.MAX_SAFE_INTEGER).optional(),
})
export const StreamQuery = {
  put: PutQuery,
  pack: PackQuery,
  get: GetQuery,
  packets: PacketsQuery,
} as const

export const ROUTES: readonly Route[] = [
  route({
    method: 'GET',
    path: '/health',
    summary: 'The process is alive',
    open: true,
    response: shapes.AliveShape,
    answer: async () => ({ body: { alive: true } }),
  }),
  route({
    method: 'GET',
    path: '/ready',
    summary: 'Whether the node is useful now, and why not: 200 or 503',
    response: shapes.ReadyShape,
    answer: async view => {
      const { ready, reasons } = await view.status()
      return { status: ready ? 200 : 503, body: { ready, reasons: toJson(reasons) } }
    },
  }),
  route({
    method: 'GET',
    path: '/v1/status',
    summary: 'Who the node is, where it stands, what is wrong',
    response: shapes.StatusShape,
    answer: async view => ({ body: toJson(await view.status()) }),
  }),
  route({
    method: 'GET',
    path: '/v1/transactions',
    summary: 'What the node sent to the chain, what waits, and what it may still spend',
    response: shapes.TransactionsShape,
    answer: async view => ({ body: toJson(await view.transactions()) }),
  }),
  route({
    method: 'GET',
    path: '/v1/penalties',
    summary: 'Penalties that checkpoints record, and double votes that none does, the latest first',
    response: shapes.PenaltiesShape,
    answer: async view => ({ body: toJson({ penalties: await view.penalties() }) }),
  }),
  route({
    method: 'GET',
    path: '/v1/penalties/{epoch}/{node}',
    summary: 'One penalty with its evidence: both messages, keys and the way into the checkpoint',
    params: z.strictObject({ epoch, node: integer(0, EPOCH_MAX) }),
    response: shapes.PenaltyDetailsShape,
    answer: async (view, { params }) => ({
      body: toJson(penalised(view, params, await view.penalty(params.epoch, params.node))),
    }),
  }),
  route({
    method: 'GET',
    path: '/v1/peers',
    summary: 'Connected peers',
    response: shapes.PeersShape,
    answer: async view => ({ body: toJson({ peers: await view.peers() }) }),
  }),
  route({
    method: 'GET',
    path: '/v1/epochs/{epoch}',
    summary: 'Counts, verdicts and checkpoint of one epoch',
    params: z.strictObject({ epoch }),
    response: shapes.EpochShape,
    answer: async (view, { params }) => ({
      body: toJson(given(await view.epoch(params.epoch), 'this epoch', params)),
    }),
  }),
  route({
    method: 'GET',
    path: '/v1/ledger',
    summary: 'Messages of an epoch in order of id',
    query: z.strictObject({
      epoch,
      author: integer(0, EPOCH_MAX).optional(),
      limit: integer(1, PAGE_MAX).default(100),
      after: id.optional(),
    }),
    response: shapes.MessagesShape,
    answer: async (view, { query: { epoch: of, limit, author, after } }) => ({
      body: toJson(
        await view.messages({
          epoch: of,
          limit,
          ...(author === undefined ? {} : { author }),
          ...(after === undefined ? {} : { after }),
        }),
      ),
    }),
  }),
  route({
    method: 'GET',
    path: '/v1/ledger/{id}',
    summary: 'One message, decoded',
    params: z.strictObject({ id }),
    response: shapes.MessageShape,
    answer: async (view, { params }) => ({
      body: toJson(given(await view.message(params.id), 'this message', toJson(params))),
    }),
  }),
  route({
    method: 'GET',
    path: '/v1/ledger/{id}/proof',
    summary: 'The proof file of a message in an accepted checkpoint',
    params: z.strictObject({ id }),
    response: shapes.ProofShape,
    answer: async (view, { params }) => {
      const proof = given(await view.prove(params.id), 'an accepted message', toJson(params))
      return { body: encodeProofFile(proof) }
    },
  }),
  route({
    method: 'GET',
    path: '/v1/payouts/{account}/proof',
    summary: 'The proof file of an account’s totals',
    params: z.strictObject({ account }),
    query: z.strictObject({ epoch: epoch.optional() }),
    response: shapes.ProofShape,
    answer: async (view, { params, query }) => {
      const proof = await view.provePayout(params.account, query.epoch)
      return { body: encodeProofFile(given(proof, 'a payout to this account', toJson(params))) }
    },
  }),
  route({
    method: 'POST',
    path: '/v1/ledger/{epoch}/recompute',
    summary: 'Settles an accepted epoch again and compares the roots',
    params: z.strictObject({ epoch }),
    response: shapes.RecomputeShape,
    answer: async (view, { params }) => ({
      body: toJson(settled(view, params.epoch, await view.recompute(params.epoch))),
    }),
  }),
  route({
    method: 'GET',
    path: '/v1/votes/preview',
    summary: 'Settles the last accepted epochs again under other parameters: who would earn what',
    query: z.strictObject({
      set: assignments,
      epochs: integer(1, PREVIEW_EPOCHS_MAX).default(PREVIEW_EPOCHS),
    }),
    response: shapes.PreviewShape,
    answer: async (view, { query: { set, epochs } }) => {
      const found = await view.preview(parametersOf(set), epochs)
      return { body: toJson(settled(view, Math.max(0, view.accepted()), found)) }
    },
  }),
  route({
    method: 'GET',
    path: '/v1/votes',
    summary: 'Proposals, the newest first, and what this node’s account can vote with',
    response: shapes.VotesShape,
    answer: async view => ({ body: toJson(await view.votes()) }),
  }),
  route({
    method: 'GET',
    path: '/v1/votes/parameters',
    summary: 'What can be voted on: as it is now, with bounds and step',
    response: shapes.VoteParametersShape,
    answer: async view => ({ body: toJson({ parameters: await view.voteParameters() }) }),
  }),
  route({
    method: 'POST',
    path: '/v1/votes/propose',
    summary: 'Proposes that parameters be set',
    query: z.strictObject({ set: assignments, title: z.string().min(1).max(TITLE_MAX_CHARS) }),
    response: shapes.VoteActShape,
    answer: async (view, { query: { set, title } }) => ({
      body: toJson(await view.propose(parametersOf(set), title)),
    }),
  }),
  route({
    method: 'POST',
    path: '/v1/votes/delegate',
    summary: 'Has the tokens of this node’s account vote for an account; without one, for itself',
    query: z.strictObject({ to: account.optional() }),
    response: shapes.VotingPowerShape,
    answer: async (view, { query }) => ({ body: toJson(await view.delegateVotes(query.to)) }),
  }),
  route({
    method: 'GET',
    path: '/v1/votes/{id}',
    summary: 'A proposal: what would change, votes, times',
    params: z.strictObject({ id: proposal }),
    response: shapes.ProposalShape,
    answer: async (view, { params }) => ({ body: toJson(await view.proposal(params.id)) }),
  }),
  route({
    method: 'POST',
    path: '/v1/votes/{id}/cast',
    summary: 'Casts the votes of this node’s account',
    params: z.strictObject({ id: proposal }),
    query: z.strictObject({ support: z.enum(SUPPORTS) }),
    response: shapes.VoteActShape,
    answer: async (view, { params, query }) => ({
      body: toJson(await view.castVote(params.id, query.support)),
    }),
  }),
  ...(['queue', 'execute', 'cancel'] as const).map(act =>
    route({
      method: 'POST',
      path: `/v1/votes/{id}/${act}`,
      summary: ACTS[act],
      params: z.strictObject({ id: proposal }),
      response: shapes.VoteActShape,
      answer: async (view, { params }) => ({
        body: toJson(await view.moveProposal(params.id, act)),
      }),
    }),
  ),
  ...['coverage', 'storage'].map(kind =>
    route({
      method: 'GET',
      path: `/v1/${kind}/{epoch}`,
      summary: `Verdicts of ${kind} in an accepted epoch, with reasons and numbers`,
      params: z.strictObject({ epoch }),
      response: shapes.VerdictsShape,
      answer: async (view, { params }) => ({
        body: toJson(settled(view, params.epoch, await view.verdicts(params.epoch, kind))),
      }),
    }),
  ),
  route({
    method: 'GET',
    path: '/v1/coverage/{epoch}/gateways',
    summary: 'Gateways of an accepted epoch: where they are, and when they last took part',
    params: z.strictObject({ epoch }),
    response: shapes.GatewaysShape,
    answer: async (view, { params }) => ({
      body: toJson(settled(view, params.epoch, await view.gateways(params.epoch))),
    }),
  }),
  route({
    method: 'GET',
    path: '/v1/files',
    summary: 'Files that this node stored, with what is left of them',
    response: shapes.FilesShape,
    answer: async view => ({ body: toJson({ files: await view.files() }) }),
  }),
  route({
    method: 'POST',
    path: '/v1/files/remove',
    summary: 'Takes a file off the list, and ends its deals by agreement',
    query: z.strictObject({ link }),
    response: shapes.RemovedShape,
    answer: async (view, { query }) => ({ body: toJson(await view.removeFile(query.link)) }),
  }),
  route({
    method: 'POST',
    path: '/v1/files/delegates',
    summary: 'Names the nodes that may repair a file while this one is away; none: nobody',
    query: z.strictObject({ link, delegates: indices.optional() }),
    response: shapes.DelegatedShape,
    answer: async (view, { query }) => ({
      body: toJson(await view.delegate(query.link, query.delegates ?? [])),
    }),
  }),
  ...(['GET', 'POST'] as const).map(method =>
    route({
      method,
      path: '/v1/repairs',
      summary:
        method === 'GET'
          ? 'What is left of the groups of this node’s files, or of one, and what was repaired'
          : 'Repairs what is due now, without waiting for the next checkpoint',
      query: z.strictObject({ link: link.optional() }),
      response: shapes.RepairsShape,
      answer: async (view, { query }) => ({
        body: toJson(await view.repairs(query.link, { now: method === 'POST' })),
      }),
    }),
  ),
  route({
    method: 'GET',
    path: '/v1/grants',
    summary: 'What this node granted to whom, the last first',
    response: shapes.GrantsShape,
    answer: async view => ({ body: toJson({ grants: await view.grants() }) }),
  }),
  route({
    method: 'POST',
    path: '/v1/grants',
    summary: 'Seals a link for one peer',
    query: z.strictObject({ link, peer, again: z.stringbool().default(false) }),
    response: shapes.GrantedShape,
    answer: async (view, { query: { link: of, peer: peerId, again } }) => ({
      body: toJson(await view.grant(of, peerId, { again })),
    }),
  }),
  route({
    method: 'POST',
    path: '/v1/grants/revoke',
    summary: 'Stops further grants of a file to a peer; what it has it keeps',
    query: z.strictObject({ link, peer }),
    response: shapes.GrantShape,
    answer: async (view, { query }) => ({
      body: toJson(await view.revoke(query.link, query.peer)),
    }),
  }),
  route({
    method: 'GET',
    path: '/v1/pieces',
    summary: 'Pieces that this node keeps',
    response: shapes.PiecesShape,
    answer: async view => ({ body: toJson({ pieces: await view.pieces() }) }),
  }),
  route({
    method: 'GET',
    path: '/v1/volumes',
    summary: 'Volumes of this node: state, space, what is damaged, scrub',
    response: shapes.VolumesShape,
    answer: async view => ({ body: toJson({ volumes: await view.volumes() }) }),
  }),
  route({
    method: 'POST',
    path: '/v1/volumes/rebuild',
    summary: 'Makes the catalogue of volumes again from what is on them',
    query: z.strictObject({ location: location.optional() }),
    response: shapes.RebuiltShape,
    answer: async (view, { query }) => ({
      body: toJson({ rebuilt: await view.rebuildVolumes(query.location) }),
    }),
  }),
  route({
    method: 'POST',
    path: '/v1/volumes/forget',
    summary: 'Gives up a volume that is away, and all that it held',
    query: z.strictObject({ location }),
    response: shapes.ForgottenShape,
    answer: async (view, { query }) => ({ body: toJson(await view.forgetVolume(query.location)) }),
  }),
  route({
    method: 'GET',
    path: '/v1/deals',
    summary: 'Live and coming deals, with this node’s role where it is a party',
    response: shapes.DealsShape,
    answer: async view => ({ body: toJson({ deals: await view.deals() }) }),
  }),
  route({
    method: 'POST',
    path: '/v1/deals/{id}/end',
    summary: 'Asks the other side to end a deal; answers when both have signed',
    params: z.strictObject({ id }),
    response: shapes.EndingShape,
    answer: async (view, { params }) => {
      await view.endDeal(params.id)
      return { body: toJson({ id: params.id, ending: true }) }
    },
  }),
  route({
    method: 'GET',
    path: '/v1/service',
    summary: 'Bytes delivered and fetched on account, and what is paid of them',
    response: shapes.ServiceShape,
    answer: async view => ({ body: toJson(await view.service()) }),
  }),
  route({
    method: 'GET',
    path: '/v1/earnings/{epoch}',
    summary:
      'What each account earned in an accepted epoch, by what, and what its nodes proved and served',
    params: z.strictObject({ epoch }),
    response: shapes.EarningsShape,
    answer: async (view, { params }) => ({
      body: toJson(settled(view, params.epoch, await view.earnings(params.epoch))),
    }),
  }),
  route({
    method: 'GET',
    path: '/v1/deposit',
    summary: 'What this node’s account has put down for its deals',
    response: shapes.DepositShape,
    answer: async view => ({ body: toJson(await view.deposit()) }),
  }),
  route({
    method: 'POST',
    path: '/v1/deposit/add',
    summary: 'Pays base units in; answers when a block has it',
    query: z.strictObject({ amount, reference }),
    response: shapes.DepositMoveShape,
    answer: async (view, { query }) => ({
      body: toJson(await view.addDeposit(query.amount, query.reference)),
    }),
  }),
  route({
    method: 'POST',
    path: '/v1/deposit/request',
    summary: 'Asks base units back, or all; in place of an earlier request',
    query: z.strictObject({ amount: amount.optional() }),
    response: shapes.DepositMoveShape,
    answer: async (view, { query }) => ({ body: toJson(await view.requestDeposit(query.amount)) }),
  }),
  route({
    method: 'POST',
    path: '/v1/deposit/withdraw',
    summary: 'Takes out what was asked back, as far as it was not spent',
    response: shapes.DepositMoveShape,
    answer: async view => ({ body: toJson(await view.withdrawDeposit()) }),
  }),
  route({
    method: 'GET',
    path: '/v1/operator',
    summary:
      'The operator’s account, what a registration takes, and the node as the chain has it now',
    query: z.strictObject(choice),
    response: shapes.OperatorShape,
    answer: async (view, { query }) => ({ body: toJson(await view.operator(query)) }),
  }),
  ...Object.entries(ORDERS).map(([act, { summary, query: fields }]) =>
    route({
      method: 'POST',
      path: `/v1/operator/${act}`,
      summary,
      query: z.strictObject({ ...fields, dryRun: flag, reference }),
      response: shapes.DoneShape,
      answer: async (view, { query: { dryRun, reference: under, ...wish } }) => ({
        body: toJson(await view.order({ act, ...wish } as Order, { dryRun, reference: under })),
      }),
    }),
  ),
  route({
    method: 'GET',
    path: '/v1/claims',
    summary: 'What accounts have earned, spent and claimed, and what can be claimed now',
    query: z.strictObject({ accounts: accounts.optional() }),
    response: shapes.AccountsShape,
    answer: async (view, { query }) => ({
      body: toJson(await view.accounts(query.accounts ?? [])),
    }),
  }),
  route({
    method: 'POST',
    path: '/v1/claims',
    summary: 'Has accounts paid what they earned, or adds it to the bond of a node',
    query: z.strictObject({
      accounts: accounts.optional(),
      all: flag,
      bond: integer(0, EPOCH_MAX).optional(),
      dryRun: flag,
    }),
    response: shapes.ClaimedShape,
    answer: async (view, { query: { accounts: whom, ...wish } }) => ({
      body: toJson(await view.claim({ accounts: whom ?? [], ...wish })),
    }),
  }),
  route({
    method: 'POST',
    path: '/v1/audit',
    summary: 'Looks at a leaf of each live deal of this node now',
    response: shapes.AuditsShape,
    answer: async view => ({ body: toJson({ audits: await view.audit() }) }),
  }),
  route({
    method: 'POST',
    path: '/v1/stop',
    summary: 'Begins an orderly stop of the node',
    response: shapes.StoppingShape,
    answer: async view => {
      view.stop()
      return { status: 202, body: { stopping: true } }
    },
  }),
]

export const STREAM_ROUTES: readonly StreamRoute[] = [
  {
    method: 'POST',
    path: '/v1/put',
    summary: 'Stores the body with providers and answers with its link',
    params: NONE,
    query: PutQuery,
    stream: 'put',
    content: 'application/octet-stream',
    response: shapes.PutShape,
  },
  {
    method: 'POST',
    path: '/v1/pack',
    summary:
      'Stores several files in one upload; the body is a line of JSON, `[{"name","bytes"},...]`, and their bytes',
    params: NONE,
    query: PackQuery,
    stream: 'pack',
    content: 'application/octet-stream',
    response: shapes.PackShape,
  },
  {
    method: 'GET',
    path: '/v1/get',
    summary: 'The bytes behind a link, or those from `first` to `last`',
    params: NONE,
    query: GetQuery,
    stream: 'get',
    content: 'application/octet-stream',
  },
  {
    method: 'GET',
    path: '/v1/packets',
    summary:
      'Buys packets of these gateways until the connection ends: a line of JSON for each, and for each failure of a gateway',
    params: NONE,
    query: PacketsQuery,
    stream: 'packets',
    content: 'application/x-ndjson',
    response: shapes.PurchaseShape,
  },
  {
    method: 'GET',
    path: '/v1/events',
    summary: 'What happens, as server-sent events whose data is one event',
    params: NONE,
    query: NONE,
    stream: 'events',
    content: 'text/event-stream',
    response: shapes.EventShape,
  },
  {
    method: 'GET',
    path: '/metrics',
    summary: 'Metrics in Prometheus text format',
    params: NONE,
    query: NONE,
    stream: 'metrics',
    content: 'text/plain; version=0.0.4; charset=utf-8',
  },
  {
    method: 'GET',
    path: '/openapi.json',
    summary: 'This document',
    open: true,
    params: NONE,
    query: NONE,
    stream: 'openapi',
    content: 'application/json',
  },
]

function route<P extends z.ZodObject, Q extends z.ZodObject, R extends z.ZodType>({
  params,
  query,
  answer,
  ...rest
}: RouteInit<P, Q, R>): Route {
  return {
    ...rest,
    params: params ?? NONE,
    query: query ?? NONE,
    // The server parses both with the schemas beside it before it calls.
    answer: async (view, input) =>
      await answer(view, input as { params: z.output<P>; query: z.output<Q> }),
  }
}

/** A whole number in a path or query: digits only, so that an empty text is not 0. */
function integer(minimum: number, maximum: number) {
  return z
    .string()
    .regex(/^(0|[1-9][0-9]{0,15})$/, 'expected a whole number')
    .meta({ integer: { minimum, maximum } })
    .transform(Number)
    .pipe(z.int().min(minimum).max(maximum))
}

function given<T>(value: T | undefined, what: string, facts: Record<string, string | number>): T {
  if (value === undefined) throw notFound(what, facts)
  return value
}

/** A penalty that is not there was never settled, or not yet, or is of another epoch or node. */
function penalised<T>(
  view: NodeView,
  { epoch, node }: { epoch: number; node: number },
  value: T | undefined,
): T {
  if (value !== undefined) return value
  const accepted = view.accepted()
  const facts = { epoch, node, accepted }
  if (epoch > accepted) {
    throw new CairnError('notFound', `epoch ${epoch} is not accepted yet`, {
      facts,
      next: `its penalties are known with its checkpoint; the last accepted is ${accepted}`,
    })
  }
  throw new CairnError('notFound', `no penalty of node ${node} in epoch ${epoch} is kept here`, {
    facts,
    next: 'see `cairn penalties` for those there are',
  })
}

/** What settlement gave for `epoch`; where there is nothing, the error says how far the node is. */
function settled<T>(view: NodeView, epoch: number, value: T | undefined): T {
  if (value !== undefined) return value
  const accepted = view.accepted()
  const facts = { epoch, accepted }
  if (epoch > accepted) {
    throw new CairnError('notFound', `epoch ${epoch} is not accepted yet`, {
      facts,
      next: accepted < 0 ? 'wait for the first checkpoint' : `ask for epoch ${accepted} or earlier`,
    })
  }
  throw new CairnError('notFound', `this node cannot settle epoch ${epoch} again`, {
    facts,
    next: 'it keeps the messages of recent epochs only: ask a node that keeps an archive',
  })
}
