/** The command against a running network, as an operator and a stranger use it. */
import { strict as assert } from 'node:assert'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type {
  DepositMove,
  DepositView,
  Json,
  MessagePage,
  MessageView,
  NodeStatus,
  PeerView,
  RecomputeView,
  TransactionsView,
  VerdictsView,
} from '@cairn/node'
import { CommpHasher, type ProofFileJson, pieceCid, TOKEN } from '@cairn/protocol'
import { EXIT_CODES } from '../packages/cli/src/exit-codes.ts'
import { type CairnFailure, cairn, jsonOf, spawnCairn } from '../packages/cli/test/process.ts'
import { adopted, sharedTestnet, until } from './network.ts'

const FILE_BYTES = 300_000
/** Base units that a test pays in, and asks back. */
const PAID_IN = (25n * TOKEN) / 2n
const ASKED = (5n * TOKEN) / 2n
/** Until a node knows the epoch that has begun and has met the others, ms. */
const SOON_MS = 60_000
/** Until a beacon was heard and the epoch accepted: on a busy machine many come late, ms. */
const HEARD_MS = 200_000

describe('cairn --data-dir, with the directory of a testnet’s node', function () {
  this.timeout(HEARD_MS + 60_000)
  const running = sharedTestnet()
  let directory = ''
  /** An epoch that node1 adopted. */
  let epoch = 0
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'cairn-test-'))
    const { node } = running().testnet.daemon('node1')
    if (node.checkpointer.adopted < 0) await adopted(node, 0)
    epoch = node.checkpointer.adopted
  })
  after(async () => {
    await rm(directory, { recursive: true, force: true })
    assert.deepEqual(running().testnet.monitor.violations, [])
  })

  function on(name: string, ...args: string[]) {
    const dataDir = running().file.nodes.find(node => node.name === name)?.dataDir
    assert.ok(dataDir !== undefined)
    return cairn([...args, '--json', '--data-dir', dataDir])
  }

  it('says what a node is, and whom it is connected to', async () => {
    const [self, ...others] = running().file.nodes
    const status = await until(
      SOON_MS,
      async () => jsonOf<Json<NodeStatus>>(await on('node1', 'status')),
      ({ ready, reasons }) => ready && reasons.length === 0,
    )
    assert.deepEqual([status.peerId, status.index], [self?.peerId, self?.index])
    assert.ok(status.accepted >= epoch)

    const { peers } = jsonOf<{ peers: Json<PeerView>[] }>(await on('node1', 'peers'))
    assert.deepEqual(
      new Set(peers.map(({ peerId, index }) => `${peerId} ${index}`)),
      new Set(others.map(({ peerId, index }) => `${peerId} ${index}`)),
    )
  })

  it('says what a node sends to the chain, and what it cost', async () => {
    const sent = await until(
      SOON_MS,
      async () => {
        const views = await Promise.all(
          running().file.nodes.map(async (_, at) =>
            jsonOf<Json<TransactionsView>>(await on(`node${at + 1}`, 'transactions')),
          ),
        )
        return views.filter(({ transactions }) => transactions.some(({ block }) => block))
      },
      views => views.length > 0,
    )
    for (const { balance, spentToday, transactions } of sent) {
      assert.ok(BigInt(balance ?? 0n) > 0n)
      assert.ok(BigInt(spentToday) > 0n)
      assert.ok(transactions.some(({ purpose }) => purpose === 'checkpoint' || purpose === 'fund'))
    }
  })

  it('stores a file and gets the same bytes back from another node', async () => {
    const path = join(directory, 'given')
    const back = join(directory, 'back')
    const bytes = randomBytes(FILE_BYTES)
    const sha256 = createHash('sha256').update(bytes).digest('hex')
    await writeFile(path, bytes)
    const put = jsonOf<{ link: string; pieces: string[]; bytes: number }>(
      await on('node4', 'put', path, '--shards', '2/3'),
    )
    assert.equal(put.bytes, FILE_BYTES)
    assert.ok(put.pieces.length > 0)

    const got = await on('node1', 'get', put.link, '-o', back)
    assert.deepEqual(jsonOf(got), { path: back, bytes: FILE_BYTES, sha256 })
    assert.ok(bytes.equals(await readFile(back)))
    const again = await on('node1', 'get', put.link, '-o', back)
    assert.equal(again.code, EXIT_CODES.taken.code, 'an existing file is not replaced')
  })

  it('joins with a daemon of one’s own, by the manifest alone', async () => {
    const dataDir = join(directory, 'own')
    const { manifest, nodes } = running().file
    const initialised = await cairn([
      'init',
      '--data-dir',
      dataDir,
      '--network',
      manifest,
      '--json',
    ])
    assert.equal(initialised.code, 0, initialised.stdout)
    // Ports that others may have.
    const free = ['--set', 'p2p.listen=/ip4/127.0.0.1/tcp/0', '--set', 'api.port=0']
    const own = spawnCairn(['start', '--data-dir', dataDir, '--json', ...free])
    const ended = once(own, 'close')
    try {
      await once(createInterface(own.stdout), 'line')
      const status = await until(
        SOON_MS,
        async () =>
          jsonOf<Json<NodeStatus>>(await cairn(['status', '--json', '--data-dir', dataDir])),
        // Its clock is compared with the peers a moment after it met them.
        ({ peers, accepted, reasons }) =>
          peers === nodes.length &&
          accepted >= epoch &&
          reasons.every(({ code }) => code === 'registered'),
      )
      assert.equal(status.index, undefined)
      assert.equal(status.reasons.length, 1)
    } finally {
      own.kill('SIGINT')
    }
    assert.deepEqual(await ended, [0, null])
  })

  it('names a file by its piece CID without any node', async () => {
    const path = join(directory, 'piece')
    const bytes = randomBytes(5_000)
    await writeFile(path, bytes)
    const hasher = new CommpHasher()
    hasher.update(bytes)
    const { v2, bytes: length } = jsonOf(await cairn(['piece', 'cid', path, '--json']))
    assert.deepEqual([v2, length], [pieceCid(hasher.digest().piece), bytes.length])
  })

  it('settles an accepted epoch again to the same root', async () => {
    const result = await on('node1', 'ledger', 'recompute', String(epoch))
    assert.equal(result.code, 0)
    const view = jsonOf<Json<RecomputeView>>(result)
    assert.deepEqual([view.equal, view.computed], [true, view.accepted])
  })

  it('proves a message to somebody who has the file and the chain only', async () => {
    const { messages } = jsonOf<Json<MessagePage>>(
      await on('node1', 'ledger', 'show', '--epoch', String(epoch)),
    )
    const attestation = messages.find(({ type }) => type === 'attestation')
    assert.ok(attestation !== undefined)
    const one = jsonOf<Json<MessageView>>(await on('node1', 'ledger', 'show', attestation.id))
    assert.deepEqual(one, attestation)

    const path = join(directory, 'proof.json')
    assert.equal((await on('node1', 'ledger', 'prove', one.id, '-o', path)).code, 0)
    const { chain, manifest } = running().file
    const onChain = ['--rpc', chain.rpc, '--network', manifest]
    const stranger = (file: string, ...args: string[]) =>
      cairn(['ledger', 'verify', file, '--json', ...args], { cwd: directory })
    const offline = jsonOf(await stranger(path))
    assert.deepEqual([offline.valid, offline.against, offline.leaf], [true, 'file', one.id])
    const proven = jsonOf(await stranger(path, ...onChain))
    assert.deepEqual([proven.valid, proven.against, proven.epoch], [true, 'chain', epoch])

    const proof = JSON.parse(await readFile(path, 'utf8')) as ProofFileJson
    const forgeries: Record<string, ProofFileJson> = {
      path: { ...proof, path: [changed(proof.path[0] ?? ''), ...proof.path.slice(1)] },
      // Past its header, before its signature: the id covers type and body.
      message: { ...proof, message: changed(proof.message ?? '', 60) },
      epoch: { ...proof, epoch: proof.epoch + 1 },
    }
    for (const [field, forgery] of Object.entries(forgeries)) {
      const file = join(directory, `${field}.json`)
      await writeFile(file, JSON.stringify(forgery))
      const refused = await stranger(file, ...onChain)
      assert.equal(refused.code, EXIT_CODES.notTrue.code, `${field}: ${refused.stdout}`)
    }
  })

  it('explains each beacon and each witness with numbers', async () => {
    const { view: other, node } = running().testnet.daemon('node2')
    // Not every beacon of every epoch is heard.
    const heard = await until(
      HEARD_MS,
      () => other.verdicts(node.checkpointer.adopted, 'coverage'),
      found => found?.verdicts.some(({ parts }) => parts.length > 0) === true,
    )
    assert.ok(heard !== undefined)
    const node1 = running().testnet.daemon('node1').node
    if (node1.checkpointer.adopted < heard.epoch) await adopted(node1, heard.epoch)
    const view = jsonOf<Json<VerdictsView>>(
      await on('node1', 'coverage', 'explain', String(heard.epoch)),
    )
    assert.equal(view.kind, 'coverage')
    assert.deepEqual(
      view.verdicts.map(({ target, verdict, reason }) => [target, verdict, reason]),
      heard.verdicts.map(({ target, verdict, reason }) => [target, verdict, reason]),
    )
    for (const { reason, parts } of view.verdicts) {
      assert.ok(reason.length > 0)
      for (const part of parts) assert.ok(part.reason.length > 0)
    }
    const witness = view.verdicts.flatMap(({ parts }) => parts)[0]
    assert.ok(witness !== undefined && Object.keys(witness.facts).length > 0)
    const map = jsonOf<{ features: { id: string; geometry: { type: string } | null }[] }>(
      await on('node1', 'coverage', 'map', String(heard.epoch)),
    )
    const placed = map.features.filter(({ geometry }) => geometry?.type === 'Polygon')
    assert.ok(placed.length > 1, 'the gateways of the base, with their cells')
    assert.ok(map.features.some(({ id }) => id.startsWith('link/')))
  })

  it('pays into a deposit, asks for a part of it back, and takes that out', async () => {
    const show = async () => jsonOf<Json<DepositView>>(await on('node3', 'deposit', 'show'))
    const before = await show()
    assert.equal(before.key, before.dealKey)
    const unasked = await on('node3', 'deposit', 'withdraw')
    assert.equal(jsonOf<CairnFailure>(unasked).error.code, 'nothingRequested')
    const added = jsonOf<Json<DepositMove>>(await on('node3', 'deposit', 'add', '12.5'))
    assert.equal(BigInt(added.standing.deposited), BigInt(before.deposited) + PAID_IN)
    const covered = await until(SOON_MS, show, ({ available }) =>
      Boolean(BigInt(available) > BigInt(before.available)),
    )
    assert.ok(BigInt(covered.available) <= BigInt(covered.deposited))
    const asked = jsonOf<Json<DepositMove>>(await on('node3', 'deposit', 'request', '2.5'))
    assert.equal(asked.amount, String(ASKED))
    assert.equal((await show()).requested, String(ASKED))
    const text = await until(
      HEARD_MS,
      async () => await on('node3', 'deposit', 'withdraw'),
      ({ code }) => code === 0,
    )
    const taken = jsonOf<Json<DepositMove>>(text)
    assert.equal(taken.amount, String(ASKED))
    assert.equal(BigInt(taken.standing.tokens), BigInt(before.tokens) - PAID_IN + ASKED)
  })

  it('says what there is not, by code', async () => {
    const unknown = await on('node1', 'ledger', 'show', 'ab'.repeat(32))
    assert.equal(unknown.code, EXIT_CODES.notFound.code)
    assert.equal(jsonOf<CairnFailure>(unknown).error.code, 'notFound')
    const early = await on('node1', 'ledger', 'recompute', '100000')
    assert.equal(early.code, EXIT_CODES.notFound.code)
    const shared = await on('node2', 'stop')
    assert.equal(jsonOf<CairnFailure>(shared).error.code, 'sharedProcess')
    const taken = await on('node1', 'start', '--network', running().file.manifest)
    assert.notEqual(taken.code, 0, 'a second daemon on the same directory')
  })
})

/** The same digits but one. */
function changed(digits: string, at = digits.length - 1): string {
  return digits.slice(0, at) + (digits[at] === '0' ? '1' : '0') + digits.slice(at + 1)
}
