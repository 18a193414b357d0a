/** A node's view over a real ledger and real streams, without a network around it. */
import { createHash } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  CairnError,
  Checkpoint,
  COUNTED_KINDS,
  COUNTED_TYPES,
  type Envelope,
  equalBytes,
  inclusionProof,
  ListDepth,
  listRoot,
  MessageType,
  messageId,
  Payout,
  Ready,
  TOKEN,
} from '@cairn/protocol'
import type {
  DealView,
  GrantView,
  MessageView,
  NodeEvent,
  NodeView,
  PutOptions,
  PutResult,
  Status,
  VolumeView,
} from '../../src/api/node-view.ts'
import type { Order, RegisteredNode } from '../../src/chain/operator.ts'
import type { VoteProposal, VotingPower } from '../../src/chain/voter.ts'
import { Ledger } from '../../src/ledger/ledger.ts'
import { Metrics } from '../../src/metrics.ts'
import { openLevelStore } from '../../src/store/level.ts'

const NETWORK = new Uint8Array(32).fill(9)
const MESSAGES = 5
const STANDING = {
  account: new Uint8Array(20).fill(1),
  key: new Uint8Array(32).fill(3),
  deposited: 100n,
  spent: 20n,
  requested: 20n,
  requestedAt: 8n,
  tokens: 5n,
}
const PENALTY = {
  epoch: 3,
  node: 2,
  own: false,
  offence: 'attestation',
  amount: 10n ** 20n,
  evidence: new Uint8Array(32).fill(1),
  rival: new Uint8Array(32).fill(2),
  state: 'open',
} as const
const PENALTY_DETAILS = {
  ...PENALTY,
  network: NETWORK,
  checkpoint: new Uint8Array(468),
  root: new Uint8Array(32),
  position: 0,
  path: [new Uint8Array(32)],
  identity: new Uint8Array(32),
  voting: new Uint8Array(48),
  bond: 10n ** 21n,
  share: 100_000n,
  messages: [1, 2].map(fill => ({
    type: 2,
    body: new Uint8Array(4).fill(fill),
    signature: new Uint8Array(64),
  })),
}
/** A group that lost a place. */
const GROUP = {
  group: new Uint8Array(32),
  delegates: [4],
  isManifest: false,
  k: 2,
  n: 4,
  live: 2,
  coming: 1,
  owing: 0,
  ending: 0,
  contained: 0,
  gone: 1,
  threshold: 4,
  repairing: true,
  lost: false,
  losses: [{ place: 1, provider: 5, reason: 'gone', epoch: 7 }],
  repairs: [{ place: 1, provider: 6, epoch: 9 }],
  error: 'tooFewProviders',
  next: 'wait for more providers',
}

export const EPOCH = 3

const ACCOUNT = new Uint8Array(20).fill(5)
const REGISTERED: RegisteredNode = {
  index: 3,
  operator: ACCOUNT,
  payout: ACCOUNT,
  bond: 1_000n * 10n ** 18n,
  cell: 0x8c2a100d2c8a1ffn,
  region: 1,
  subBand: 0,
  gain: 20,
  kinds: 6,
  exitAt: 0,
  returnsAt: 0,
  state: 'registered',
}

export interface TestView {
  view: NodeView
  metrics: Metrics
  ids: Uint8Array[]
  emit(event: NodeEvent): void
  listeners(): number
  /** Purchases under way. */
  buying(): number
  /** Bytes of each put, by link. */
  puts: Map<string, { name: string; bytes: number; options: PutOptions }>
  /** Why puts failed. */
  failures: unknown[]
  /** Most bytes that a `get` handed out before its reader took them. */
  readonly given: () => number
  stopped: Promise<void>
  health: { ready: boolean }
  /** What the operator asked for. */
  orders: Order[]
  close(): Promise<void>
}

/** A stream that ends only when its reader goes. */
export const ENDLESS = 'cairn:endless'
/** A link that breaks after its first chunk, unless one goes on behind it. */
export const BROKEN = 'cairn:broken'
export const BROKEN_BYTES = 200_000
/** A link that gives nothing more after `STALLED_AFTER`, unless one goes on behind its beginning. */
export const STALLED = 'cairn:stalled'
export const STALLED_BYTES = 40_000_000
export const STALLED_AFTER = 25_000_000

