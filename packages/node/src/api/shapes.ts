/** The JSON shapes of the API: the OpenAPI document and the checks of tests follow from these. */
import { ProofFileSchema } from '@cairn/protocol'
import { z } from 'zod'
import { PROPOSAL_STATES } from '../chain/voter.ts'
import { PENALTY_STATES } from '../ledger/offences.ts'
import { NODE_EVENTS } from './node-view.ts'

const hex = z
  .string()
  .regex(/^([0-9a-f]{2})*$/)
  .describe('hexadecimal')
const amount = z
  .string()
  .regex(/^[0-9]+$/)
  .describe('decimal')
const epoch = z.int()
const ms = z.number().describe('ms since 1970')
const facts = z.record(z.string(), z.union([z.string(), z.number(), z.boolean()]).optional())

const verdictFacts = z.record(z.string(), z.union([z.string(), z.number()]))
const finding = z.object({ node: z.int(), code: z.string(), facts: verdictFacts })

/** Whatever fields a message's or an event's own type has. */
const fields: z.ZodType<object, object> = z.record(z.string(), z.unknown())

export const AliveShape = z.object({ alive: z.boolean() })

const HealthShape = z.object({
  code: z.string(),
  severity: z.enum(['ok', 'warning', 'critical']),
  text: z.string(),
  facts,
  dependsOn: z.array(z.string()).optional(),
  next: z.string().optional(),
})

export const ReadyShape = z.object({ ready: z.boolean(), reasons: z.array(HealthShape) })

const RadioShape = z.object({
  name: z.string(),
  identity: hex,
  index: z.int().optional(),
  eui: z.string().optional(),
  plan: z.string(),
  online: z.boolean(),
  heardAt: ms.optional(),
  forwarder: z.object({ address: z.string(), port: z.int(), version: z.int() }).optional(),
  lacks: z.array(z.object({ code: z.string(), text: z.string(), next: z.string() })),
})

const PenaltyShape = z.object({
  epoch: z.int(),
  node: z.int(),
  own: z.boolean(),
  offence: z.string(),
  amount: amount.optional(),
  evidence: hex,
  rival: hex.optional(),
  state: z.enum(PENALTY_STATES),
})

export const PenaltiesShape = z.object({ penalties: z.array(PenaltyShape) })

export const PenaltyDetailsShape = PenaltyShape.extend({
  amount,
  network: hex,
  checkpoint: hex,
  root: hex,
  position: z.int(),
  path: z.array(hex),
  identity: hex,
  voting: hex,
  bond: amount,
  share: amount,
  messages: z.array(z.object({ type: z.int(), body: hex, signature: hex })),
})

export const TransactionsShape = z.object({
  account: z.string(),
  balance: amount.optional(),
  spentToday: amount,
  budgetPerDay: amount.optional(),
  budgetSpent: z.boolean(),
  ratePerDay: amount,
  daysLeft: z.number().optional(),
  waiting: z.int(),
  transactions: z.array(
    z.object({
      nonce: z.int(),
      purpose: z.string(),
      act: z.string(),
      about: z.string(),
      state: z.enum(['open', 'givenUp', 'mined', 'final']),
      key: z.string(),
      to: z.string().optional(),
      orderedAt: ms,
      sentAt: ms,
      minedAt: ms.optional(),
      transaction: z.string(),
      transactions: z.array(z.string()),
      block: amount.optional(),
      succeeded: z.boolean().optional(),
      cost: amount.optional(),
    }),
  ),
})

export const StatusShape = z.object({
  name: z.string(),
  peerId: z.string(),
  account: hex,
  index: z.int().optional(),
  network: z.object({ id: hex, name: z.string() }),
  version: z.string(),
  addresses: z.array(z.string()),
  epoch: z.object({
    number: epoch,
    slot: z.int(),
    slotsPerEpoch: z.int(),
    startsAt: ms,
    endsAt: ms,
  }),
  accepted: epoch,
  chain: z.object({
    healthy: z.boolean(),
    head: z.object({ number: amount, timestamp: z.number() }).optional(),
  }),
  peers: z.int(),
  radios: z.array(RadioShape),
  ready: z.boolean(),
  reasons: z.array(HealthShape),
  health: z.array(HealthShape),
})

export const PeersShape = z.object({
  peers: z.array(
    z.object({
      peerId: z.string(),
      index: z.int().optional(),
      name: z.string().optional(),
      address: z.string().optional(),
    }),
  ),
})

const block = z.object({ number: amount, hash: hex })

