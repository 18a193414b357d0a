/** Somebody with fresh words joins a running network by commands alone, earns, is paid and leaves. */
import { strict as assert } from 'node:assert'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { anvilTransport, cairnTokenAbi, testDeployer } from '@cairn/contracts'
import { encodeProofFile, TOKEN, unhex } from '@cairn/protocol'
import { createTestClient, type Hex, parseEther, publicActions, walletActions } from 'viem'
import { type CairnFailure, cairn, jsonOf, spawnCairn } from '../packages/cli/test/process.ts'
import { quickTestnet, type Running } from './network.ts'

interface Standing {
  account: string
  tokens: string
  leastBond: string
  node?: { index: number; bond: string; state: string; returnsAt: number }
}
interface Done {
  done: string
  gas: string
  tokens: string
  node?: NonNullable<Standing['node']>
}
interface Totals {
  accounts: { account: string; earned: string; claimed: string; claimable: string }[]
}
interface Claimed {
  done: string
  total: string
  paid: { account: string; amount: string }[]
}

const LEAST = 1_000n * TOKEN
/** Longer than the commands take that are refused meanwhile, s. */
const EXIT_DELAY = 30n

describe('a newcomer', function () {
  this.timeout(600_000)

  let running: Running
  let directory: string
  let daemon: ChildProcess | undefined

  before(async () => {
    running = await quickTestnet({ parameters: { exitDelay: EXIT_DELAY } })
    directory = await mkdtemp(join(tmpdir(), 'cairn-newcomer-'))
  })
  after(async () => {
    await stopDaemon()
    await running.end()
    await rm(directory, { recursive: true, force: true })
  })

  const home = (name = 'own') => ['--data-dir', join(directory, name), '--json']
  const manifest = () => join(dirname(running.testnet.path), 'network.json')
  const command = async <T>(...args: string[]): Promise<T> => {
    const ended = await cairn([...args, ...home()])
    assert.equal(ended.code, 0, `${args.join(' ')}: ${ended.stdout}${ended.stderr}`)
    return jsonOf<T>(ended)
  }
  const refused = async (...args: string[]): Promise<string> => {
    const ended = await cairn([...args, ...home()])
    assert.notEqual(ended.code, 0, `${args.join(' ')}: ${ended.stdout}`)
    const { error } = jsonOf<CairnFailure>(ended)
    assert.ok(error.next !== undefined, `${error.code} says what to do`)
    return error.code
  }
  /** Again where another opened a later epoch meanwhile, as the refusal says. */
  const claim = async (options: () => Promise<string[]> = async () => []): Promise<Claimed> => {
    for (;;) {
      const ended = await cairn(['claim', ...(await options()), ...home()])
      if (ended.code === 0) return jsonOf<Claimed>(ended)
      assert.equal(jsonOf<CairnFailure>(ended).error.facts.error, 'NotFunded', ended.stdout)
    }
  }
  const give = async (to: Hex, { ether = 0n, tokens = 0n }) => {
    const client = createTestClient({
      mode: 'anvil',
      account: testDeployer().account,
      transport: anvilTransport(running.testnet.rpcUrl),
      pollingInterval: 100,
    })
      .extend(publicActions)
      .extend(walletActions)
    if (ether > 0n) await client.setBalance({ address: to, value: ether })
    if (tokens === 0n) return
    const hash = await client.writeContract({
      chain: null,
      address: running.testnet.contracts.token,
      abi: cairnTokenAbi,
      functionName: 'transfer',
      args: [to, tokens],
    })
    await client.waitForTransactionReceipt({ hash })
  }
  const startDaemon = async () => {
    const settings = ['p2p.listen=/ip4/127.0.0.1/tcp/0', 'api.port=0', 'p2p.privateAddresses=true']
    const flags = settings.flatMap(setting => ['--set', setting])
    const child = spawnCairn(['start', ...home(), ...flags])
    daemon = child
    const [line] = await once(createInterface(child.stdout), 'line')
    return JSON.parse(line as string) as { index?: number }
  }
  const stopDaemon = async () => {
    if (daemon === undefined || daemon.exitCode !== null) return
    const ended = once(daemon, 'close')
    daemon.kill('SIGINT')
    await ended
  }
  /** Asks until it holds; every wait has the test's own limit. */
  const until = async <T>(ask: () => Promise<T>, holds: (found: T) => boolean): Promise<T> => {
    for (;;) {
      const found = await ask()
      if (holds(found)) return found
      await sleep(1_000)
    }
  }

  it('registers, earns, claims, leaves and has the bond back', async () => {
    const { account } = await command<{ account: Hex }>('init', '--network', manifest())
    assert.equal(await refused('register'), 'noTokens')
    await give(account, { tokens: 2n * LEAST })
    assert.equal(await refused('register'), 'noFunds')
    await give(account, { ether: parseEther('1') })
    assert.equal(await refused('register', '--bond', '999'), 'bondTooLow')
    assert.equal(await refused('exit', 'request'), 'notRegistered')
    const planned = await command<Done>('register', '--dry-run')
    assert.deepEqual([planned.done, planned.tokens], ['dryRun', String(LEAST)])

    const { done, node } = await command<Done>('register')
    assert.equal(done, 'now')
    assert.equal((await command<Done>('register')).done, 'before')
    const index = node?.index as number
    assert.equal((await command<Done>('bond', 'add', '5')).node?.bond, String(LEAST + 5n * TOKEN))

    // From here on the daemon sends, by the same queue.
    const started = await startDaemon()
    assert.equal(started.index, index)
    const paying = account.slice(2).toLowerCase()
    const own = ({ accounts }: Totals) => accounts.find(found => found.account === paying)
    const earning = await until(
      () => command<Totals>('earnings'),
      totals => BigInt(own(totals)?.claimable ?? 0n) > 0n,
    )
    assert.equal(own(earning)?.claimed, '0')
    const before = BigInt((await command<Standing>('bond')).tokens)
    const paid = await claim()
    assert.equal(paid.done, 'now')
    const amount = BigInt(paid.paid.find(found => found.account === paying)?.amount ?? 0n)
    assert.ok(amount >= BigInt(own(earning)?.claimable ?? 0n))
    assert.equal(BigInt((await command<Standing>('bond')).tokens), before + amount)
    assert.equal(own(await command<Totals>('earnings'))?.claimed, String(amount))

    // Another's rewards go to that account, whoever asks.
    const other = running.testnet.members[0]
    const theirs = running.testnet
      .daemon('node1')
      .chain.registryAt(running.testnet.daemon('node1').chain.head()?.number ?? 0n)[0]
    assert.ok(other !== undefined && theirs !== undefined)
    const payout = Buffer.from(theirs.payout).toString('hex')
    const forOther = await claim(async () => ['--for', payout])
    assert.deepEqual(
      forOther.paid.map(found => found.account),
      [payout],
    )
    assert.equal(await refused('exit', 'withdraw'), 'exitNotDue')
    assert.equal(await refused('exit', 'request', '--node', '0'), 'notOperator')

    const left = await command<Done>('exit', 'request')
    assert.equal(left.node?.state, 'leaving')
    assert.equal(await refused('exit', 'withdraw'), 'exitNotDue')
    assert.equal(await refused('bond', 'add', '1'), 'nodeLeaving')
    await stopDaemon()
    await until(
      async () => Date.now() / 1_000,
      now => now > (left.node?.returnsAt ?? 0) + 2,
    )
    let rest = 0n
    const without = await claim(async () => {
      const proof = await running.testnet.daemon('node1').view.provePayout(unhex(account))
      assert.ok(proof !== undefined)
      rest = (proof.payout?.earned ?? 0n) - amount
      const file = join(directory, 'proof.json')
      await writeFile(file, JSON.stringify(encodeProofFile(proof)))
      return ['--proof', file]
    })
    assert.deepEqual([without.total, without.done], [String(rest), rest > 0n ? 'now' : 'before'])

    const atLast = BigInt((await command<Standing>('bond')).tokens)
    assert.equal((await command<Done>('exit', 'withdraw')).node?.state, 'left')
    const end = await command<Standing>('bond')
    assert.equal(BigInt(end.tokens), atLast + LEAST + 5n * TOKEN)
    assert.equal((await command<Done>('exit', 'withdraw')).done, 'before')
    assert.equal(await refused('register'), 'keysUsed')
  })
})