/** Links that were never put, and how long what they lead to is. */
const SPECIAL: ReadonlyMap<string, number> = new Map([
  [ENDLESS, Number.MAX_SAFE_INTEGER],
  [BROKEN, BROKEN_BYTES],
  [STALLED, STALLED_BYTES],
])

const VOLUME: VolumeView = {
  location: '/mnt/a',
  name: 'one',
  state: 'volumeMissing',
  next: 'mount the disk',
  used: 127,
  quota: 1_000,
  room: 0,
  pieces: 1,
  damaged: ['bafkzcib'],
  scrub: { finished: 5_000, left: 127 },
}

const GATEWAY = { operator: '05'.repeat(20), plan: 'EU868', gain: 20 }
const CHUNK = new Uint8Array(64 * 1024).fill(1)

const POWER: VotingPower = {
  account: '0x52908400098527886e0f7030069857d2e4169ee7',
  votes: 1_500n * TOKEN,
  bonded: 1_500n * TOKEN,
  tokens: 10n * TOKEN,
  threshold: 1_000n * TOKEN,
}
export const PROPOSAL: VoteProposal = {
  id: 'ab'.repeat(32),
  title: 'More for storage',
  proposer: POWER.account,
  state: 'active',
  now: 1_000,
  starts: 990,
  ends: 1_030,
  executableAt: 0,
  for: 1_500n * TOKEN,
  against: 0n,
  abstain: 0n,
  quorum: 2_000n * TOKEN,
  calls: [
    {
      contract: 'Parameters',
      function: 'set',
      arguments: ['baseShare', '400000'],
      change: { name: 'baseShare', now: 300_000n, proposed: 400_000n },
    },
  ],
  own: { votes: 1_500n * TOKEN, cast: false },
}

function proposalOf(id: string): VoteProposal {
  if (PROPOSAL.id.startsWith(id)) return PROPOSAL
  throw new CairnError('unknownProposal', 'there is no such proposal')
}