export const EpochShape = z.object({
  epoch,
  startsAt: ms,
  endsAt: ms,
  phase: z.enum(['open', 'frozen', 'accepted']),
  base: block.optional(),
  seed: hex.optional(),
  messages: z
    .record(z.string(), z.int())
    .describe('by type; once accepted, those of codes from 16 on together, as `others`'),
  verdicts: z.record(z.string(), z.object({ pass: z.int(), fail: z.int(), inconclusive: z.int() })),
  checkpoint: z
    .object({
      root: hex,
      parent: hex,
      base: block,
      messages: hex,
      state: hex,
      payouts: hex,
      penalties: hex,
      deals: hex,
      earnedTotal: amount,
      spentTotal: amount,
      nextCommittee: hex,
      rulesVersion: z.int(),
      round: z.int(),
      block: amount,
      transaction: z.string(),
      submitter: hex,
    })
    .optional(),
})

export const MessageShape = z.object({
  id: hex,
  epoch,
  type: z.string(),
  kind: z.string(),
  author: z.int().optional(),
  value: fields,
  signature: hex,
})

export const MessagesShape = z.object({ messages: z.array(MessageShape), next: hex.optional() })

export { ProofFileSchema as ProofShape }

const sums = z.object({
  emission: amount,
  fees: amount,
  payouts: amount,
  burned: amount,
  unminted: amount,
})

export const RecomputeShape = z.object({
  epoch,
  equal: z.boolean(),
  accepted: hex,
  computed: hex,
  messages: z.int(),
  sums,
  findings: z.array(finding.extend({ kind: z.string() })),
  penalties: z.array(z.object({ node: z.int(), amount, evidence: hex })),
})

const compared = z.object({ before: amount, after: amount })

export const PreviewShape = z.object({
  first: epoch,
  last: epoch,
  epochs: z.int(),
  asked: z.int(),
  changes: z.array(compared.extend({ name: z.string() })),
  before: sums,
  after: sums,
  earners: z.array(
    compared.extend({
      earner: hex.describe('operator, or an account that is none and landed checkpoints'),
      shares: z.array(
        compared.extend({ source: z.string().describe('a kind, `votes` or `landing`') }),
      ),
      penalties: compared,
    }),
  ),
})

export const VerdictsShape = z.object({
  epoch,
  kind: z.string(),
  verdicts: z.array(
    z.object({
      challenge: hex,
      target: z.int(),
      verdict: z.enum(['pass', 'fail', 'inconclusive']),
      reason: z.string(),
      facts: verdictFacts,
      parts: z.array(z.object({ node: z.int(), reason: z.string(), facts: verdictFacts })),
      agreeing: z.array(z.int()),
    }),
  ),
  findings: z.array(finding),
  penalties: z.array(PenaltyShape),
})

export const GatewaysShape = z.object({
  epoch,
  gateways: z.array(
    z.object({
      node: z.int(),
      operator: hex,
      cell: z.string().optional().describe('H3 index, of resolution 10 or finer'),
      plan: z.string().optional().describe('regional plan'),
      gain: z.int().describe('antenna less cable, 0.1 dBi'),
      drawn: z.boolean().describe('asked for a beacon in this epoch'),
      validEpoch: epoch.optional().describe('last earlier epoch with a valid beacon or report'),
    }),
  ),
  others: z.array(z.int()).describe('active nodes that are no gateways'),
})

const put = {
  pieces: z.array(z.string()),
  bytes: z.int(),
  k: z.int(),
  n: z.int(),
  refusals: z.array(
    z.object({
      provider: z.int(),
      code: z.string(),
      shortfall: z
        .object({ asked: amount, limit: amount })
        .optional()
        .describe('by how much: base units per epoch, epochs or bytes'),
    }),
  ),
}
const file = { name: z.string(), link: z.string(), bytes: z.int() }

export const PutShape = z.object({ link: z.string(), ...put })

export const PackShape = z.object({ files: z.array(z.object(file)), ...put })

export const FilesShape = z.object({
  files: z.array(
    z.object({
      ...file,
      k: z.int(),
      n: z.int(),
      createdAt: ms,
      manifest: z.string(),
      shards: z
        .int()
        .optional()
        .describe('under a deal that nobody disputes, of the group that has the fewest'),
      manifests: z.int().describe('copies of the manifest under such a deal'),
      repairing: z.boolean().describe('fewer than are wanted, and being made again'),
    }),
  ),
})

export const DelegatedShape = z.object({ groups: z.int(), delegates: z.array(z.int()) })

