/** The command that brings a whole network up, in a process of its own. */
import { strict as assert } from 'node:assert'
import type { ChildProcessWithoutNullStreams } from 'node:child_process'
import { execFileSync } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface, type Interface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { readTestnetFile, type Summary, TESTNET_FILE, type TestnetFile } from '@cairn/testnet'
import { type CairnFailure, cairn, jsonOf, spawnCairn } from '../packages/cli/test/process.ts'
import { isListening, until } from './network.ts'

/** From the start of the process until the file is there, beginning again included, ms. */
const READY_MS = 150_000
/** For what two epochs and several starts on a busy machine take, ms. */
const TEST_MS = 300_000
/** Until the kernel has reaped what was killed. */
const GONE_MS = 10_000
/** Nothing can be accepted of an epoch that is not over. */
const EPOCH_MS = 12_000
const TOKEN = 10n ** 18n
/** The least network that keeps a file. */
const SMALL = ['--nodes', '2', '--gateways', '0']

interface Up {
  child: ChildProcessWithoutNullStreams
  dir: string
  output: Interface
  /** Printed so far. */
  lines: string[]
  /** Exit code and complaints once it has ended. */
  ended: Promise<{ code: number | null; stderr: string }>
}

describe('testnet up', function () {
  this.timeout(TEST_MS)
  let directory = ''
  const started: ChildProcessWithoutNullStreams[] = []
  let whole: Up & { traces: Traces }
  let interrupted: Up
  let small: Up

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'cairn-test-'))
    const up4 = up('whole', '--nodes', '4', '--checkpoints', '2')
    whole = { ...up4, traces: await tracesOf(up4) }
    // It needs most of a minute; what else there is to see is seen meanwhile.
    interrupted = up('interrupted', ...SMALL)
    const file = join(directory, 'given')
    await writeFile(file, Buffer.alloc(200_000, 1))
    small = plain('small', ...SMALL, '--checkpoints', '1', '--file', file)
  })
  after(async () => {
    for (const child of started) if (child.exitCode === null) child.kill('SIGKILL')
    await rm(directory, { recursive: true, force: true })
  })

  function up(name: string, ...args: string[]): Up {
    return plain(name, ...args, '--json')
  }

  function plain(name: string, ...args: string[]): Up {
    const dir = join(directory, name)
    const child = spawnCairn(['testnet', 'up', ...args, '--dir', dir])
    started.push(child)
    const lines: string[] = []
    const output = createInterface(child.stdout).on('line', line => lines.push(line))
    const ended = Promise.all([text(child.stderr), once(child, 'close')]).then(
      ([stderr, [code]]) => ({ code: code as number | null, stderr }),
    )
    return { child, dir, output, lines, ended }
  }

  it('is refused in a directory from which a testnet runs', async () => {
    const second = await cairn(['testnet', 'up', '--json', '--dir', whole.dir])
    assert.notEqual(second.code, 0)
    const { error } = jsonOf<CairnFailure>(second)
    assert.deepEqual([error.code, error.facts.pid], ['testnetRunning', whole.child.pid])
    assert.equal((await readTestnetFile(whole.dir)).pid, whole.child.pid, 'the first one goes on')
  })

  it('is refused in a directory that holds something else, and leaves it alone', async () => {
    const dir = join(directory, 'foreign')
    await mkdir(dir)
    await writeFile(join(dir, 'thesis.txt'), 'years of work')
    const refused = await cairn(['testnet', 'up', '--json', '--dir', dir])
    assert.notEqual(refused.code, 0)
    assert.equal(jsonOf<CairnFailure>(refused).error.code, 'notTestnet')
    assert.deepEqual(await readdir(dir), ['thesis.txt'])
    assert.equal(await readFile(join(dir, 'thesis.txt'), 'utf8'), 'years of work')
  })

  it('says on stdout, status and disk who runs', async () => {
    const file = await readTestnetFile(whole.dir)
    const status = jsonOf<{ network: string; nodes: { name: string; running: boolean }[] }>(
      await cairn(['testnet', 'status', '--json', '--dir', whole.dir]),
    )
    assert.equal(status.network, file.network)
    assert.deepEqual(
      status.nodes.map(({ name, running }) => [name, running]),
      file.nodes.map(({ name }) => [name, true]),
    )
  })

  it('ends when asked from another process', async () => {
    const asked = up('asked', ...SMALL)
    const traces = await tracesOf(asked)
    const down = await cairn(['testnet', 'down', '--json', '--dir', asked.dir])
    assert.deepEqual([down.code, jsonOf(down)], [0, { stopped: true }])
    assert.equal((await asked.ended).code, 0)
    await assertNothingLeft(asked, traces)
    const again = await cairn(['testnet', 'down', '--json', '--dir', asked.dir])
    assert.equal(jsonOf<CairnFailure>(again).error.code, 'noTestnet')
  })

  it('leaves no chain behind when it is killed', async () => {
    const killed = up('killed', ...SMALL)
    const traces = await tracesOf(killed)
    killed.child.kill('SIGKILL')
    await killed.ended
    await until(
      GONE_MS,
      () => traces.anvil.filter(isAlive),
      alive => alive.length === 0,
    )
    await until(
      GONE_MS,
      () => listening(traces.file),
      ports => ports.length === 0,
    )
    // The file of the dead does not stand in anybody's way.
    const down = await cairn(['testnet', 'down', '--json', '--dir', killed.dir])
    assert.equal(jsonOf<CairnFailure>(down).error.code, 'noTestnet')
  })

  it('ends at Ctrl-C with what it did until then', async () => {
    const traces = await tracesOf(interrupted)
    if (interrupted.lines.length === 0) await once(interrupted.output, 'line')
    interrupted.child.kill('SIGINT')
    const { code, stderr } = await interrupted.ended
    assert.equal(code, 0, stderr)
    const { summary } = parsed(interrupted).at(-1) as { summary: Summary }
    assert.equal(summary.fileRetrievedIdentical, true)
    assert.ok(summary.inclusionVerifiedOnChain && summary.inclusionVerifiedOffline)
    await assertNothingLeft(interrupted, traces)
  })

  it('ends by itself without gateways, with the file that was given', async () => {
    const { code, stderr } = await small.ended
    assert.equal(code, 0, stderr)
    const text = small.lines.join('\n')
    assert.match(text, /^checkpoints +\d+ accepted of 2 nodes/m)
    assert.match(text, /^storage +\d+ attestations +[1-9]\d* pass 0 fail/m)
    assert.match(text, /^coverage +0 attestations/m)
    assert.match(text, /^file +1 of 1, [1-9]\d* deals, \d+ repairs; fetched, identical$/m)
  })

  it('says to people what it is doing, from the start on', async () => {
    await small.ended
    // A start on a busy machine may be the second one.
    const said = small.lines.slice(small.lines.findLastIndex(line => line.startsWith('chain')))
    const stages = [
      /^chain ready/,
      /^2 nodes up/,
      /^file stored/,
      /^scripts find it/,
      /^genesis at/,
    ]
    for (const [place, stage] of stages.entries()) assert.match(said[place] ?? '', stage)
    assert.match(said[stages.length] ?? '', /^epoch +0 accepted/)
    assert.ok(!small.lines.some(line => line.includes('{')), 'no JSON')
  })

  it('prints an epoch a line, then the summary, and leaves nothing', async () => {
    const { code, stderr } = await whole.ended
    assert.equal(code, 0, stderr)
    const lines = parsed(whole)
    const epochs = lines.slice(0, -1)
    for (const [place, line] of epochs.entries()) assert.equal(line.epoch, place)
    const { summary } = lines.at(-1) as { summary: Summary }
    assert.deepEqual(Object.keys(summary).toSorted(), FIELDS)
    assert.equal(summary.nodes, 4)
    assert.deepEqual([summary.k, summary.n], [1, 3])
    assert.ok(summary.bytesServed > 0, 'the file was fetched, and paid for')
    // Three groups at most, and a manifest that survives what they do.
    assert.ok(summary.shards >= 2 * 3 + 3)
    assert.ok(summary.epochs >= 2)
    assert.deepEqual([summary.epochs, summary.checkpointsAccepted], [epochs.length, epochs.length])
    for (const kind of ['storage', 'coverage'] as const) {
      const { pass, fail } = summary.verdicts[kind]
      assert.ok(summary.attestations[kind] > 0 && pass > 0, kind)
      assert.equal(fail, 0, `nobody lied about ${kind}`)
    }
    assert.ok(BigInt(summary.burned) > 0n && BigInt(summary.burned) < 1_000n * TOKEN)
    assert.equal(summary.gasPerCheckpoint.length, epochs.length)
    for (const gas of summary.gasPerCheckpoint) assert.ok(gas > 21_000 && gas < 1_000_000, `${gas}`)
    assert.ok(summary.firstCheckpointMs > EPOCH_MS)
    const { inclusionVerifiedOnChain, inclusionVerifiedOffline } = summary
    const { fileRetrievedIdentical, payoutsSumExact, payoutsClaimed } = summary
    assert.deepEqual([inclusionVerifiedOnChain, inclusionVerifiedOffline], [true, true])
    assert.deepEqual([fileRetrievedIdentical, payoutsSumExact, payoutsClaimed], [true, true, true])
    await assertNothingLeft(whole, whole.traces)
  })
})