export async function testView(): Promise<TestView> {
  const directory = await mkdtemp(join(tmpdir(), 'cairn-api-'))
  const ledger = new Ledger({ store: await openLevelStore(directory) }, { network: NETWORK })
  await ledger.open()
  const envelopes = Array.from({ length: MESSAGES }, (_, author) => envelopeOf(author))
  const ids = envelopes.map(messageId).sort((a, b) => Buffer.compare(a, b))
  const payout = { account: new Uint8Array(20).fill(5), earned: 10n ** 24n, spent: 3n }
  const checkpoint = checkpointOf(ids, payout)
  for (const [author, envelope] of envelopes.entries()) {
    await ledger.put(EPOCH, author, { id: messageId(envelope), envelope })
  }
  await ledger.putFinal(EPOCH, { checkpoint: Checkpoint.serialize(checkpoint), ids })

  const metrics = new Metrics()
  const listeners = new Set<(event: NodeEvent) => void>()
  let buying = 0
  const puts: TestView['puts'] = new Map()
  const failures: unknown[] = []
  const grants: GrantView[] = []
  const health = { ready: true }
  const stopped = Promise.withResolvers<void>()
  let given = 0
  const orders: Order[] = []

  const proofOf = (field: 'messages' | 'payouts', leaves: Uint8Array[], position: number) => ({
    network: NETWORK,
    epoch: EPOCH,
    checkpoint,
    inclusion: inclusionProof({ checkpoint, field, leaves, position }),
  })

  const view: NodeView = {
    accepted: () => EPOCH,
    status: async () => status(health.ready),
    votes: async () => ({ power: POWER, proposals: [PROPOSAL] }),
    voteParameters: async () => [
      { name: 'baseShare', now: 300_000n, least: 0n, most: 1_000_000n, step: 100_000n },
    ],
    proposal: async id => proposalOf(id),
    propose: async () => ({ proposal: PROPOSAL, transaction: '0x01' }),
    castVote: async id => ({ proposal: proposalOf(id), transaction: '0x02' }),
    moveProposal: async id => ({ proposal: proposalOf(id), transaction: '0x03' }),
    delegateVotes: async () => POWER,
    penalties: async () => [PENALTY],
    penalty: async (epoch, node) =>
      epoch === PENALTY.epoch && node === PENALTY.node ? PENALTY_DETAILS : undefined,
    transactions: async () => ({
      account: '0x52908400098527886e0f7030069857d2e4169ee7',
      balance: 10n ** 18n,
      spentToday: 5n,
      budgetSpent: false,
      ratePerDay: 5n,
      daysLeft: 2 * 10 ** 17,
      waiting: 0,
      transactions: [],
    }),
    peers: async () => [{ peerId: '12D3KooW', index: 1 }],
    epoch: async epoch =>
      epoch === EPOCH
        ? { epoch, startsAt: 0, endsAt: 1, phase: 'accepted', messages: {}, verdicts: {} }
        : undefined,
    messages: async ({ epoch, limit, author, after }) => {
      const found: MessageView[] = []
      for await (const { id, envelope } of ledger.messagesOf(epoch)) {
        if (after !== undefined && Buffer.compare(id, after) <= 0) continue
        const message = viewOf(id, epoch, envelope)
        if (author === undefined || message.author === author) found.push(message)
      }
      const page = found.slice(0, limit)
      const last = page.at(-1)
      return found.length > limit && last ? { messages: page, next: last.id } : { messages: page }
    },
    message: async id => {
      const found = await ledger.get(id)
      return found && viewOf(id, found.epoch, found.envelope)
    },
    prove: async id => {
      const final = await ledger.final(EPOCH)
      const position = final?.ids.findIndex(other => equalBytes(other, id)) ?? -1
      const message = await ledger.get(id)
      if (message === undefined || position < 0) return undefined
      return { ...proofOf('messages', ids, position), message: message.envelope }
    },
    provePayout: async account =>
      equalBytes(account, payout.account)
        ? { ...proofOf('payouts', [Payout.hashTreeRoot(payout)], 0), payout }
        : undefined,
    recompute: async epoch => {
      if (epoch !== EPOCH) return undefined
      const root = Checkpoint.hashTreeRoot(checkpoint)
      const sums = { emission: 2n ** 70n, fees: 0n, payouts: 1n, burned: 0n, unminted: 0n }
      const findings = [{ kind: 'storage', node: 1, code: 'debts', facts: { open: 2, oldest: 3 } }]
      const penalties = [{ node: 1, amount: 10n ** 19n, evidence: new Uint8Array(32) }]
      const compared = { equal: true, accepted: root, computed: root }
      return { epoch, ...compared, messages: MESSAGES, sums, findings, penalties }
    },
    verdicts: async (epoch, kind) =>
      epoch === EPOCH
        ? {
            epoch,
            kind,
            verdicts: [
              {
                challenge: new Uint8Array(32),
                target: 1,
                verdict: 'inconclusive',
                reason: 'unheard',
                facts: { reports: 1 },
                parts: [{ node: 2, reason: 'tooFar', facts: { distance: 120_000 } }],
                agreeing: [4],
              },
            ],
            penalties: [PENALTY],
            findings: [{ node: 5, code: 'withholding', facts: { withheld: 1, scoreLost: '10' } }],
          }
        : undefined,
    gateways: async epoch =>
      epoch === EPOCH
        ? {
            epoch,
            gateways: [
              { ...GATEWAY, node: 1, cell: '8c1e069424e1dff', drawn: true, validEpoch: 0 },
              { ...GATEWAY, node: 2, cell: '8c1e227257429ff', drawn: false },
              { ...GATEWAY, node: 3, drawn: false, cell: '8c1e227257429ff', validEpoch: 0 },
            ],
            others: [9],
          }
        : undefined,
    put: async (entries, options) => {
      const files: PutResult['files'] = []
      for await (const { name, bytes: stream } of entries) {
        const hash = createHash('sha256')
        let bytes = 0
        try {
          for await (const chunk of stream) {
            hash.update(chunk)
            bytes += chunk.length
          }
        } catch (error) {
          failures.push(error)
          throw error
        }
        const link = `cairn:${hash.digest('hex')}`
        puts.set(link, { name, bytes, options })
        files.push({ name, link, bytes })
      }
      const bytes = files.reduce((sum, file) => sum + file.bytes, 0)
      return {
        files,
        pieces: ['bafkzcib'],
        bytes,
        k: 2,
        n: 4,
        refusals: [
          { provider: 3, code: 'busy' },
          { provider: 4, code: 'priceTooLow', shortfall: { asked: 2n ** 60n, limit: 2n ** 61n } },
        ],
      }
    },
    get: async (link, { first = 0, end }, signal) => {
      if (link === 'cairn:bug') throw new Error('secret detail')
      const put = puts.get(link)
      const whole = SPECIAL.get(link)
      if (put === undefined && whole === undefined) {
        throw new CairnError('notFound', 'no provider has this', { facts: { link } })
      }
      const bytes = put?.bytes ?? (whole as number)
      const stop = Math.min(end ?? bytes, bytes)
      return {
        name: 'a "file".bin',
        bytes,
        first,
        end: stop,
        stream: (async function* () {
          let chunks = 0
          for (let left = stop - first; left > 0; left -= CHUNK.length) {
            signal.throwIfAborted()
            if (link === BROKEN && first === 0 && chunks++ > 0) {
              throw new Error('the provider went away')
            }
            if (link === STALLED && first === 0 && stop - left >= STALLED_AFTER) {
              await new Promise((_, reject) => {
                signal.addEventListener('abort', () => reject(signal.reason), { once: true })
              })
            }
            given += Math.min(left, CHUNK.length)
            yield CHUNK.subarray(0, Math.min(left, CHUNK.length))
          }
        })(),
      }
    },
    files: async () =>
      [...puts].map(([link, { name, bytes }]) => ({
        name,
        link,
        bytes,
        k: 2,
        n: 4,
        createdAt: 0,
        manifest: 'bafkzcib',
        shards: name.startsWith('unseen') ? undefined : 3,
        manifests: 3,
        repairing: true,
      })),
    delegate: async (_, delegates) => ({ groups: 2, delegates: [...delegates] }),
    repairs: async (link, { now }) => ({
      groups: 2,
      whole: 1,
      repaired: now ? 1 : 0,
      repairedForOthers: 0,
      shown: [{ ...GROUP, files: [link ?? 'kept'] }],
      more: 0,
    }),
    grant: async (link, peerId, { again }) => {
      const known = grants.find(grant => grant.peerId === peerId)
      if (known?.revokedAt !== undefined && !again) {
        throw new CairnError('grantRevoked', 'what was granted to this peer was revoked')
      }
      const name = puts.get(link)?.name ?? ''
      const grant = { manifest: 'bafkzcib', entry: 0, name, peerId, grantedAt: 5 }
      if (known !== undefined) grants.splice(grants.indexOf(known), 1)
      grants.push(grant)
      return { grant: 'cairn-grant:sealed', ...grant }
    },
    revoke: async (_, peerId) => {
      const known = grants.find(grant => grant.peerId === peerId)
      if (known === undefined) throw new CairnError('notGranted', 'nothing was granted to it')
      known.revokedAt = 9
      return known
    },
    grants: async () => grants,
    removeFile: async link => {
      const put = puts.get(link)
      if (put === undefined) throw new CairnError('notListed', 'this node did not store it')
      puts.delete(link)
      return { name: put.name, link, bytes: put.bytes, ending: 7, others: 0 }
    },
    pieces: async () => [{ cid: 'bafkzcib', bytes: 127 }],
    volumes: async () => [VOLUME],
    rebuildVolumes: async (location = VOLUME.location) => {
      return [{ location, pieces: 1, bytes: 127, damaged: 0, lost: ['bafkzcib'] }]
    },
    forgetVolume: async location => ({ location, lost: ['bafkzcib'] }),
    deals: async () => [DEAL],
    endDeal: async () => {},
    audit: async () => [
      {
        deal: new Uint8Array(32),
        piece: 'bafk',
        provider: 3,
        leaf: 9,
        outcome: 'given',
        reported: false,
      },
      {
        deal: new Uint8Array(32),
        piece: 'bafk',
        provider: 4,
        leaf: 9,
        outcome: 'timeout',
        reported: true,
      },
    ],
    service: async () => ({
      clients: [{ client: DEAL.client, receipted: 2n ** 60n, paid: 5n, unpaid: 7 }],
      providers: [{ provider: 3, client: DEAL.client, received: 9n, signed: 8n }],
      free: { used: 1, quota: 2 },
      sold: [{ gateway: 3, server: DEAL.client, receipted: 9n, paid: 4n, unpaid: 2 }],
      bought: [{ gateway: 5, server: DEAL.client, packets: 9n, paid: 4n }],
    }),
    async *packets({ gateways }, signal) {
      buying++
      for (const gateway of gateways) {
        yield { failure: { gateway, code: 'unreachable', message: 'no' } }
      }
      await new Promise(resolve => signal.addEventListener('abort', resolve))
      buying--
    },
    preview: async (values, epochs) => {
      const sums = { emission: 9n, fees: 2n, payouts: 8n, burned: 1n, unminted: 2n }
      const shares = [{ source: 'storage', before: 2n ** 70n, after: 4n }]
      const penalties = { before: 1n, after: 0n }
      return {
        first: 2,
        last: EPOCH,
        epochs: 2,
        asked: epochs,
        changes: [...values].map(([name, after]) => ({ name, before: 1n, after })),
        before: sums,
        after: sums,
        earners: [{ earner: 'ab', before: 2n ** 70n, after: 4n, shares, penalties }],
      }
    },
    deposit: async () => ({
      ...STANDING,
      dealKey: new Uint8Array(32).fill(3),
      available: 60n,
      paidFrom: 9,
    }),
    addDeposit: async (amount, reference = '0x02') => ({
      amount,
      transactions: ['0x01', reference],
      standing: STANDING,
    }),
    requestDeposit: async (amount = 100n) => ({
      amount,
      transactions: ['0x03'],
      standing: STANDING,
    }),
    withdrawDeposit: async () => ({ amount: 20n, transactions: ['0x04'], standing: STANDING }),
    earnings: async epoch => ({
      epoch,
      accounts: [
        {
          account: '05'.repeat(20),
          earned: 2n ** 70n + 1n,
          parts: [
            { source: 'storage', node: 3, earned: 2n ** 70n, proven: 4n, served: 5n },
            { source: 'landing', earned: 1n },
          ],
          since: { earned: 2n ** 80n, spent: 7n },
        },
      ],
    }),
    operator: async ({ node }) => ({
      account: ACCOUNT,
      ether: 10n ** 18n,
      tokens: 5n * 10n ** 20n,
      leastBond: 10n ** 20n,
      placeFee: 10n ** 19n,
      exitDelay: 72,
      ...(node === 9 ? {} : { node: REGISTERED }),
    }),
    order: async (order, { dryRun, reference = '0x77' }) => {
      orders.push(order)
      const done = dryRun ? 'dryRun' : order.act === 'register' ? 'before' : 'now'
      const sent = done === 'now' ? { gas: 50_000n, fee: 10n ** 14n, transaction: reference } : {}
      return { act: order.act, done, gas: 0n, fee: 0n, tokens: 0n, ...sent, node: REGISTERED }
    },
    accounts: async wanted => ({
      accounts: (wanted.length === 0 ? [ACCOUNT] : wanted).map(account => ({
        account,
        earned: 3n * 10n ** 18n + 1n,
        spent: 0n,
        claimed: 10n ** 18n,
        claimable: 10n ** 18n,
        waiting: 10n ** 18n + 1n,
      })),
      epoch: EPOCH,
      active: EPOCH - 1,
      funded: EPOCH - 2,
      nextActiveAt: 1_800_000_000,
      outflowLeft: 10n ** 24n,
    }),
    claim: async ({ accounts, all, dryRun }) => ({
      done: all ? 'before' : dryRun ? 'dryRun' : 'now',
      epoch: EPOCH - 1,
      paid: all ? [] : [{ account: accounts[0] ?? ACCOUNT, amount: 10n ** 18n }],
      total: all ? 0n : 10n ** 18n,
      funded: true,
      gas: 300_000n,
      fee: 10n ** 15n,
      transactions: all || dryRun ? [] : ['0x1', '0x2'],
    }),
    subscribe: listener => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    metrics: () => metrics.text(),
    stop: () => stopped.resolve(),
  }
  return {
    orders,
    view,
    metrics,
    ids,
    puts,
    failures,
    health,
    given: () => given,
    emit: event => {
      for (const listener of listeners) listener(event)
    },
    listeners: () => listeners.size,
    buying: () => buying,
    stopped: stopped.promise,
    close: async () => {
      await ledger.close()
      await rm(directory, { recursive: true })
    },
  }
}