export const RepairsShape = z.object({
  groups: z.int(),
  whole: z.int().describe('all of whose places are kept'),
  repaired: z.int().describe('places made again since the node started'),
  repairedForOthers: z.int().describe('the same of files of others, as their delegate'),
  shown: z
    .array(
      z.object({
        group: hex,
        files: z.array(z.string()),
        delegates: z.array(z.int()).describe('node indices that may repair it too'),
        isManifest: z.boolean(),
        k: z.int(),
        n: z.int(),
        live: z.int(),
        coming: z.int().describe('under a deal that waits for a checkpoint'),
        owing: z.int().describe('whose provider owes an answer'),
        ending: z.int().describe('whose deal ends and is not renewed'),
        contained: z.int().describe('of which a wrong leaf was sealed'),
        gone: z.int(),
        threshold: z.int().describe('below it the group is repaired'),
        repairing: z.boolean(),
        lost: z.boolean().describe('fewer than k are left'),
        losses: z.array(z.object({ place: z.int(), provider: z.int(), reason: z.string(), epoch })),
        repairs: z.array(z.object({ place: z.int(), provider: z.int(), epoch })),
        error: z.string().optional(),
        next: z.string().optional(),
      }),
    )
    .describe('groups that are not whole, or were repaired'),
  more: z.int().describe('such groups beyond those shown'),
})

export const RemovedShape = z.object({
  ...file,
  ending: z.int().describe('deals that end by agreement'),
  others: z.int().describe('files of its pack that are still listed; their deals go on'),
})

const grant = {
  manifest: z.string(),
  entry: z.int(),
  name: z.string(),
  peerId: z.string(),
  grantedAt: ms,
  revokedAt: ms.optional(),
}

export const GrantShape = z.object(grant)

export const GrantedShape = z.object({
  grant: z.string().describe('what its recipient gets the file with'),
  ...grant,
})

export const GrantsShape = z.object({ grants: z.array(GrantShape) })

export const PiecesShape = z.object({
  pieces: z.array(z.object({ cid: z.string(), bytes: z.int() })),
})

const cids = z.array(z.string())

export const VolumesShape = z.object({
  volumes: z.array(
    z.object({
      location: z.string(),
      name: z.string(),
      state: z.string(),
      next: z.string().optional(),
      used: z.int(),
      quota: z.int(),
      room: z.int(),
      pieces: z.int(),
      damaged: cids,
      scrub: z.object({ finished: ms.optional(), left: z.int().optional() }),
    }),
  ),
})

export const RebuiltShape = z.object({
  rebuilt: z.array(
    z.object({
      location: z.string(),
      pieces: z.int(),
      bytes: z.int(),
      damaged: z.int(),
      lost: cids,
    }),
  ),
})

export const ForgottenShape = z.object({ location: z.string(), lost: cids })

export const DealsShape = z.object({
  deals: z.array(
    z.object({
      id: hex,
      piece: z.string(),
      bytes: z.int(),
      client: hex,
      provider: z.int(),
      firstEpoch: epoch,
      lastEpoch: epoch,
      price: amount,
      role: z.enum(['client', 'provider']).optional(),
      lasts: z.number().optional().describe('epochs that the client’s deposit pays for'),
      renewal: z.string().optional().describe('`agreed`, or why it was refused'),
      audit: z.string().optional().describe('`given`, or why the leaf looked at was not'),
      owed: epoch.optional().describe('since which epoch the provider owes an answer'),
      lostFrom: epoch.optional().describe('from here on the deal ends unless that is answered'),
      withheld: z.boolean().describe('the provider answers others meanwhile, and loses score'),
      contained: z.boolean().describe('the provider sealed a wrong leaf: another costs bond'),
      ending: z.boolean(),
    }),
  ),
})

export const AuditsShape = z.object({
  audits: z.array(
    z.object({
      deal: hex,
      piece: z.string(),
      provider: z.int(),
      leaf: z.int(),
      outcome: z.string().describe('`given`, or why the leaf was not'),
      reported: z.boolean().describe('verifiers ask the leaf'),
    }),
  ),
})

export const ServiceShape = z.object({
  clients: z.array(z.object({ client: hex, receipted: amount, paid: amount, unpaid: z.int() })),
  providers: z.array(
    z.object({ provider: z.int(), client: hex, received: amount, signed: amount }),
  ),
  free: z.object({ used: z.int(), quota: z.int() }).optional(),
  sold: z.array(
    z.object({
      gateway: z.int(),
      server: hex,
      receipted: amount,
      paid: amount,
      unpaid: z.int(),
    }),
  ),
  bought: z.array(z.object({ gateway: z.int(), server: hex, packets: amount, paid: amount })),
})

export const PurchaseShape = z.object({
  packet: z
    .object({
      gateway: z.int(),
      payload: hex,
      type: z.int(),
      address: z.string(),
      frequency: z.int(),
      spreadingFactor: z.int(),
      bandwidth: z.int(),
      rssi: z.number().optional(),
      snr: z.number().optional(),
      at: ms,
    })
    .optional(),
  failure: z.object({ gateway: z.int(), code: z.string(), message: z.string() }).optional(),
})

