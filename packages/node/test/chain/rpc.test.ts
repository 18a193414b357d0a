/** Endpoints that lie, limit, stall and send elsewhere. */
import { strict as assert } from 'node:assert'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type Clock, type Log, systemClock } from '@cairn/node'
import { type CairnError, hex, sha256 } from '@cairn/protocol'
import { RpcRequestError } from 'viem'
import { Endpoint, type EndpointInit } from '../../src/chain/endpoint.ts'
import { type RangesTaken, readLogs } from '../../src/chain/logs.ts'
import { isRevert, mayHaveTaken, orRefusal, reception } from '../../src/chain/refusal.ts'
import { type Client, Rpc, readHeader } from '../../src/chain/rpc.ts'
import {
  advanced,
  clock,
  type Endpoint as Gate,
  movable,
  openChain,
  openEndpoint,
  quiet,
  type TestChain,
} from './world.ts'

interface Call {
  id: number
  method: string
  params: unknown[]
}
type Handler = (calls: Call[], outgoing: ServerResponse, incoming: IncomingMessage) => void

describe('RPC endpoints', () => {
  let closers: (() => Promise<void>)[]
  const { signal } = new AbortController()

  beforeEach(() => {
    closers = []
  })
  afterEach(async () => {
    for (const close of closers.reverse()) await close()
  })

  const serve = async (handler: Handler): Promise<string> => {
    const server = createServer(async (incoming, outgoing) => {
      const chunks: Buffer[] = []
      for await (const chunk of incoming) chunks.push(chunk as Buffer)
      const body = JSON.parse(Buffer.concat(chunks).toString() || '[]') as Call | Call[]
      handler([body].flat(), outgoing, incoming)
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    closers.push(async () => {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    })
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  }
  const endpointAt = (url: string, init: Partial<EndpointInit> = {}, its: Clock = clock) =>
    new Endpoint({ clock: its }, { url, signal, ...init })
  const send = (outgoing: ServerResponse, body: unknown, status = 200) =>
    outgoing.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
  const answer = (calls: readonly Call[], result: (call: Call) => unknown) =>
    calls.map(call => ({ jsonrpc: '2.0', id: call.id, result: result(call) }))
  const failure = async (asked: Promise<unknown>): Promise<CairnError> => {
    const error = await asked.then(
      () => assert.fail('it was answered'),
      (thrown: unknown) => thrown,
    )
    for (let at = error; at instanceof Error; at = at.cause) {
      if ((at as { code?: unknown }).code !== undefined && 'facts' in at) return at as CairnError
    }
    assert.fail(`no CairnError: ${error}`)
  }
  const gasPrice = ({ client }: Endpoint) => client.request({ method: 'eth_gasPrice' })

  it('match answers to calls by id, whatever their order', async () => {
    const url = await serve((calls, outgoing) =>
      send(outgoing, answer(calls, ({ params }) => params[0]).reverse()),
    )
    const { client } = endpointAt(url)
    const ask = (address: string) =>
      client.request({ method: 'eth_getBalance', params: [address as '0x', 'latest'] })
    assert.deepEqual(await Promise.all(['0x1', '0x2', '0x3'].map(ask)), ['0x1', '0x2', '0x3'])
  })

  it('are asked in batches of a hundred, and in smaller ones where that is too many', async () => {
    const sizes: number[] = []
    const url = await serve((calls, outgoing) => {
      sizes.push(calls.length)
      if (calls.length <= 10)
        return send(
          outgoing,
          answer(calls, () => '0x1'),
        )
      return send(outgoing, { id: null, error: { code: -32_600, message: 'batch too large' } })
    })
    const endpoint = endpointAt(url)
    const asked = (count: number) =>
      Promise.all(Array.from({ length: count }, () => gasPrice(endpoint)))
    assert.equal((await asked(150)).length, 150)
    assert.deepEqual(sizes.slice(0, 2).sort(), [100, 50].sort())
    const before = sizes.length
    await asked(20)
    assert.ok(sizes.slice(before).every(size => size <= 10))
  })

  it('are asked for no more than 4096 things at once', async () => {
    const url = await serve((calls, outgoing) =>
      send(
        outgoing,
        answer(calls, () => '0x1'),
      ),
    )
    const endpoint = endpointAt(url)
    const asked = Array.from({ length: 4_096 }, () => gasPrice(endpoint))
    assert.equal((await failure(gasPrice(endpoint))).code, 'queueFull')
    await Promise.all(asked)
    await gasPrice(endpoint)
  })

  describe('that answer badly', () => {
    const bad: Record<string, [code: string, handler: Handler]> = {
      'with what is no JSON': ['badRpc', (_, outgoing) => outgoing.writeHead(200).end('<html>')],
      'with half of it': ['badRpc', (_, outgoing) => outgoing.writeHead(200).end('[{"id":1,')],
      'with nothing': ['badRpc', (_, outgoing) => outgoing.writeHead(200).end()],
      'with null': ['badRpc', (_, outgoing) => send(outgoing, null)],
      'with neither result nor error': ['badRpc', (_, outgoing) => send(outgoing, [{ id: 1 }])],
      'with an error that is none': [
        'badRpc',
        ([call], outgoing) => send(outgoing, { id: call?.id, error: 'no' }),
      ],
      'to another call': ['badRpc', (_, outgoing) => send(outgoing, { id: 99, result: '0x1' })],
      'with an error page': ['badRpc', (_, outgoing) => outgoing.writeHead(502).end('bad gateway')],
      'without end': [
        'rpcTooLarge',
        (_, outgoing) => {
          const more = () => {
            while (!outgoing.destroyed && outgoing.write('"'.repeat(65_536)));
          }
          outgoing.on('drain', more).writeHead(200)
          more()
        },
      ],
      'too slowly': ['rpcFailed', (_, outgoing) => outgoing.writeHead(200).write('[')],
      'by dropping the line': ['rpcFailed', (_, outgoing) => outgoing.destroy()],
    }
    for (const [how, [code, handler]] of Object.entries(bad)) {
      it(`${how} are failures, and say which endpoint`, async () => {
        const endpoint = endpointAt(await serve(handler), {
          timeoutMs: 500,
          answerMaxBytes: 1_000_000,
        })
        const error = await failure(gasPrice(endpoint))
        assert.equal(error.code, code)
        assert.equal(error.facts.endpoint ?? endpoint.name, endpoint.name)
      })
    }
  })

  it('say in words of their own that the contract refused, which are understood', async () => {
    const errors = [
      { code: -32_015, message: 'VM execution error.', data: 'Reverted 0xdeadbeef' },
      { code: -32_015, message: 'revert' },
      { code: -32_015, message: 'VM execution error.', data: 'out of gas' },
      { code: -32_000, message: 'execution reverted', data: '0xdeadbeef' },
    ]
    const found: unknown[] = []
    for (const error of errors) {
      const url = await serve(([call], outgoing) => send(outgoing, { id: call?.id, error }))
      const refused = await orRefusal(() => gasPrice(endpointAt(url)))
      assert.ok(typeof refused !== 'string')
      found.push([isRevert(refused.refused), refused.refused.data])
    }
    assert.deepEqual(found, [
      [true, '0xdeadbeef'],
      [true, undefined],
      [false, 'out of gas'],
      [true, '0xdeadbeef'],
    ])
  })

  it('say in words of their own what becomes of a transaction, which are understood', () => {
    const received = (message: string) => {
      const refused = new RpcRequestError({ body: {}, error: { code: -32_010, message }, url: '' })
      const outcome = reception({ refused }, '0x00')
      return typeof outcome === 'string' ? outcome : outcome.code
    }
    const texts = {
      'nonce too low': 'taken',
      'OldNonce, Current nonce: 3, nonce of rejected tx: 2': 'taken',
      'already known': 'taken',
      AlreadyKnown: 'taken',
      'known transaction: 0xab': 'taken',
      'unknown transaction type': 'chainUnavailable',
      'unknown account': 'chainUnavailable',
      OwnNonceAlreadyUsed: 'taken',
      'replacement transaction underpriced': 'outbid',
      FeeTooLow: 'outbid',
      ReplacementNotAllowed: 'outbid',
      'insufficient funds for gas * price + value': 'noFunds',
      'InsufficientFunds, Account balance: 3, cumulative cost: 5': 'noFunds',
      'txpool is full': 'chainUnavailable',
      'execution reverted': 'reverted',
    }
    for (const [message, outcome] of Object.entries(texts)) {
      assert.equal(received(message), outcome, message)
    }
  })

  it('are named with what ails each, and another chain by its id', async () => {
    const other = await serve((calls, outgoing) =>
      send(
        outgoing,
        answer(calls, () => '0x2'),
      ),
    )
    const dead = 'http://127.0.0.1:9'
    const ask = async (urls: string[]) => {
      const rpc = new Rpc({ clock, log: quiet }, { urls, chainId: 1 })
      const error = await failure(rpc.call(client => client.getBlockNumber()))
      assert.equal(rpc.trouble !== undefined, true)
      rpc.stop()
      return error
    }
    const isOther = `${new URL(other).origin} is of chain 2, expected one of chain 1`
    const wrong = await ask([other])
    assert.deepEqual([wrong.code, wrong.message], ['wrongChain', isOther])
    const both = await ask([`${dead}/key`, other])
    assert.equal(both.code, 'chainUnavailable')
    const [first, second] = both.message.split('; ')
    assert.match(
      first ?? '',
      /^the chain cannot be asked: http:\/\/127\.0\.0\.1:9 cannot be reached: \w+/,
    )
    assert.equal(second, isOther)
    assert.match(both.next ?? '', /chain\.rpc/)
  })

  it('that send elsewhere are not followed', async () => {
    let reached = 0
    const elsewhere = await serve((calls, outgoing) => {
      reached++
      send(
        outgoing,
        answer(calls, () => '0x1'),
      )
    })
    const url = await serve((_, outgoing) => outgoing.writeHead(307, { location: elsewhere }).end())
    assert.equal((await failure(gasPrice(endpointAt(url)))).code, 'rpcFailed')
    assert.equal(reached, 0)
  })

  it('get their credentials, and nobody else does', async () => {
    const seen: (string | undefined)[] = []
    const url = await serve((_, outgoing, incoming) => {
      seen.push(incoming.headers.authorization, incoming.url)
      outgoing.writeHead(500).end('no')
    })
    const written: string[] = []
    const write = (facts: object, text: string) => {
      written.push(
        text,
        JSON.stringify(facts, (_, value) => textOf(value)),
      )
    }
    const log: Log = { error: write, warn: write, info: write, debug: write, child: () => log }
    const secret = new URL('/v3/pathkey?q=querykey', url)
    secret.username = 'someone'
    secret.password = 'pass%40word'
    const rpc = new Rpc({ clock, log }, { urls: [secret.href], chainId: 1 })
    const error = await failure(rpc.call(client => client.getBlockNumber()))
    rpc.stop()
    assert.deepEqual(seen, [
      `Basic ${Buffer.from('someone:pass@word').toString('base64')}`,
      '/v3/pathkey?q=querykey',
    ])
    const told = [...written, textOf(error)].join('\n')
    assert.match(told, /127\.0\.0\.1/)
    assert.doesNotMatch(told, /someone|pass@word|pass%40word|pathkey|querykey|Basic/)
  })

  describe('that limit the rate', () => {
    const limits: Record<string, Handler> = {
      'by status 429': (_, outgoing) => outgoing.writeHead(429, { 'retry-after': '20' }).end(),
      'by a date': (_, outgoing) => {
        const at = new Date(Date.now() + 20_000).toUTCString()
        outgoing.writeHead(429, { 'retry-after': at }).end('[]')
      },
      'by error -32005': (calls, outgoing) => {
        const error = { code: -32_005, message: 'project request rate exceeded' }
        send(
          outgoing,
          calls.map(({ id }) => ({ id, error })),
        )
      },
      'by words': ([call], outgoing) => {
        const error = { code: -32_016, message: 'over rate limit' }
        send(outgoing, { id: call?.id, error })
      },
    }
    for (const [how, handler] of Object.entries(limits)) {
      it(`${how} are left alone for as long as they say`, async () => {
        const its = movable()
        let calls = 0
        const url = await serve((asked, outgoing, incoming) => {
          calls++
          handler(asked, outgoing, incoming)
        })
        const rpc = new Rpc({ clock: its.clock, log: quiet }, { urls: [url], chainId: 1 })
        const ask = () => failure(rpc.call(client => client.getBlockNumber()))
        assert.equal((await ask()).code, 'chainUnavailable')
        assert.equal(calls, 1)
        its.move(how.includes('error') || how.includes('words') ? 900 : 18_000)
        await ask()
        assert.equal(calls, 1)
        its.move(3_000)
        await ask()
        assert.equal(calls, 2)
        rpc.stop()
      })
    }

    it('in one call of a batch refuse that one, and the others are answered', async () => {
      const raw = '0x02'
      for (const id of ['its own', 'none'] as const) {
        const url = await serve((calls, outgoing) =>
          send(
            outgoing,
            calls.map(call =>
              call.method === 'eth_gasPrice'
                ? { id: id === 'none' ? null : call.id, error: { code: -32_005, message: 'limit' } }
                : { id: call.id, result: raw },
            ),
          ),
        )
        const endpoint = endpointAt(url)
        const limited = gasPrice(endpoint).catch((error: unknown) => error)
        const params: ['0x02'] = [raw]
        const sent = endpoint.client.request({ method: 'eth_sendRawTransaction', params })
        assert.equal(await sent, raw)
        assert.equal(mayHaveTaken(await limited), id === 'none')
        assert.equal(endpoint.isAway, true)
      }
    })

    it('and leave out a transaction of the batch may have taken it', async () => {
      const url = await serve((calls, outgoing) =>
        send(outgoing, [
          { id: calls[0]?.id, result: '0x1' },
          { id: null, error: { code: -32_005, message: 'limit' } },
        ]),
      )
      const endpoint = endpointAt(url)
      const price = gasPrice(endpoint)
      const sent = endpoint.client.request({ method: 'eth_sendRawTransaction', params: ['0x02'] })
      const error = await failure(sent)
      assert.equal(await price, '0x1')
      assert.equal(mayHaveTaken(error), true)
      assert.equal(endpoint.isAway, true)
    })

    it('are left alone for five minutes at most', async () => {
      const url = await serve((_, outgoing) =>
        outgoing.writeHead(429, { 'retry-after': '9999999' }).end(),
      )
      let now = Date.now()
      const endpoint = endpointAt(url, {}, { ...systemClock(), now: () => now })
      await failure(gasPrice(endpoint))
      now += 299_000
      assert.equal(endpoint.isAway, true)
      now += 2_000
      assert.equal(endpoint.isAway, false)
    })

    it('are asked no more in a second than the operator allows', async () => {
      const sizes: number[] = []
      const url = await serve((calls, outgoing) => {
        sizes.push(calls.length)
        send(
          outgoing,
          answer(calls, () => '0x1'),
        )
      })
      const waits: number[] = []
      const now = Date.now()
      const its: Clock = {
        ...systemClock(),
        now: () => now,
        async until(time) {
          waits.push(Math.round(time - now))
        },
      }
      const endpoint = endpointAt(url, { callsPerSecond: 5 }, its)
      await Promise.all(Array.from({ length: 12 }, () => gasPrice(endpoint)))
      assert.deepEqual(sizes.sort(), [2, 5, 5])
      assert.deepEqual(waits, [1_000, 2_000])
    })
  })

  describe('that bound a query for logs', () => {
    const texts = [
      'query returned more than 10000 results',
      'Log response size exceeded. You can make eth_getLogs requests with up to a 2K block range',
      'block range is too wide',
      'exceed maximum block range: 5000',
      'eth_getLogs is limited to a 10,000 range',
      'query exceeds max results 20000',
      'limit exceeded',
    ]
    for (const text of texts) {
      it(`in the words '${text}' are asked for less`, async () => {
        const spans: number[] = []
        const url = await serve((calls, outgoing) => {
          const answers = calls.map(({ id, params }) => {
            const [{ fromBlock, toBlock }] = params as [{ fromBlock: string; toBlock: string }]
            const [from, to] = [Number(fromBlock), Number(toBlock)]
            spans.push(to - from + 1)
            const code = text === 'limit exceeded' ? -32_005 : -32_602
            if (to - from >= 100) return { id, error: { code, message: text } }
            return { id, result: Array.from({ length: to - from + 1 }, (_, i) => from + i) }
          })
          send(outgoing, calls.length === 1 ? answers[0] : answers)
        })
        const { client } = endpointAt(url)
        const taken = new WeakMap()
        const read = async (from: bigint, to: bigint) =>
          (await readLogs(client, ['0x00'], { from, to, taken })) as unknown as number[]
        assert.deepEqual(
          await read(5n, 804n),
          Array.from({ length: 800 }, (_, i) => 5 + i),
        )
        const before = spans.length
        await read(805n, 1_604n)
        assert.ok(spans.slice(before).every(span => span <= 100))
      })
    }

    it('are asked for more again after 256 queries, and for less where that is too much', async () => {
      const spans: number[] = []
      const url = await serve(([call], outgoing) => {
        const { id, params } = call as Call
        const [{ fromBlock, toBlock }] = params as [{ fromBlock: string; toBlock: string }]
        const span = Number(toBlock) - Number(fromBlock) + 1
        spans.push(span)
        const error = { code: -32_005, message: 'query exceeds max results 20000' }
        send(outgoing, span <= 4 ? { id, result: [] } : { id, error })
      })
      const { client } = endpointAt(url)
      const taken: RangesTaken = new WeakMap()
      await readLogs(client, ['0x00'], { from: 1n, to: 1_088n, taken })
      const bounded = (blocks: number) => Array(blocks / 4).fill(4)
      const first = [1_088, 544, 272, 136, 68, 34, 17, 8, ...bounded(1_024)]
      assert.deepEqual(spans, [...first, 64, 32, 16, 8, ...bounded(64)])
    })

    it('to less than one block are failures', async () => {
      const url = await serve(([call], outgoing) =>
        send(outgoing, { id: call?.id, error: { code: -32_005, message: 'too many results' } }),
      )
      const { client } = endpointAt(url)
      const range = { from: 0n, to: 100n, taken: new WeakMap() }
      await assert.rejects(readLogs(client, ['0x00'], range), /too many results/)
    })
  })

  describe('that contradict each other', () => {
    let world: TestChain
    beforeEach(async () => {
      world = await openChain()
    })
    afterEach(() => world.close())
    /** Another fork: each block has another hash, and so has its parent. */
    const fork: Extract<NonNullable<Gate['fault']>, { kind: 'lie' }> = {
      kind: 'lie',
      change: (method, result) => {
        if (method !== 'eth_getBlockByNumber' || result === null) return result
        const { hash, parentHash, ...rest } = result as { hash: string; parentHash: string }
        return { ...rest, hash: other(hash), parentHash: other(parentHash) }
      },
    }
    const other = (hash: string) => `0x${hex(sha256(new TextEncoder().encode(hash)))}`
    const gates = async (count: number) => {
      const all: Gate[] = []
      for (let i = 0; i < count; i++) {
        const gate = await openEndpoint(world.anvil.rpcUrl)
        closers.push(() => gate.close())
        all.push(gate)
      }
      return all
    }
    const warnings: string[] = []
    const log: Log = { ...quiet, warn: (_, text) => warnings.push(text), child: () => log }
    const open = async (all: readonly Gate[], agree?: number) => {
      warnings.length = 0
      return world.open(
        { rpc: all.map(({ url }) => url), ...(agree !== undefined && { rpcLimits: { agree } }) },
        { log },
      )
    }
    const nameOf = ({ url }: Gate) => new URL(url).origin

    it('lose the one that a majority contradicts, and name it', async () => {
      const all = await gates(3)
      const [liar] = all
      assert.ok(liar !== undefined)
      liar.fault = fork
      await world.register(0)
      await world.mine(3)
      const chain = await open(all)
      const height = await world.client.getBlockNumber()
      await advanced(chain, () => chain.head()?.number === height)
      assert.equal(
        hex(chain.head()?.hash as Uint8Array),
        (await world.client.getBlock()).hash.slice(2),
      )
      assert.deepEqual(
        warnings.filter(text => text.includes('set aside')),
        [`${nameOf(liar)} contradicts the other endpoints; it is set aside`],
      )
      const asked = liar.calls
      await world.mine(3)
      await advanced(chain, () => chain.head()?.number === height + 3n)
      assert.equal(liar.calls, asked)
    })

    it('do not have the one that loses say what the chain began with', async () => {
      const all = await gates(3)
      const [liar] = all
      assert.ok(liar !== undefined)
      await world.mine(3)
      const began = (await open(all)).foundingParameters()
      assert.ok(began !== undefined && began.size > 0)
      liar.fault = {
        kind: 'lie',
        change: (method, result) => {
          if (method !== 'eth_call') return fork.change(method, result)
          const text = result as string
          const word = BigInt(text.slice(0, 66)) + 1n
          return `0x${word.toString(16).padStart(64, '0')}${text.slice(66)}`
        },
      }
      const chain = await open(all)
      assert.deepEqual(chain.foundingParameters(), began)
    })

    for (const half of [1, 2]) {
      it(`are believed neither where ${half} contradict ${half}, until they agree again`, async () => {
        const all = await gates(2 * half)
        const liars = all.slice(half)
        await world.mine(3)
        const chain = await open(all)
        const height = await world.client.getBlockNumber()
        assert.equal(chain.head()?.number, height)
        assert.equal(chain.healthy(), true)
        for (const liar of liars) liar.fault = fork
        await world.mine(1)
        while (chain.healthy()) await clock.until(clock.now() + 5)
        assert.ok(warnings.some(text => text.includes('contradict each other')))
        await world.mine(5)
        await clock.until(clock.now() + 100)
        assert.equal(chain.head()?.number, height)
        for (const liar of liars) liar.fault = undefined
        await advanced(chain, () => chain.head()?.number === height + 6n)
        assert.equal(chain.healthy(), true)
      })
    }

    it('are believed neither when one of them falls silent after', async () => {
      const all = await gates(2)
      const [first, second] = all
      assert.ok(first !== undefined && second !== undefined)
      await world.mine(3)
      first.fault = fork
      const chain = await open(all)
      assert.deepEqual([chain.healthy(), chain.head()], [false, undefined])
      second.fault = { kind: 'down' }
      await clock.until(clock.now() + 100)
      assert.deepEqual([chain.healthy(), chain.head()], [false, undefined])
    })

    it('matter less than silence: one alone is believed, unless more must agree', async () => {
      const all = await gates(2)
      const [, second] = all
      assert.ok(second !== undefined)
      second.fault = { kind: 'down' }
      await world.mine(3)
      const height = await world.client.getBlockNumber()
      assert.equal((await open(all)).head()?.number, height)
      const careful = await open(all, 2)
      assert.deepEqual([careful.healthy(), careful.head()], [false, undefined])
      second.fault = undefined
      const again = await open(all, 2)
      assert.equal(again.head()?.number, height)
    })

    it('cannot have to agree where there are too few', () => {
      const url = 'http://127.0.0.1:1'
      const make = () => new Rpc({ clock, log }, { urls: [url], chainId: 1, agree: 2 })
      assert.throws(make, { code: 'noRpc' })
    })
  })
})

describe('a block that an endpoint gives', () => {
  const word = (digits: string) => `0x${digits.padStart(64, '0')}`
  /** An endpoint that answers every call with this. */
  const answering = (answer: unknown) => ({ request: async () => answer }) as unknown as Client
  const block = { number: '0x5', hash: word('a'), parentHash: word('9'), timestamp: '0x64' }

  it('is the one that was asked for, or the latest', async () => {
    assert.equal((await readHeader(answering(block), 5n))?.timestamp, 100)
    assert.equal((await readHeader(answering(block), 'latest'))?.number, 5n)
    assert.equal(await readHeader(answering(null), 5n), undefined)
    await assert.rejects(readHeader(answering(block), 6n), { code: 'badRpc' })
  })

  for (const [field, value] of [
    ['number', null],
    ['number', '5'],
    ['hash', null],
    ['hash', '0xab'],
    ['parentHash', word('9').slice(0, -1)],
    ['timestamp', `0x1${'0'.repeat(16)}`],
    ['timestamp', 100],
  ] as const) {
    it(`is refused with ${field} ${value}`, async () => {
      const read = readHeader(answering({ ...block, [field]: value }), 5n)
      await assert.rejects(read, { code: 'badRpc' })
    })
  }
})

/** Everything that an error says, with its causes. */
function textOf(value: unknown): unknown {
  if (!(value instanceof Error)) return typeof value === 'bigint' ? String(value) : value
  const { message, stack, cause } = value
  const facts = JSON.stringify((value as Partial<CairnError>).facts ?? {})
  return [message, stack, facts, JSON.stringify(value), textOf(cause)].join('\n')
}
