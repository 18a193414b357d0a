import { strict as assert } from 'node:assert'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import {
  cairnTokenAbi,
  checkpointsAbi,
  FUNDED_OPERATORS,
  nodeRegistryAbi,
  startAnvil,
  TESTNET_PARAMETERS,
  testAccounts,
  testDeployer,
  testnetContracts,
} from '@cairn/contracts'
import type { CairnError } from '@cairn/protocol'
import { createPublicClient, createTestClient, http, maxUint256, parseEther } from 'viem'

const clientOf = (rpcUrl: string) =>
  createPublicClient({ transport: http(rpcUrl, { retryCount: 0 }), pollingInterval: 20 })

describe('startAnvil', () => {
  it('starts with the contracts deployed, the operators funded and no nodes', async () => {
    const anvil = await startAnvil({ blockTime: 0 })
    try {
      const client = clientOf(anvil.rpcUrl)
      const { token, registry, checkpoints } = testnetContracts()
      const count = await client.readContract({
        address: registry,
        abi: nodeRegistryAbi,
        functionName: 'count',
      })
      assert.equal(count, 0)
      const starter = await client.readContract({
        address: checkpoints,
        abi: checkpointsAbi,
        functionName: 'starter',
      })
      assert.equal(starter, testDeployer().address)
      for (const { address } of testAccounts(FUNDED_OPERATORS)) {
        assert.equal(await client.getBalance({ address }), parseEther('10000'))
        const erc20 = { address: token, abi: cairnTokenAbi } as const
        assert.equal(
          await client.readContract({ ...erc20, functionName: 'balanceOf', args: [address] }),
          parseEther('100000'),
        )
        assert.equal(
          await client.readContract({
            ...erc20,
            functionName: 'allowance',
            args: [address, registry],
          }),
          maxUint256,
        )
      }
      const supply = await client.readContract({
        address: token,
        abi: cairnTokenAbi,
        functionName: 'totalSupply',
      })
      assert.equal(supply, TESTNET_PARAMETERS.supply)
      assert.equal(await client.getBlockNumber(), 0n)
    } finally {
      await anvil.stop()
    }
  })

  it('gives the chain its id, and a block a second from now on', async () => {
    const began = Date.now()
    const anvil = await startAnvil({ chainId: 4242 })
    try {
      const client = clientOf(anvil.rpcUrl)
      assert.equal(await client.getChainId(), 4242)
      const first = await client.getBlock({ blockNumber: 0n })
      assert.ok(Number(first.timestamp) >= Math.floor(began / 1000))
      await new Promise<void>(resolve => {
        const unwatch = client.watchBlockNumber({
          onBlockNumber: number => {
            if (number < 2n) return
            unwatch()
            resolve()
          },
        })
      })
      const second = await client.getBlock({ blockNumber: 2n })
      const ended = Date.now()
      // Each block has the second in which it is made, which may be a later one than was due.
      assert.ok(second.timestamp >= first.timestamp + 2n)
      assert.ok(Number(second.timestamp) <= Math.ceil(ended / 1000), `${second.timestamp} ${ended}`)
    } finally {
      await anvil.stop()
    }
  })

  it('stops, again and again, and frees its port', async () => {
    const anvil = await startAnvil({ blockTime: 0 })
    await anvil.stop()
    await anvil.stop()
    assert.throws(() => process.kill(anvil.pid, 0), { code: 'ESRCH' })
    const server = createServer().listen(Number(new URL(anvil.rpcUrl).port), '127.0.0.1')
    await once(server, 'listening')
    server.close()
  })

  it('runs several chains side by side', async () => {
    const chains = await Promise.all([1, 2, 3].map(() => startAnvil({ blockTime: 0 })))
    assert.equal(new Set(chains.map(({ rpcUrl }) => rpcUrl)).size, 3)
    await Promise.all(chains.map(chain => chain.stop()))
  })

  it('stops when its signal aborts, also before it has started', async () => {
    const controller = new AbortController()
    const anvil = await startAnvil({ blockTime: 0, signal: controller.signal })
    controller.abort(new Error('enough'))
    await anvil.stop()
    await assert.rejects(startAnvil({ signal: controller.signal }), /enough/)
    const early = new AbortController()
    const starting = startAnvil({ blockTime: 0, signal: early.signal })
    early.abort(new Error('at once'))
    await assert.rejects(starting, /at once/)
  })

  it('says why when its port is taken', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as { port: number }
    await assert.rejects(startAnvil({ port }), (error: CairnError) => {
      assert.equal(error.code, 'anvilStart')
      assert.match(error.message, /[Aa]ddress (already )?in use/)
      return true
    })
    server.close()
  })

  it('keeps a chain in a state file from one run to the next', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'cairn-test-'))
    const stateFile = join(directory, 'chain.json')
    try {
      const { address } = testDeployer()
      const first = await startAnvil({ blockTime: 0, stateFile })
      const test = createTestClient({ mode: 'anvil', transport: http(first.rpcUrl) })
      await test.setBalance({ address, value: 7n })
      await test.mine({ blocks: 3 })
      await first.stop()
      const second = await startAnvil({ blockTime: 0, stateFile })
      const client = clientOf(second.rpcUrl)
      assert.equal(await client.getBalance({ address }), 7n)
      assert.equal(await client.getBlockNumber(), 3n)
      assert.ok(await client.getCode({ address: testnetContracts().checkpoints }))
      await second.stop()
    } finally {
      await rm(directory, { recursive: true })
    }
  })

  it('writes nothing under the home directory, and leaves no temporary files', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'cairn-test-'))
    const foundry = () => readdir(join(homedir(), '.foundry')).catch(error => error.code)
    const before = await foundry()
    const { TMPDIR } = process.env
    process.env.TMPDIR = directory
    try {
      const anvil = await startAnvil({ blockTime: 0 })
      const test = createTestClient({ mode: 'anvil', transport: http(anvil.rpcUrl) })
      await test.mine({ blocks: 200 })
      await anvil.stop()
      assert.deepEqual(await readdir(directory), [])
      assert.deepEqual(await foundry(), before)
    } finally {
      if (TMPDIR === undefined) delete process.env.TMPDIR
      else process.env.TMPDIR = TMPDIR
      await rm(directory, { recursive: true })
    }
  })

  for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
    it(`does not outlive a parent that ${signal} ended`, async () => {
      const parent = spawn(
        process.execPath,
        [
          '--conditions=cairn-source',
          '--input-type=module',
          '--eval',
          `import { startAnvil } from '${fileURLToPath(new URL('../src/anvil.ts', import.meta.url))}'
           console.log((await startAnvil()).rpcUrl)`,
        ],
        { stdio: ['ignore', 'pipe', 'inherit'] },
      )
      const [text] = (await once(parent.stdout.setEncoding('utf8'), 'data')) as [string]
      const client = clientOf(text.trim())
      assert.ok((await client.getBlockNumber()) >= 0n)
      parent.kill(signal)
      await once(parent, 'exit')
      await gone(text.trim())
    })
  }
})

/** Resolves once nothing answers there; the test's own timeout bounds it. */
async function gone(rpcUrl: string): Promise<void> {
  for (;;) {
    try {
      await clientOf(rpcUrl).getBlockNumber({ cacheTime: 0 })
    } catch {
      // Nobody answers any more: what is waited for.
      return
    }
  }
}