export const EarningsShape = z.object({
  epoch,
  accounts: z.array(
    z.object({
      account: z.string(),
      earned: amount,
      parts: z.array(
        z.object({
          source: z.string().describe('a kind, votes or landing'),
          node: z.int().optional(),
          earned: amount,
          proven: amount.optional(),
          served: amount.optional(),
        }),
      ),
      since: z.object({ earned: amount, spent: amount }).describe('totals since genesis'),
    }),
  ),
})

const DepositStandingShape = z.object({
  account: hex,
  key: hex.optional().describe('whose deals it pays for'),
  deposited: amount,
  spent: amount.optional(),
  requested: amount,
  requestedAt: amount.describe('block of the request; 0: none'),
  tokens: amount.describe('of the account, not in the deposit'),
})

export const DepositShape = DepositStandingShape.extend({
  dealKey: hex.describe('key of this node'),
  available: amount.describe('at the base of the present epoch'),
  paidFrom: epoch.optional().describe('first epoch whose checkpoint pays what is asked back'),
})

export const DepositMoveShape = z.object({
  amount,
  transactions: z.array(z.string()),
  orderedAt: z.int().optional(),
  fee: amount.optional(),
  standing: DepositStandingShape,
})

const seconds = z.int().describe('seconds since 1970, 0: none')
const prefixed = z.string().describe('account or contract, 20 bytes after 0x')

export const ProposalShape = z.object({
  id: z.string().describe('64 hexadecimal digits'),
  title: z.string(),
  proposer: prefixed,
  state: z.enum(PROPOSAL_STATES),
  now: seconds,
  starts: seconds,
  ends: seconds,
  executableAt: seconds,
  for: amount,
  against: amount,
  abstain: amount,
  quorum: amount,
  calls: z.array(
    z.object({
      contract: z.string(),
      function: z.string().optional(),
      arguments: z.array(z.string()),
      change: z.object({ name: z.string(), now: amount, proposed: amount }).optional(),
    }),
  ),
  own: z.object({ votes: amount, cast: z.boolean() }).describe('of this node’s account'),
})

export const VotingPowerShape = z.object({
  account: prefixed,
  votes: amount,
  bonded: amount,
  tokens: amount.describe('held; they vote for `delegate`, or for nobody'),
  delegate: prefixed.optional(),
  threshold: amount.describe('votes that proposing takes'),
})

export const VoteParametersShape = z.object({
  parameters: z
    .array(
      z.object({
        name: z.string(),
        now: amount,
        least: amount,
        most: amount,
        step: amount.describe('what one vote changes it by at most'),
      }),
    )
    .describe('tokens in base units, shares in parts per million, weights as they are'),
})

export const VotesShape = z.object({ power: VotingPowerShape, proposals: z.array(ProposalShape) })

export const VoteActShape = z.object({ proposal: ProposalShape, transaction: z.string() })

export const EndingShape = z.object({ id: hex, ending: z.boolean() })

export const EventShape = z.object({
  type: z.enum(NODE_EVENTS),
  at: ms,
  data: fields,
})

export const StoppingShape = z.object({ stopping: z.boolean() })

const address = hex.describe('account, 20 bytes')
const registered = z.object({
  index: z.int(),
  operator: address,
  payout: address,
  bond: amount,
  cell: amount,
  region: z.int(),
  subBand: z.int(),
  gain: z.int(),
  kinds: z.int(),
  exitAt: z.int().describe('s since 1970; 0: it did not ask to leave'),
  returnsAt: z.int(),
  state: z.enum(['registered', 'leaving', 'left']),
})

export const OperatorShape = z.object({
  account: address,
  ether: amount,
  tokens: amount,
  leastBond: amount,
  placeFee: amount,
  exitDelay: z.int(),
  node: registered.optional(),
})

const done = z.enum(['now', 'before', 'dryRun'])

export const DoneShape = z.object({
  act: z.string(),
  done,
  gas: amount,
  fee: amount,
  tokens: amount,
  transaction: z.string().optional(),
  orderedAt: z.int().optional(),
  node: registered.optional(),
})

export const AccountsShape = z.object({
  accounts: z.array(
    z.object({
      account: address,
      earned: amount,
      spent: amount,
      claimed: amount,
      claimable: amount,
      waiting: amount,
    }),
  ),
  epoch,
  active: epoch.optional(),
  funded: epoch.optional(),
  nextActiveAt: z.int().optional(),
  outflowLeft: amount,
})

export const ClaimedShape = z.object({
  done,
  epoch,
  paid: z.array(z.object({ account: address, amount })),
  total: amount,
  funded: z.boolean(),
  gas: amount,
  fee: amount,
  transactions: z.array(z.string()),
})
