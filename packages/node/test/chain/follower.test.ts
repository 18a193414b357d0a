import { strict as assert } from 'node:assert'
import {
  anvilTransport,
  checkpointsAbi,
  keyWords,
  nodeRegistryAbi,
  possessionRoot,
  registerArguments,
} from '@cairn/contracts'
import type { Chain, Clock } from '@cairn/node'
import { bls, checkInSigningRoot, hex, unhex } from '@cairn/protocol'
import { createWalletClient, encodeEventTopics } from 'viem'
import {
  advanced,
  clock,
  type Endpoint,
  type Fault,
  movable,
  NODE_FACTS,
  nodeSigner,
  openChain,
  openEndpoint,
  quiet,
  soleGenesis,
  type TestChain,
} from './world.ts'

/** No shorter than the testnet's contracts wait, and than their window. */
const FALLBACK_S = 73

describe('chain follower', () => {
  let world: TestChain
  let endpoints: Endpoint[]

  beforeEach(async () => {
    world = await openChain()
    endpoints = []
  })
  afterEach(async () => {
    for (const endpoint of endpoints) await endpoint.close()
    await world.close()
  })

  const open: TestChain['open'] = (...init) => world.open(...init)
  const anotherEndpoint = async (): Promise<Endpoint> => {
    const endpoint = await openEndpoint(world.anvil.rpcUrl)
    endpoints.push(endpoint)
    return endpoint
  }
  const indices = (chain: Chain) =>
    chain.registryAt(chain.head()?.number ?? 0n).map(({ index }) => index)
  const headNumber = (chain: Chain) => chain.head()?.number

  describe('reorganisation', () => {
    it('rolls back to the fork and takes the other branch', async () => {
      await world.mine(5)
      await world.register(0)
      const chain = await open()
      await world.register(1)
      await world.mine(3)
      const height = await world.client.getBlockNumber()
      await advanced(chain, () => headNumber(chain) === height)
      assert.deepEqual(indices(chain), [0, 1])
      const before = chain.head()
      // Replaces the last four blocks, the second registration's among them, by empty ones.
      await world.client.request({ method: 'anvil_reorg', params: [4, []] } as never)
      await world.mine()
      await advanced(chain, () => headNumber(chain) === height + 1n)
      assert.deepEqual(indices(chain), [0])
      assert.notDeepEqual(chain.block(height)?.hash, before?.hash)
      await world.register(1)
      await advanced(chain, () => indices(chain).length === 2)
    })

    it('follows a chain that became shorter, once it grows again', async () => {
      await world.mine(3)
      const id = await world.client.snapshot()
      const chain = await open()
      await world.register(0)
      await world.mine(5)
      await advanced(chain, () => indices(chain).length === 1 && headNumber(chain) === 9n)
      await world.client.revert({ id })
      await world.client.mine({ blocks: 2, interval: 7 })
      await advanced(chain, () => headNumber(chain) === 5n)
      assert.deepEqual(indices(chain), [])
      const block = await world.client.getBlock({ blockNumber: 5n })
      assert.deepEqual(chain.head()?.hash, unhex(block.hash))
      await world.mine(6)
      await advanced(chain, () => headNumber(chain) === 11n)
    })

    it('takes back a genesis checkpoint', async () => {
      const chain = await open()
      const id = await world.client.snapshot()
      await world.begin(soleGenesis())
      await advanced(chain, () => chain.genesis() !== undefined)
      await world.client.revert({ id })
      await world.mine(5)
      await advanced(chain, () => chain.genesis() === undefined)
      await world.begin(soleGenesis())
      await advanced(chain, () => chain.genesis() !== undefined)
    })

    it('reads the chain again when nothing of it is left', async () => {
      const id = await world.client.snapshot()
      await world.mine(20)
      const chain = await open({ headersMax: 4 })
      await advanced(chain, () => headNumber(chain) === 20n)
      await world.client.revert({ id })
      await world.client.mine({ blocks: 30, interval: 5 })
      await advanced(chain, () => headNumber(chain) === 30n)
      const block = await world.client.getBlock({ blockNumber: 29n })
      assert.deepEqual(chain.block(29n)?.hash, unhex(block.hash))
    })

    it('reads the chain again where all that is left is older than the headers it keeps', async () => {
      await world.register(0)
      const id = await world.client.snapshot()
      await world.mine(20)
      const chain = await open({ headersMax: 4 })
      await advanced(chain, () => headNumber(chain) === 21n)
      assert.ok(chain.block(1n), 'a block with an event is kept')
      await world.client.revert({ id })
      await world.client.mine({ blocks: 22, interval: 5 })
      await advanced(chain, () => headNumber(chain) === 23n)
      assert.deepEqual(indices(chain), [0])
    })

    it('sees a fork below more blocks than it keeps headers of', async () => {
      const id = await world.client.snapshot()
      await world.register(0)
      await world.mine(20)
      const chain = await open({ headersMax: 4 })
      await advanced(chain, () => indices(chain).length === 1)
      world.endpoint.fault = { kind: 'down' }
      await world.client.revert({ id })
      await world.client.mine({ blocks: 3, interval: 7 })
      await world.register(0)
      await world.mine(30)
      const { timestamp } = await world.client.getBlock({ blockNumber: 4n })
      world.endpoint.fault = undefined
      await advanced(chain, () => headNumber(chain) === 34n)
      assert.equal(chain.registryAt(34n)[0]?.registeredAt, Number(timestamp))
    })

    it('never shows a block that is less deep than the finality depth', async () => {
      await world.mine(10)
      const chain = await open({ finality: 3 })
      assert.equal(headNumber(chain), 7n)
      await world.register(0)
      await world.mine(2)
      await advanced(chain, () => headNumber(chain) === 10n)
      assert.deepEqual(indices(chain), [])
      await world.mine(1)
      await advanced(chain, () => headNumber(chain) === 11n)
      assert.deepEqual(indices(chain), [0])
    })

    it('shows nothing while the chain is shorter than the finality depth', async () => {
      const chain = await open({ finality: 3 })
      assert.equal(chain.head(), undefined)
      assert.equal(chain.healthy(), true)
      await world.mine(3)
      await advanced(chain, () => headNumber(chain) === 0n)
    })
  })

  it('asks again at times for what never changes, in case it was told wrongly', async () => {
    const its = movable()
    world.endpoint.fault = {
      kind: 'lie',
      change: (method, result) => {
        // The range of a parameter, of which the least comes first.
        const text = String(result)
        if (method !== 'eth_call' || text.length < 2 + 2 * 64) return result
        return `${text.slice(0, 65)}7${text.slice(66)}`
      },
    }
    const chain = await open({}, { clock: its.clock })
    const before = chain.foundingParameters()
    world.endpoint.fault = undefined
    await world.mine()
    await advanced(chain, () => headNumber(chain) === 1n)
    assert.equal(chain.foundingParameters(), before, 'not with every block')
    its.move(600_000)
    await world.mine()
    await advanced(chain, () => headNumber(chain) === 2n)
    assert.notDeepEqual(chain.foundingParameters(), before)
  })

  describe('absence', () => {
    it('catches up over more blocks than the chain keeps states of', async () => {
      const chain = await open()
      world.endpoint.fault = { kind: 'down' }
      await world.register(0)
      await world.mine(300)
      await world.register(1)
      world.endpoint.fault = undefined
      await advanced(chain, () => indices(chain).length === 2)
      const height = await world.client.getBlockNumber()
      assert.equal(headNumber(chain), height)
      for (let number = 0n; number <= height; number++) assert.ok(chain.block(number))
    })

    it('skips headers that are too old to be kept, never events', async () => {
      await world.register(0)
      await world.mine(500)
      await world.register(1)
      await world.mine(200)
      const height = await world.client.getBlockNumber()
      const chain = await open({ headersMax: 100 })
      assert.equal(headNumber(chain), height)
      assert.deepEqual(indices(chain), [0, 1])
      const [first] = chain.registryAt(height)
      const { timestamp } = await world.client.getBlock({ blockNumber: 1n })
      assert.equal(first?.registeredAt, Number(timestamp))
      assert.equal(chain.block(300n), undefined)
      assert.ok(chain.block(height - 99n))
    })

    it('says when the chain goes and when it comes back', async () => {
      const said: string[] = []
      const log = {
        ...quiet,
        warn: (_: object, text: string) => said.push(text),
        info: (_: object, text: string) => said.push(text),
      }
      const chain = await open({}, { log })
      world.endpoint.fault = { kind: 'status', status: 429 }
      while (chain.healthy()) await clock.until(clock.now() + 5)
      world.endpoint.fault = undefined
      await world.mine()
      await advanced(chain, () => headNumber(chain) === 1n)
      await clock.until(clock.now() + 30)
      assert.deepEqual(said, [
        'the chain answers',
        'the chain does not answer; going on without it',
        'the chain answers',
      ])
    })

    it('asks less often while nobody answers, and sees soon that one does again', async () => {
      const waits: number[] = []
      const recording: Clock = {
        now: () => clock.now(),
        monotonic: () => clock.monotonic(),
        at: (time, task) => clock.at(time, task),
        until(time, signal) {
          waits.push(Math.round(time - clock.now()))
          return clock.until(time, signal)
        },
      }
      world.endpoint.fault = { kind: 'status', status: 503 }
      const chain = await open({ pollMs: 10 }, { clock: recording })
      while (waits.length < 12) await clock.until(clock.now() + 5)
      assert.equal(chain.healthy(), false)
      world.endpoint.fault = undefined
      await advanced(chain, () => chain.healthy())
      const longest = Math.max(...waits)
      assert.ok(longest > 10 && longest <= 60, `${waits}`)
    })
  })

  describe('several endpoints', () => {
    const faults = {
      'is down': { kind: 'down' },
      'takes calls and never answers': { kind: 'silent', begins: false },
      'stops in the middle of an answer': { kind: 'silent', begins: true },
      'limits the rate': { kind: 'status', status: 429 },
      'serves another chain': {
        kind: 'lie',
        change: (method, result) => (method === 'eth_chainId' ? '0x1' : result),
      },
      'sends malformed blocks': {
        kind: 'lie',
        change: (method, result) =>
          method === 'eth_getBlockByNumber' ? { ...(result as object), hash: '0x12' } : result,
      },
      'leaves out the first event': {
        kind: 'lie',
        change: (method, result) =>
          method === 'eth_getLogs' ? (result as unknown[]).slice(1) : result,
      },
      'sends an error page': { kind: 'lie', change: () => undefined },
    } as const satisfies Record<string, NonNullable<Endpoint['fault']>>

    for (const [what, fault] of Object.entries(faults)) {
      it(`takes the next where the first ${what}`, async () => {
        await world.register(0)
        await world.register(1)
        world.endpoint.fault = fault
        const second = await anotherEndpoint()
        const chain = await open({
          rpc: [world.endpoint.url, second.url],
          rpcLimits: { timeoutMs: 2_000 },
        })
        await advanced(chain, () => indices(chain).length === 2)
        await world.register(2)
        await advanced(chain, () => indices(chain).length === 3)
      })
    }

    it('survives the loss of the one in use', async () => {
      const second = await anotherEndpoint()
      const chain = await open({ rpc: [world.endpoint.url, second.url] })
      world.endpoint.fault = { kind: 'down' }
      await world.register(0)
      await advanced(chain, () => indices(chain).length === 1)
      second.fault = { kind: 'down' }
      world.endpoint.fault = undefined
      await world.register(1)
      await advanced(chain, () => indices(chain).length === 2)
    })

    it('does not go back with an endpoint that is behind', async () => {
      await world.mine(10)
      const behind = await anotherEndpoint()
      const height = await world.client.getBlockNumber()
      let stuck: unknown
      behind.fault = {
        kind: 'lie',
        change: (method, result) => {
          if (method !== 'eth_getBlockByNumber') return result
          stuck ??= result
          return (result as { number: string }).number > (stuck as { number: string }).number
            ? stuck
            : result
        },
      }
      const slow = await open({ rpc: [behind.url] })
      await world.mine(10)
      const chain = await open({ rpc: [world.endpoint.url, behind.url] })
      assert.equal(headNumber(chain), height + 10n)
      let rounds = 0
      chain.onAdvance(() => rounds++)
      world.endpoint.fault = { kind: 'down' }
      await clock.until(clock.now() + 100)
      assert.equal(headNumber(slow), height)
      assert.equal(headNumber(chain), height + 10n)
      assert.equal(rounds, 0)
    })

    it('takes the next where the first answers and stands still, and goes back to it later', async () => {
      const its = movable()
      const second = await anotherEndpoint()
      const chain = await open({ rpc: [world.endpoint.url, second.url] }, { clock: its.clock })
      let stuck: unknown
      world.endpoint.fault = {
        kind: 'lie',
        change: (method, result) => {
          if (method !== 'eth_getBlockByNumber') return result
          stuck ??= result
          return stuck
        },
      }
      while (stuck === undefined) await clock.until(clock.now() + 10)
      await world.register(0)
      await clock.until(clock.now() + 100)
      assert.deepEqual(indices(chain), [], 'a block may take its time')
      its.move(60_000)
      await advanced(chain, () => indices(chain).length === 1)
      world.endpoint.fault = undefined
      second.fault = { kind: 'down' }
      await world.register(1)
      await advanced(chain, () => indices(chain).length === 2)
    })

    it('keeps the others where one claims a head that nobody has', async () => {
      const its = movable()
      const liar = await anotherEndpoint()
      const third = await anotherEndpoint()
      liar.fault = {
        kind: 'lie',
        change: (method, result) =>
          method === 'eth_getBlockByNumber' && result !== null
            ? { ...(result as object), number: '0xfffffffffffffff' }
            : result,
      }
      const rpc = [world.endpoint.url, liar.url, third.url]
      const chain = await open({ rpc }, { clock: its.clock })
      for (const number of [0, 1, 2]) {
        const before = liar.calls
        its.move(60_000)
        while (liar.calls === before) await clock.until(clock.now() + 10)
        await world.register(number)
        await advanced(chain, () => indices(chain).length === number + 1)
        assert.equal(chain.healthy(), true)
      }
    })

    it('stays with the first while the chain itself stands still', async () => {
      const its = movable()
      const second = await anotherEndpoint()
      const chain = await open({ rpc: [world.endpoint.url, second.url] }, { clock: its.clock })
      const before = second.calls
      its.move(60_000)
      while (second.calls === before) await clock.until(clock.now() + 10)
      second.fault = { kind: 'down' }
      assert.equal(chain.healthy(), true)
      await world.register(0)
      await advanced(chain, () => indices(chain).length === 1)
    })

    it('are at least one', () => {
      assert.throws(() => world.chain({ rpc: [] }), { code: 'noRpc' })
    })
  })

  it('takes over a bond and a place from the block that changes them on', async () => {
    await world.register(0)
    await world.register(1)
    const before = await world.client.getBlockNumber()
    await world.addBond(1, 5n)
    await world.changePlace(1, 0x8c2a100d2c8a3ffn)
    const chain = await open()
    const at = (block: bigint) =>
      chain.registryAt(block).map(({ bond, cell, gain }) => ({ bond, cell, gain }))
    const old = { bond: 10n ** 21n, cell: 0n, gain: 23 }
    assert.deepEqual(at(before), [old, old])
    assert.deepEqual(at(before + 1n), [old, { ...old, bond: 10n ** 21n + 5n }])
    assert.deepEqual(at(before + 2n), [
      old,
      { bond: 10n ** 21n + 5n, cell: 0x8c2a100d2c8a3ffn, gain: -5 },
    ])
  })

  it('takes over a payout account and kinds from the block that changes them on', async () => {
    await world.register(0)
    const before = await world.client.getBlockNumber()
    await world.changePayout(0, `0x${'77'.repeat(20)}`)
    await world.changeKinds(0, 4)
    const chain = await open()
    const at = (block: bigint) =>
      chain.registryAt(block).map(({ payout, kinds }) => ({ payout: hex(payout), kinds }))
    const [old] = at(before)
    assert.deepEqual(old, { payout: world.operator(0).address.slice(2).toLowerCase(), kinds: 2 })
    assert.deepEqual(at(before + 1n), [{ payout: '77'.repeat(20), kinds: 2 }])
    assert.deepEqual(at(before + 2n), [{ payout: '77'.repeat(20), kinds: 4 }])
  })

  describe('an exit that an endpoint leaves out', () => {
    const [EXIT] = encodeEventTopics({ abi: nodeRegistryAbi, eventName: 'ExitRequested' })
    const withoutExits: Fault = {
      kind: 'lie',
      change: (method, result) =>
        method === 'eth_getLogs'
          ? (result as { topics: string[] }[]).filter(({ topics }) => topics[0] !== EXIT)
          : result,
    }
    const exited = (chain: Chain) =>
      chain
        .registryAt(chain.head()?.number ?? 0n)
        .filter(({ exitAt }) => exitAt > 0)
        .map(({ index }) => index)

    it('is had of the next endpoint', async () => {
      await world.register(0)
      await world.register(1)
      const second = await anotherEndpoint()
      const chain = await open({ rpc: [world.endpoint.url, second.url] })
      assert.deepEqual(exited(chain), [])
      world.endpoint.fault = withoutExits
      await world.requestExit(1)
      const height = await world.client.getBlockNumber()
      await advanced(chain, () => headNumber(chain) === height)
      assert.deepEqual(exited(chain), [1])
    })

    it('keeps the view where it was until an endpoint has it', async () => {
      await world.register(0)
      const chain = await open()
      const height = await world.client.getBlockNumber()
      world.endpoint.fault = withoutExits
      await world.requestExit(0)
      while (chain.healthy()) await clock.until(clock.now() + 5)
      assert.equal(headNumber(chain), height)
      assert.deepEqual(indices(chain), [0])
      world.endpoint.fault = undefined
      await advanced(chain, () => headNumber(chain) === height + 1n)
      assert.deepEqual(exited(chain), [0])
    })

    it('is read again however long ago it was', async () => {
      await world.register(0)
      await world.requestExit(0)
      await world.mine(600)
      world.endpoint.fault = withoutExits
      const second = await anotherEndpoint()
      const chain = await open({ rpc: [world.endpoint.url, second.url] })
      const height = await world.client.getBlockNumber()
      await advanced(chain, () => headNumber(chain) === height)
      assert.deepEqual(exited(chain), [0])
    })

    it('is believed of an endpoint that has no state of the block', async () => {
      world.endpoint.fault = {
        kind: 'lie',
        change: (method, result) =>
          method === 'eth_call' ? new Error('missing trie node') : result,
      }
      await world.register(0)
      await world.requestExit(0)
      const chain = await open()
      const height = await world.client.getBlockNumber()
      await advanced(chain, () => headNumber(chain) === height)
      assert.deepEqual(exited(chain), [0])
    })

    it('is asked for again where the count is no number', async () => {
      await world.register(0)
      const second = await anotherEndpoint()
      for (const answer of [undefined, '0x01', `0x${'ff'.repeat(32)}`]) {
        world.endpoint.fault = {
          kind: 'lie',
          change: (method, result) => (method === 'eth_call' ? answer : result),
        }
        const alone = await open()
        assert.deepEqual([alone.healthy(), headNumber(alone)], [false, undefined])
        const chain = await open({ rpc: [world.endpoint.url, second.url] })
        await advanced(chain, () => indices(chain).length === 1)
      }
    })
  })

  describe('a committee that formed where none signed', () => {
    const [SET] = encodeEventTopics({ abi: checkpointsAbi, eventName: 'CommitteeSet' })
    const came = (node: number) =>
      encodeEventTopics({ abi: checkpointsAbi, eventName: 'CheckedIn', args: { epoch: 0n, node } })
    const [CAME] = came(0)
    const without = (event: unknown, node?: unknown): Fault => ({
      kind: 'lie',
      change: (method, result) =>
        method === 'eth_getLogs'
          ? (result as { topics: string[] }[]).filter(
              ({ topics }) => topics[0] !== event || (node !== undefined && topics[2] !== node),
            )
          : result,
    })
    const heavier: Fault = {
      kind: 'lie',
      change: (method, result) =>
        method === 'eth_getLogs'
          ? (result as { topics: string[]; data: string }[]).map(log =>
              log.topics[0] === CAME
                ? { ...log, data: `${log.data.slice(0, 128)}ff${log.data.slice(130)}` }
                : log,
            )
          : result,
    }
    const { signal } = new AbortController()

    /** Both nodes there are check in; the chain given out hears of it by an endpoint of its own. */
    async function checkIn(
      register: (number: number) => Promise<unknown> = number => world.register(number),
    ): Promise<Chain> {
      const second = await anotherEndpoint()
      const chain = await open({ rpc: [second.url] })
      for (const number of [0, 1]) await register(number)
      const network = await world.begin(soleGenesis())
      await pass(1_000 + FALLBACK_S)
      const message = checkInSigningRoot({ epoch: 0n, window: 1n }, network)
      for (const node of [0, 1]) {
        const { voting: key, signVoting } = nodeSigner(node)
        const signature = signVoting(message)
        assert.equal(await chain.checkIn({ node, key, signature }, signal), 'checkedIn')
      }
      return chain
    }
    async function form(register?: (number: number) => Promise<unknown>): Promise<Chain> {
      const chain = await checkIn(register)
      await pass(FALLBACK_S)
      assert.equal(await chain.formCommittee(signal), 'formed')
      return chain
    }
    const pass = async (seconds: number) => {
      await world.client.increaseTime({ seconds })
      await world.mine()
    }
    const nodes = (chain: Chain) => chain.succession()?.formed?.members.map(({ node }) => node)

    for (const [what, fault] of Object.entries({
      'its forming': without(SET),
      'who came first': without(CAME, came(0)[2]),
      'who came last': without(CAME, came(1)[2]),
      'what one weighs': heavier,
    })) {
      it(`is had of the next endpoint where one leaves out ${what}`, async () => {
        await form()
        world.endpoint.fault = fault
        const second = await anotherEndpoint()
        const chain = await open({ rpc: [world.endpoint.url, second.url] })
        const height = await world.client.getBlockNumber()
        await advanced(chain, () => headNumber(chain) === height)
        assert.deepEqual(nodes(chain), [0, 1])
      })
    }

    it('is had of the next endpoint before it forms, where one leaves out who came last', async () => {
      await checkIn()
      world.endpoint.fault = without(CAME, came(1)[2])
      const second = await anotherEndpoint()
      const chain = await open({ rpc: [world.endpoint.url, second.url] })
      const height = await world.client.getBlockNumber()
      await advanced(chain, () => headNumber(chain) === height)
      const members = chain.succession()?.window?.members
      assert.deepEqual(
        members?.map(({ node }) => node),
        [0, 1],
      )
    })

    it('is known with a member whose identity did not sign, whom followers leave out', async () => {
      const chain = await form(number =>
        number === 1
          ? registerWithIdentity(world, number, new Uint8Array(64))
          : world.register(number),
      )
      await advanced(chain, () => nodes(chain)?.length === 2)
      assert.deepEqual(indices(chain), [0])
      const members = chain.succession()?.formed?.members
      assert.deepEqual(members?.[1]?.key, nodeSigner(1).voting)
    })

    it('is known where the council chose it', async () => {
      const chain = await form()
      await pass(1_000 + FALLBACK_S)
      const { checkpoints: address, timelock: account } = world.access.contracts
      await world.client.impersonateAccount({ address: account })
      await world.client.setBalance({ address: account, value: 10n ** 18n })
      const transport = anvilTransport(world.anvil.rpcUrl)
      await createWalletClient({ account, transport }).writeContract({
        chain: null,
        address,
        abi: checkpointsAbi,
        functionName: 'setCommittee',
        args: [[1], [keyWords(bls.keyToEvm(nodeSigner(1).voting))]],
      })
      await world.mine()
      await advanced(chain, () => nodes(chain)?.length === 1)
      const formed = chain.succession()?.formed
      assert.deepEqual([formed?.window, formed?.chosen], [2, true])
      assert.deepEqual(formed?.members[0]?.key, nodeSigner(1).voting)
    })

    it('keeps the view where it was until an endpoint has it', async () => {
      const chain = await open()
      world.endpoint.fault = without(SET)
      await form()
      while (chain.healthy()) await clock.until(clock.now() + 5)
      assert.equal(nodes(chain), undefined)
      world.endpoint.fault = undefined
      await advanced(chain, () => nodes(chain)?.length === 2)
    })
  })

  describe('identity signatures', () => {
    it('leaves out a node whose identity key did not sign, and counts on', async () => {
      await registerWithIdentity(world, 0, new Uint8Array(64))
      await world.register(1)
      const chain = await open()
      assert.deepEqual(indices(chain), [1])
    })

    it('leaves out one who names another node’s identity, whoever comes first', async () => {
      // Operator 0 names the identity of node 1 without its signature; node 1 registers after.
      await registerWithIdentity(world, 0, new Uint8Array(64), nodeSigner(1).identity)
      await world.register(1)
      const chain = await open()
      assert.deepEqual(indices(chain), [1])
    })

    it('leaves out an identity key of small order', async () => {
      const one = Uint8Array.from({ length: 32 }, (_, i) => (i === 0 ? 1 : 0))
      // R = identity, S = 0 satisfies the equation for such a key under lenient verifiers.
      const signature = new Uint8Array(64)
      signature.set(one)
      await registerWithIdentity(world, 0, signature, one)
      const chain = await open()
      assert.deepEqual(indices(chain), [])
    })
  })

  it('has the gas and the account of a landed checkpoint', async () => {
    const chain = await open()
    await world.begin(soleGenesis())
    await advanced(chain, () => chain.genesis() !== undefined)
    const found = chain.genesis()
    assert.ok(found !== undefined && found.gasUsed > 100_000n)
    assert.equal(found.submitter.length, 20)
    assert.ok(found.submitter.some(byte => byte !== 0))
  })
})

/** Registers operator 0's node with any identity and signature, as the contract allows. */
async function registerWithIdentity(
  world: TestChain,
  number: number,
  identitySignature: Uint8Array,
  identity = nodeSigner(number).identity,
): Promise<void> {
  const { account } = world.operator(number)
  const signer = nodeSigner(number)
  const operator = unhex(account.address)
  const { registry } = world.access.contracts
  const possession = possessionRoot({
    chainId: BigInt(world.access.chainId),
    registry: unhex(registry),
    identity,
    voting: signer.voting,
    operator,
  })
  const wallet = createWalletClient({ account, transport: anvilTransport(world.anvil.rpcUrl) })
  const hash = await wallet.writeContract({
    chain: null,
    address: registry,
    abi: nodeRegistryAbi,
    functionName: 'register',
    args: registerArguments({
      ...NODE_FACTS,
      payout: operator,
      identity,
      voting: signer.voting,
      possession: signer.signVoting(possession),
      identitySignature,
    }),
  })
  const { status } = await world.client.waitForTransactionReceipt({ hash, pollingInterval: 5 })
  assert.equal(status, 'success')
}
