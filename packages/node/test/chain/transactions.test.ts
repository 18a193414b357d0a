import { strict as assert } from 'node:assert'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { cairnTokenAbi } from '@cairn/contracts'
import { type Clock, type Store, systemClock } from '@cairn/node'
import { type CairnError, hex, unhex } from '@cairn/protocol'
import { encodeFunctionData, type Hex, keccak256, numberToHex, toHex } from 'viem'
import type { SpendingLimits } from '../../src/chain/budget.ts'
import { Rpc } from '../../src/chain/rpc.ts'
import { Transactions } from '../../src/chain/transactions.ts'
import { openLevelStore } from '../../src/store/level.ts'
import type { Order } from './crash-victim.ts'
import { killable } from './killable.ts'
import {
  clock,
  type Endpoint,
  hastened,
  openChain,
  openEndpoint,
  quiet,
  type TestChain,
} from './world.ts'

const VICTIM = fileURLToPath(new URL('./crash-victim.ts', import.meta.url))
const SENDER = 15
const GWEI = 10n ** 9n
const DAY_MS = 86_400_000
const NOON_MS = DAY_MS / 2
const STARTED_AT = Date.now()

describe('transactions', () => {
  let world: TestChain
  let closers: (() => Promise<void>)[]
  const { signal } = new AbortController()

  beforeEach(async () => {
    world = await openChain()
    closers = []
  })
  afterEach(async () => {
    for (const close of closers) await close()
    await world.close()
  })

  interface OpenOptions extends SpendingLimits {
    store?: Store
    clock?: Clock
    killed?: () => void
    urls?: readonly string[]
  }
  const open = ({
    store,
    clock: its = shifted(() => 0),
    killed,
    urls,
    ...limits
  }: OpenOptions = {}) => {
    const rpc = new Rpc(
      // Endpoints have their time by the machine's clock, however fast that of the test is.
      { clock, log: quiet },
      { urls: urls ?? [world.endpoint.url], chainId: world.access.chainId },
    )
    const ask = killed === undefined ? rpc : killable(rpc, killed)
    const transactions = new Transactions(
      { rpc: ask, clock: its, log: quiet, ...(store && { store }) },
      unhex(world.operator(SENDER).privateKey),
      limits,
    )
    closers.push(async () => {
      rpc.stop()
      await transactions.stop()
    })
    return transactions
  }
  /** Gives one token away: done twice it would show. */
  const gift = (to: Hex, amount = 1n) => ({
    to: world.access.contracts.token,
    data: encodeFunctionData({
      abi: cairnTokenAbi,
      functionName: 'transfer',
      args: [to, amount],
    }),
  })
  const tokensOf = async (account: Hex) =>
    await world.client.readContract({
      address: world.access.contracts.token,
      abi: cairnTokenAbi,
      functionName: 'balanceOf',
      args: [account],
    })
  const nonce = async () =>
    await world.client.getTransactionCount({ address: world.operator(SENDER).account.address })
  const pending = async () => {
    const found = await world.client.request({ method: 'txpool_status' } as never)
    return Number((found as { pending: string }).pending)
  }
  const until = async (holds: () => Promise<boolean>) => {
    while (!(await holds())) await clock.until(clock.now() + 10)
  }
  const states = (transactions: Transactions) =>
    transactions.outlook().entries.map(({ state }) => state)
  const head = async () => await world.client.getBlockNumber()

  describe('a crash', () => {
    for (const automine of [true, false]) {
      const when = automine ? 'in blocks at once' : 'waiting for a block'
      it(`between any two steps repeats and loses nothing, ${when}`, async () => {
        let steps = 0
        for (let at = 0; ; at++) {
          const to = account(`victim/${at}`)
          const before = await nonce()
          const disk = memory()
          const killer = new Killer(at)
          await world.client.setAutomine(automine)
          const victim = open({
            store: killable(disk, killer.step),
            killed: killer.step,
          })
          const sending = victim.send(gift(to), { signal: killer.signal, key: `gift/${at}` })
          const outcome = sending.then(
            () => 'sent',
            () => 'died',
          )
          if (!automine) {
            // Until it waits, or died before.
            const died = outcome.then(() => true)
            const waits = until(async () => killer.dead || (await pending()) > 0)
            await Promise.race([died, waits])
            if (!killer.dead) killer.kill()
          }
          const first = await outcome
          await world.client.setAutomine(true)
          if (!automine) await world.mine()
          const journalled = disk.size() > 0
          const heir = open({ store: disk })
          await heir.tend(await head())
          await until(async () => (await pending()) === 0)
          assert.equal(await tokensOf(to), journalled ? 1n : 0n, `killed at step ${at}`)
          const { transaction } = await heir.send(gift(to), { signal, key: `gift/${at}` })
          assert.equal(await tokensOf(to), 1n, `killed at step ${at}`)
          assert.equal(await nonce(), before + 1, `killed at step ${at}`)
          await heir.send(gift(to, 3n), { signal, key: `another/${at}` })
          assert.equal(await tokensOf(to), 4n)
          assert.ok(
            heir.outlook().entries.some(entry => entry.settled?.transaction === transaction),
          )
          steps = at
          if (first === 'sent' || (!automine && killer.steps < at)) break
        }
        assert.ok(steps > 8, `${steps} steps`)
      })
    }

    it('by SIGKILL at any step repeats and loses nothing that lies on the disk', async function () {
      // A process for each step.
      this.timeout(300_000)
      const home = await mkdtemp(join(tmpdir(), 'cairn-transactions-'))
      closers.push(() => rm(home, { recursive: true }))
      let at = 0
      for (let killed = true; killed; at++) {
        const to = account(`sigkill/${at}`)
        const before = await nonce()
        const order: Order = {
          directory: join(home, String(at)),
          url: world.endpoint.url,
          chainId: world.access.chainId,
          secret: world.operator(SENDER).privateKey,
          call: gift(to),
          key: 'gift',
          at,
        }
        const child = spawn(process.execPath, [
          '--conditions=cairn-source',
          VICTIM,
          JSON.stringify(order),
        ])
        const errors = text(child.stderr)
        const [code, by] = await once(child, 'close')
        assert.ok(code === 0 || by === 'SIGKILL', await errors)
        killed = by === 'SIGKILL'
        const store = await openLevelStore(order.directory)
        const heir = open({ store })
        await heir.tend(await head())
        const found = await tokensOf(to)
        assert.equal(found, heir.outlook().entries.length > 0 ? 1n : 0n, `killed at step ${at}`)
        await heir.send(gift(to), { signal, key: 'gift' })
        assert.equal(await tokensOf(to), 1n, `killed at step ${at}`)
        assert.equal(await nonce(), before + 1, `killed at step ${at}`)
        await heir.stop()
        await store.close()
      }
      assert.ok(at > 8, `${at} steps`)
    })

    it('leaves what the account cannot pay for, which the next is told at once', async () => {
      const disk = memory()
      const method = 'eth_sendRawTransaction'
      const leaving = new AbortController()
      world.endpoint.fault = {
        kind: 'keep',
        method,
        get result() {
          leaving.abort(new Error('crash'))
          return `0x${'0'.repeat(64)}`
        },
      }
      const sending = open({ store: disk }).send(gift(account('a')), { signal: leaving.signal })
      await assert.rejects(sending, /crash/)
      const result = new Error('insufficient funds for gas * price + value')
      world.endpoint.fault = { kind: 'keep', method, result }
      const heir = open({ store: disk })
      await assert.rejects(heir.send(gift(account('b')), { signal }), { code: 'noFunds' })
      assert.deepEqual(states(heir), ['open'])
      world.endpoint.fault = undefined
      await heir.send(gift(account('b')), { signal })
      assert.deepEqual(await Promise.all(['a', 'b'].map(name => tokensOf(account(name)))), [1n, 1n])
    })

    it('keeps what was spent that day', async () => {
      const disk = memory()
      const before = open({ store: disk })
      await before.send(gift(account('a')), { signal })
      const { spentToday } = before.outlook()
      assert.ok(spentToday > 0n)
      const heir = open({ store: disk })
      await heir.tend(await head())
      assert.equal(heir.outlook().spentToday, spentToday)
    })

    it('says so where the journal is damaged', async () => {
      const disk = memory()
      await open({ store: disk }).send(gift(account('a')), { signal })
      await disk.batch(
        disk
          .keys()
          .filter(key => key[0] === 2)
          .map(key => ({ key })),
      )
      await assert.rejects(open({ store: disk }).send(gift(account('b')), { signal }), {
        code: 'journalCorrupt',
      })
    })
  })

  describe('under one key', () => {
    it('sends once, however often it is asked', async () => {
      const transactions = open()
      const to = account('a')
      const asked = Array.from({ length: 5 }, () =>
        transactions.send(gift(to), { signal, key: 'once' }),
      )
      const mined = await Promise.all(asked)
      assert.equal(new Set(mined.map(({ transaction }) => transaction)).size, 1)
      assert.equal(await tokensOf(to), 1n)
      await transactions.tend(await head())
      assert.deepEqual(states(transactions), ['final'])
      await transactions.send(gift(to), { signal, key: 'once' })
      assert.equal(await tokensOf(to), 1n)
    })

    it('sends again what was refused before', async () => {
      const transactions = open()
      const supply = await world.client.readContract({
        address: world.access.contracts.token,
        abi: cairnTokenAbi,
        functionName: 'totalSupply',
      })
      const refused = transactions.send(gift(account('a'), supply + 1n), { signal, key: 'k' })
      await assert.rejects(refused, { code: 'reverted' })
      await transactions.send(gift(account('a')), { signal, key: 'k' })
    })

    it('takes no key that is too long', async () => {
      const sending = open().send(gift(account('a')), { signal, key: 'k'.repeat(201) })
      await assert.rejects(sending, { code: 'invalid' })
    })
  })

  it('sends again what a reorganisation took, in its order', async () => {
    await world.mine(3)
    const transactions = open({ store: memory() })
    const before = await nonce()
    const accounts = [account('a'), account('b')]
    for (const to of accounts) await transactions.send(gift(to), { signal })
    await transactions.tend(0n)
    assert.deepEqual(states(transactions), ['mined', 'mined'])
    const { spentToday } = transactions.outlook()
    await world.client.request({ method: 'anvil_reorg', params: [2, []] } as never)
    assert.equal(await nonce(), before)
    await transactions.tend(0n)
    await world.mine()
    await transactions.tend(0n)
    assert.deepEqual(await Promise.all(accounts.map(tokensOf)), [1n, 1n])
    assert.equal(await nonce(), before + 2)
    // A cost is counted once, whichever block it was in.
    const after = transactions.outlook().spentToday
    assert.ok(after > spentToday / 2n && after < spentToday * 2n)
    await transactions.tend(await head())
    assert.deepEqual(states(transactions), ['final', 'final'])
  })

  it('takes turns by urgency, and by order among equals', async () => {
    const transactions = open()
    const order: string[] = []
    const send = async (purpose: 'claim' | 'order' | 'checkpoint', name: string) => {
      await transactions.send(gift(account(name)), { signal, purpose })
      order.push(name)
    }
    await Promise.all([
      send('claim', 'claim'),
      send('order', 'first order'),
      send('checkpoint', 'checkpoint'),
      send('order', 'second order'),
    ])
    assert.deepEqual(order, ['checkpoint', 'first order', 'second order', 'claim'])
  })

  it('lets 64 wait, and no more', async () => {
    const leaving = new AbortController()
    await world.client.setAutomine(false)
    const transactions = open()
    const waiting = Array.from({ length: 64 }, () =>
      transactions.send(gift(account('a')), { signal: leaving.signal }),
    )
    await assert.rejects(transactions.send(gift(account('a')), { signal }), { code: 'queueFull' })
    leaving.abort(new Error('leaves'))
    await Promise.all(waiting.map(one => assert.rejects(one, /leaves/)))
  })

  it('lets who is told to stop leave the line', async () => {
    await world.client.setAutomine(false)
    const transactions = open()
    const first = transactions.send(gift(account('a')), { signal })
    await until(async () => (await pending()) === 1)
    const stopping = new AbortController()
    const second = transactions.send(gift(account('b')), { signal: stopping.signal })
    assert.equal(transactions.outlook().waiting, 2)
    stopping.abort(new Error('stop'))
    await assert.rejects(second, /stop/)
    assert.equal(transactions.outlook().waiting, 1)
    await world.mine()
    await first
    assert.deepEqual(await Promise.all(['a', 'b'].map(name => tokensOf(account(name)))), [1n, 0n])
  })

  describe('a budget', () => {
    it('is kept, with the worst that is under way, until the day ends', async () => {
      let day = 0
      const its = shifted(() => day * DAY_MS)
      const gasPrice = await world.client.getGasPrice()
      const transactions = open({ clock: its, budgetPerDay: gasPrice * 400_000n })
      const send = () => transactions.send(gift(account('a')), { signal })
      let sent = 0
      const refusal = await (async () => {
        for (;;) {
          try {
            await send()
            sent++
          } catch (error) {
            return error as CairnError
          }
        }
      })()
      assert.equal(refusal.code, 'gasBudget')
      assert.ok(sent >= 2, `${sent} sent`)
      const { spentToday, budgetPerDay } = transactions.outlook()
      assert.ok(spentToday <= (budgetPerDay ?? 0n))
      assert.equal(await nonce(), sent + 1)
      day = 1
      await send()
    })

    it('leaves to checkpoints what claims may not take', async () => {
      const claim = { signal, purpose: 'claim' } as const
      const poor = open({ budgetPerDay: 1n }).send(gift(account('a')), claim)
      const { facts, message } = (await poor.catch(error => error)) as CairnError
      assert.match(
        message,
        /would cost up to 0\.\d+ ether today, and claims may bring it to 0: 50 % of/,
      )
      const transactions = open({ budgetPerDay: ((facts.worst as bigint) * 3n) / 2n })
      await assert.rejects(transactions.send(gift(account('a')), claim), { code: 'gasBudget' })
      await transactions.send(gift(account('a')), { signal, purpose: 'checkpoint' })
    })
  })

  it('sends nothing while gas costs more than the cap', async () => {
    const before = await nonce()
    const sending = open({ maxFeePerGas: 1n }).send(gift(account('a')), { signal })
    await assert.rejects(sending, { code: 'gasPrice' })
    assert.equal(await nonce(), before)
  })

  it('raises no fee over the cap', async () => {
    await world.client.setAutomine(false)
    const cap = 3n * GWEI
    const transactions = open({ clock: hastened(400), maxFeePerGas: cap })
    const sending = transactions.send(gift(account('a')), { signal })
    await until(async () => states(transactions)[0] === 'open' && (await pending()) === 1)
    await assert.rejects(sending, { code: 'chainUnavailable' })
    const block = await world.client.getBlock({ blockTag: 'pending', includeTransactions: true })
    assert.ok(block.transactions.every(({ maxFeePerGas = 0n }) => maxFeePerGas <= cap))
    await world.mine()
    await transactions.tend(await head())
    assert.equal(await tokensOf(account('a')), 1n)
  })

  it('asks what gas costs no more often than a fee may be raised', async () => {
    await world.client.setAutomine(false)
    let asked = 0
    world.endpoint.fault = {
      kind: 'lie',
      change: (method, result) => {
        if (method === 'eth_maxPriorityFeePerGas') asked++
        return result
      },
    }
    const transactions = open({ clock: hastened(100), maxFeePerGas: 3n * GWEI })
    const sending = transactions.send(gift(account('a')), { signal })
    await assert.rejects(sending, { code: 'chainUnavailable' })
    // First, then every 45 s of 225.
    assert.ok(asked <= 6, `asked ${asked} times`)
  })

  it('outbids one of its nonce that it knows nothing of', async () => {
    await world.client.setAutomine(false)
    const lost = open()
    const leaving = new AbortController()
    const first = lost.send(gift(account('a')), { signal: leaving.signal })
    await until(async () => (await pending()) === 1)
    leaving.abort(new Error('lost'))
    await assert.rejects(first, /lost/)
    const sending = open().send(gift(account('b')), { signal })
    await until(async () => {
      const block = await world.client.getBlock({ blockTag: 'pending', includeTransactions: true })
      return block.transactions.some(({ input }) => input.includes(account('b').slice(2)))
    })
    await world.mine()
    await sending
    assert.deepEqual(await Promise.all(['a', 'b'].map(name => tokensOf(account(name)))), [0n, 1n])
  })

  it('reaches the chain past an endpoint that keeps transactions to itself', async () => {
    const keeping = await openEndpoint(world.anvil.rpcUrl)
    closers.push(() => keeping.close())
    keeping.fault = {
      kind: 'keep',
      method: 'eth_sendRawTransaction',
      result: `0x${'0'.repeat(64)}`,
    }
    const urls = [keeping.url, world.endpoint.url]
    const transactions = open({ urls })
    const { succeeded } = await transactions.send(gift(account('a')), { signal })
    assert.equal(succeeded, true)
    assert.equal(await tokensOf(account('a')), 1n)
  })

  it('lets no endpoint have what another refused', async () => {
    const full = await openEndpoint(world.anvil.rpcUrl)
    closers.push(() => full.close())
    full.fault = {
      kind: 'keep',
      method: 'eth_sendRawTransaction',
      result: new Error('txpool is full'),
    }
    let copies = 0
    world.endpoint.fault = {
      kind: 'lie',
      change: (method, result) => {
        if (method === 'eth_sendRawTransaction') copies++
        return result
      },
    }
    const transactions = open({ urls: [full.url, world.endpoint.url] })
    const refused = transactions.send(gift(account('a')), { signal })
    await assert.rejects(refused, { code: 'chainUnavailable' })
    assert.deepEqual(states(transactions), [])
    full.fault = undefined
    await transactions.send(gift(account('b')), { signal })
    await until(async () => copies > 0)
    assert.equal(copies, 1)
    assert.deepEqual(await Promise.all(['a', 'b'].map(name => tokensOf(account(name)))), [0n, 1n])
  })

  describe('that one endpoint may have, since it gave no answer, and the next refuses', () => {
    const openPair = async (result: Endpoint['fault']) => {
      const refusing = await openEndpoint(world.anvil.rpcUrl)
      closers.push(() => refusing.close())
      refusing.fault = {
        kind: 'keep',
        method: 'eth_sendRawTransaction',
        result: new Error('insufficient funds for gas * price + value'),
      }
      world.endpoint.fault = result
      return open({ urls: [world.endpoint.url, refusing.url], store: memory() })
    }

    it('are waited for, and not sent under another nonce', async () => {
      const transactions = await openPair({
        kind: 'lie',
        change: (method, result) => (method === 'eth_sendRawTransaction' ? undefined : result),
      })
      const before = await nonce()
      const { succeeded } = await transactions.send(gift(account('a')), { signal, key: 'gift' })
      assert.equal(succeeded, true)
      await transactions.send(gift(account('a')), { signal, key: 'gift' })
      assert.equal(await tokensOf(account('a')), 1n)
      assert.equal(await nonce(), before + 1)
    })

    it('are refused at once where the first only limits the rate', async () => {
      const transactions = await openPair({
        kind: 'keep',
        method: 'eth_sendRawTransaction',
        result: new Error('too many requests'),
      })
      const sending = transactions.send(gift(account('a')), { signal })
      await assert.rejects(sending, { code: 'noFunds' })
      assert.deepEqual(states(transactions), [])
    })
  })

  it('takes the trouble of an endpoint for no word of the contract', async () => {
    world.endpoint.fault = {
      kind: 'lie',
      change: (method, result) =>
        method === 'eth_estimateGas' ? new Error('missing trie node') : result,
    }
    const sending = open().send(gift(account('a')), { signal })
    await assert.rejects(sending, { code: 'chainUnavailable' })
  })

  it('gives up what the chain would refuse by now, and takes its nonce', async () => {
    await world.client.setAutomine(false)
    const disk = memory()
    const before = open({ store: disk })
    const leaving = new AbortController()
    const { address } = world.operator(SENDER).account
    const tokens = await tokensOf(address)
    const all = before.send(gift(account('a'), tokens), { signal: leaving.signal })
    await until(async () => (await pending()) === 1)
    leaving.abort(new Error('crash'))
    await assert.rejects(all, /crash/)
    await world.client.request({ method: 'anvil_dropAllTransactions' } as never)
    // What it meant to give away is no longer all there.
    const slot = await tokenSlot(world, address)
    await world.client.setStorageAt({
      address: world.access.contracts.token,
      index: slot,
      value: numberToHex(5n, { size: 32 }),
    })
    await world.client.setAutomine(true)
    const heir = open({ store: disk })
    await heir.send(gift(account('b')), { signal })
    assert.deepEqual(states(heir), ['givenUp', 'mined'])
    await heir.tend(await head())
    assert.deepEqual(states(heir), ['final'])
  })

  it('sends anew where the account was used elsewhere', async () => {
    await world.client.setAutomine(false)
    const one = open({ clock: hastened(100) })
    const other = open({ clock: hastened(100) })
    const sending = one.send(gift(account('a')), { signal })
    await until(async () => (await pending()) === 1)
    const rival = other.send(gift(account('b')), { signal })
    const both = Promise.all([sending, rival])
    await world.client.setAutomine(true)
    await world.mine()
    await both
    assert.deepEqual(await Promise.all(['a', 'b'].map(name => tokensOf(account(name)))), [1n, 1n])
  })

  it('tells how long the balance lasts', async () => {
    let now = 0
    const transactions = open({ clock: shifted(() => now) })
    await transactions.tend(await head())
    const { balance, daysLeft } = transactions.outlook()
    assert.ok(balance !== undefined && balance > 0n)
    assert.equal(daysLeft, undefined)
    await transactions.send(gift(account('a')), { signal })
    now = 60_000
    await transactions.tend(await head())
    const after = transactions.outlook()
    assert.equal(after.balance, balance - after.spentToday)
    assert.equal(after.daysLeft, Number((after.balance ?? 0n) / after.ratePerDay))
  })
})