const DEAL: DealView = {
  id: new Uint8Array(32).fill(7),
  piece: 'bafkzcib',
  bytes: 127,
  client: new Uint8Array(32).fill(8),
  provider: 3,
  firstEpoch: 4,
  lastEpoch: 9,
  price: 2n ** 70n,
  role: 'client',
  lasts: 12,
  renewal: 'priceTooLow',
  owed: 5,
  lostFrom: 8,
  withheld: true,
  contained: true,
  ending: false,
}

function envelopeOf(author: number): Envelope {
  const body = Ready.serialize({ epoch: EPOCH, base: new Uint8Array(8), kind: 0, author })
  return { type: MessageType.ready, body, signature: new Uint8Array(64) }
}

function viewOf(id: Uint8Array, epoch: number, { body, signature }: Envelope): MessageView {
  const value = Ready.deserialize(body)
  return { id, epoch, type: 'ready', kind: 'kernel', author: value.author, value, signature }
}

function checkpointOf(ids: Uint8Array[], payout: Payout): Checkpoint {
  const zero = new Uint8Array(32)
  return {
    epoch: BigInt(EPOCH),
    base: { number: 7n, hash: zero },
    parent: zero,
    messages: listRoot(ids, ListDepth.messages),
    state: zero,
    payouts: listRoot([Payout.hashTreeRoot(payout)], ListDepth.payouts),
    penalties: zero,
    deals: zero,
    counts: {
      messages: new Array<number>(COUNTED_TYPES).fill(0),
      verdicts: new Array<number>(3 * COUNTED_KINDS).fill(0),
    },
    earnedTotal: 0n,
    spentTotal: 0n,
    nextCommittee: zero,
    rulesVersion: 1,
  }
}

function status(ready: boolean): Status {
  const finding = {
    code: 'chain',
    severity: ready ? 'ok' : 'critical',
    text: 'No chain RPC answers',
    facts: { blockAgeMs: 5, skipped: undefined },
  } as const
  return {
    name: 'able-able-able',
    peerId: '12D3KooW',
    account: new Uint8Array(20),
    network: { id: NETWORK, name: 'demo' },
    version: '0.0.0',
    addresses: [],
    epoch: { number: EPOCH + 1, slot: 2, slotsPerEpoch: 12, startsAt: 0, endsAt: 12_000 },
    accepted: EPOCH,
    chain: { healthy: ready, head: { number: 2n ** 60n, timestamp: 1 } },
    peers: 1,
    radios: [
      {
        name: 'able-able-able',
        identity: new Uint8Array(32),
        index: 3,
        eui: '0016c001f00d0001',
        plan: 'EU868',
        online: false,
        heardAt: 5,
        forwarder: { address: '127.0.0.1', port: 1, version: 2 },
        lacks: [{ code: 'silentForwarder', text: 'it has fallen silent', next: 'restart it' }],
      },
    ],
    ready,
    reasons: ready ? [] : [finding],
    health: [finding],
  }
}