const FIELDS = [
  'attestations',
  'burned',
  'bytesServed',
  'checkpointsAccepted',
  'epochs',
  'fileRetrievedIdentical',
  'firstCheckpointMs',
  'gasPerCheckpoint',
  'inclusionVerifiedOffline',
  'inclusionVerifiedOnChain',
  'k',
  'n',
  'nodes',
  'payoutsClaimed',
  'payoutsSumExact',
  'repairs',
  'shards',
  'verdicts',
]

interface Traces {
  file: TestnetFile
  /** Process ids of the chain's. */
  anvil: number[]
}

async function ready({ child, dir, lines, ended }: Up): Promise<TestnetFile> {
  const file = () => (existsSync(join(dir, TESTNET_FILE)) ? readTestnetFile(dir) : undefined)
  const found = await until(READY_MS, file, value => value !== undefined || child.exitCode !== null)
  if (found !== undefined) return found
  const { code, stderr } = await ended
  return assert.fail(`it ended with ${code} before it was ready: ${lines.join('')} ${stderr}`)
}

/** What must be gone when the testnet is. */
async function tracesOf(testnet: Up): Promise<Traces> {
  const file = await ready(testnet)
  const anvil = childrenOf(testnet.child.pid as number, 'anvil')
  assert.equal(anvil.length, 1, 'it runs one chain')
  assert.equal((await listening(file)).length, portsOf(file).length)
  return { file, anvil }
}