/** Dies at a step: nothing that comes after it is done. */
class Killer {
  readonly #at: number
  readonly #dying = new AbortController()
  steps = 0

  constructor(at: number) {
    this.#at = at
  }

  get signal(): AbortSignal {
    return this.#dying.signal
  }

  get dead(): boolean {
    return this.signal.aborted
  }

  kill(): void {
    this.#dying.abort(new Error('killed'))
  }

  readonly step = (): void => {
    if (!this.dead && this.steps++ === this.#at) this.kill()
    this.signal.throwIfAborted()
  }
}

/** A disk that outlives who writes to it. */
function memory(): Store & { size(): number; keys(): Uint8Array[] } {
  const values = new Map<string, Uint8Array>()
  const sorted = () => [...values.keys()].sort()
  return {
    size: () => values.size,
    keys: () => sorted().map(unhex),
    get: async key => values.get(hex(key)),
    async batch(writes) {
      for (const { key, value } of writes) {
        if (value === undefined) values.delete(hex(key))
        else values.set(hex(key), value.slice())
      }
    },
    async *range({ gte, lt }) {
      for (const key of sorted()) {
        const value = values.get(key)
        if (key >= hex(gte) && key < hex(lt) && value !== undefined) yield [unhex(key), value]
      }
    },
    sublevel: memory,
    async close() {},
  }
}

function account(name: string): Hex {
  return keccak256(toHex(name)).slice(0, 42) as Hex
}

/** The place of an account's tokens in the token's storage. */
async function tokenSlot(world: TestChain, holder: Hex): Promise<Hex> {
  const { accessList } = (await world.client.request({
    method: 'eth_createAccessList',
    params: [
      {
        to: world.access.contracts.token,
        data: encodeFunctionData({
          abi: cairnTokenAbi,
          functionName: 'balanceOf',
          args: [holder],
        }),
      },
    ],
  } as never)) as { accessList: { storageKeys: Hex[] }[] }
  return accessList[0]?.storageKeys[0] as Hex
}

/** Of a machine where it is noon when the tests begin, so that none spans two days. */
function shifted(more: () => number): Clock {
  const real = systemClock()
  const by = () => NOON_MS - (STARTED_AT % DAY_MS) + more()
  return {
    now: () => real.now() + by(),
    monotonic: () => real.monotonic(),
    at: (time, task) => real.at(time - by(), task),
    until: (time, signal) => real.until(time - by(), signal),
  }
}
