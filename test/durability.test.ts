/** What a node keeps and says when it is killed in the middle of its work. */
import { strict as assert } from 'node:assert'
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { type Arrival, type CairnNode, voteSubject } from '@cairn/node'
import {
  decode,
  type EpochMessage,
  epochStart,
  hex,
  MessageType,
  messageId,
  peek,
  subjectOf,
  Vote,
} from '@cairn/protocol'
import { type Running, sharedTestnet } from './network.ts'
import type { Acknowledged, Instructions, Started } from './observed-daemon.ts'

const SCRIPT = fileURLToPath(new URL('./observed-daemon.ts', import.meta.url))
const VICTIM = 'node4'
const PLACE = 3
/** Messages after which it is killed: in the middle of an epoch's. */
const ENOUGH = 8

interface Observed {
  child: ChildProcessWithoutNullStreams
  /** Resolves when all that it printed has been read. */
  read: Promise<unknown>
  started: Started
  acknowledged: Acknowledged[]
}

describe('a node that is killed', () => {
  const running = sharedTestnet()
  const children: ChildProcessWithoutNullStreams[] = []
  let index: number
  let watching: CairnNode

  before(() => {
    const { file, testnet } = running()
    index = file.nodes.find(({ name }) => name === VICTIM)?.index as number
    watching = testnet.daemon('node1').node
  })
  afterEach(async () => {
    for (const child of children.splice(0)) {
      if (child.exitCode !== null || child.signalCode !== null) continue
      child.kill('SIGKILL')
      // Until then it has the store open.
      await once(child, 'exit')
    }
    await running().testnet.fault('start', [VICTIM])
  })

  it('has all that it acknowledged, is silent for an epoch, and contradicts nothing', async () => {
    const { testnet } = running()
    // What it said before it was killed may come late to others.
    const before = await saidBy(testnet.daemon(VICTIM).node, index)
    await testnet.fault('stop', [VICTIM])
    const first = await observe(running(), children)
    assert.equal(first.started.mutedUntil, 0, 'it was closed cleanly')
    const own = () => first.acknowledged.filter(({ source }) => source === 'own')
    await lines(first, () => own().length > 0 && first.acknowledged.length >= ENOUGH)
    first.child.kill('SIGKILL')
    await first.read
    const kept = first.acknowledged.map(({ id }) => id)

    const earliest = watching.epochs.now()
    const second = await observe(running(), children)
    const { mutedUntil } = second.started
    // It opened its store in one of the epochs that passed meanwhile.
    const latest = watching.epochs.now()
    assert.ok(
      earliest + 2 <= mutedUntil && mutedUntil <= latest + 2,
      `${mutedUntil} when opened in ${earliest} to ${latest}`,
    )
    for (const id of kept) assert.equal(await statusOf(second.started, id), 200, `lost ${id}`)

    const { calendar } = watching.epochs
    // That was printed before it was sent.
    for (const id of kept) before.add(id)
    const said: Arrival[] = []
    await new Promise<void>(resolve => {
      watching.ingest.onArrival(arrival => {
        const { author, epoch: about } = arrival.message.value
        if (author !== index || before.has(hex(arrival.message.id))) return
        said.push(arrival)
        if (arrival.type !== MessageType.vote && about >= mutedUntil) resolve()
      })
    })
    const silence = epochStart(calendar, mutedUntil)
    const early = said.filter(({ type, message, at }) => {
      // A vote is about an epoch that is over; a round after the silence is no matter of before.
      return at < silence || (type !== MessageType.vote && message.value.epoch < mutedUntil)
    })
    assert.deepEqual(early, [], 'it says nothing before the first epoch in which it may')

    second.child.kill('SIGTERM')
    assert.deepEqual(await once(second.child, 'close'), [0, null])
    for (const { name, daemon } of testnet.running()) {
      assert.deepEqual(await contradictions(daemon.node, index), [], name)
    }
    assert.deepEqual(testnet.monitor.violations, [])
  })
})

async function observe(
  { file }: Running,
  children: ChildProcessWithoutNullStreams[],
): Promise<Observed> {
  const node = file.nodes.find(({ name }) => name === VICTIM)
  assert.ok(node !== undefined)
  const instructions: Instructions = {
    dataDir: node.dataDir,
    manifest: file.manifest,
    rpc: file.chain.rpc,
    bootstrap: file.nodes.filter(({ name }) => name !== VICTIM).flatMap(other => other.multiaddrs),
    seed: 1,
    place: PLACE,
  }
  const child = spawn(process.execPath, [
    '--conditions=cairn-source',
    SCRIPT,
    JSON.stringify(instructions),
  ])
  children.push(child)
  const complaints: string[] = []
  child.stderr.setEncoding('utf8').on('data', (text: string) => complaints.push(text))
  const acknowledged: Acknowledged[] = []
  const output = createInterface(child.stdout)
  const read = once(output, 'close')
  const started = await new Promise<Started>((resolve, reject) => {
    child.once('close', () => reject(new Error(`it ended: ${complaints.join('')}`)))
    output.on('line', line => {
      const said = JSON.parse(line) as Started | Acknowledged
      if ('id' in said) acknowledged.push(said)
      else resolve(said)
      child.emit('printed')
    })
  })
  return { child, read, started, acknowledged }
}

async function lines({ child }: Observed, enough: () => boolean): Promise<void> {
  while (!enough()) await once(child, 'printed')
}

/** Ids of what a node has said and goes on to say. */
async function saidBy({ ledger, ingest, epochs }: CairnNode, author: number): Promise<Set<string>> {
  const said = new Set<string>()
  ingest.onArrival(({ message, source }) => {
    if (source === 'own') said.add(hex(message.id))
  })
  for (let epoch = 0; epoch <= epochs.now() + 1; epoch++) {
    for await (const { envelope } of ledger.messagesOf(epoch, { author })) {
      said.add(hex(messageId(envelope)))
    }
  }
  return said
}

async function statusOf({ api, tokenPath }: Started, id: string): Promise<number> {
  const token = (await readFile(tokenPath, 'utf8')).trim()
  const headers = { authorization: `Bearer ${token}` }
  const response = await fetch(`${api}/v1/ledger/${id}`, { headers })
  await response.arrayBuffer()
  return response.status
}

/** Subjects about which a node holds two different messages of one author. */
async function contradictions(
  { ledger, book, epochs }: CairnNode,
  author: number,
): Promise<string[]> {
  const said = new Map<string, string>()
  const found: string[] = []
  let count = 0
  for (let epoch = 0; epoch <= epochs.now() + 1; epoch++) {
    for await (const { envelope } of ledger.messagesOf(epoch, { author })) {
      count++
      const subject = subjectIn(envelope)
      const id = hex(messageId(envelope))
      if (said.has(subject) && said.get(subject) !== id) found.push(subject)
      said.set(subject, id)
    }
  }
  assert.ok(count > 0, 'it said something')
  return found

  function subjectIn(envelope: Parameters<typeof peek>[0]): string {
    if (envelope.type === MessageType.vote) return voteSubject(decode(Vote, envelope.body))
    const { value, rule } = peek(envelope, book)
    return `${(value as EpochMessage).epoch}/${subjectOf(envelope.type, value, rule)}`
  }
}