async function assertNothingLeft({ dir }: Up, { file, anvil }: Traces): Promise<void> {
  assert.deepEqual(anvil.filter(isAlive), [])
  assert.deepEqual(await listening(file), [])
  for (const { gwmp } of file.nodes)
    if (gwmp !== null) await assertUdpFree(Number(gwmp.split(':')[1]))
  assert.ok(!existsSync(join(dir, TESTNET_FILE)))
  for (const { dataDir } of file.nodes) assert.ok(!existsSync(join(dataDir, 'cairn.lock')))
}

/** Every TCP port that the file names. */
function portsOf({ control, chain, randomness, nodes }: TestnetFile): number[] {
  const urls = [control.url, chain.rpc, randomness.url, ...nodes.map(({ api }) => api)]
  const addresses = nodes.flatMap(({ multiaddrs }) => multiaddrs)
  return [
    ...urls.map(url => Number(new URL(url).port)),
    ...addresses.map(address => Number(/\/tcp\/(\d+)/.exec(address)?.[1])),
  ]
}

async function listening(file: TestnetFile): Promise<number[]> {
  const ports = portsOf(file)
  const open = await Promise.all(ports.map(isListening))
  return ports.filter((_, place) => open[place])
}

async function assertUdpFree(port: number): Promise<void> {
  const socket = createSocket('udp4')
  socket.bind({ address: '127.0.0.1', port, exclusive: true })
  await once(socket, 'listening')
  await new Promise<void>(resolve => socket.close(() => resolve()))
}

function childrenOf(parent: number, name: string): number[] {
  const processes = execFileSync('ps', ['-A', '-o', 'pid=,ppid=,comm='], { encoding: 'utf8' })
  return processes
    .split('\n')
    .map(line => line.trim().split(/\s+/))
    .filter(([, ppid, command]) => Number(ppid) === parent && command?.includes(name))
    .map(([pid]) => Number(pid))
}

/** A process that ended but was not waited for counts as gone. */
function isAlive(pid: number): boolean {
  const state = execFileSync('ps', ['-A', '-o', 'pid=,stat='], { encoding: 'utf8' })
    .split('\n')
    .map(line => line.trim().split(/\s+/))
    .find(([found]) => Number(found) === pid)
  return state !== undefined && !state[1]?.startsWith('Z')
}

function parsed({ lines }: Up): Record<string, unknown>[] {
  return lines.map(line => JSON.parse(line) as Record<string, unknown>)
}
