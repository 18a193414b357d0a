import { strict as assert } from 'node:assert'
import { CairnError } from '@cairn/protocol'
import { deadline } from '../clock.ts'
import { DIRECT_MAX_BYTES, GOSSIP_MAX_BYTES } from '../network/limits.ts'
import type { Acceptance, Clock, Network, ServeOptions } from '../ports.ts'
import type { ConformanceCase } from './case.ts'

export interface NetworkWorld {
  /** Started and connected; the first is the one the others know from the start. */
  nodes: readonly Network[]
  clock: Clock
  /** Lets `ms` of the clock's time go by. */
  pass(ms: number): Promise<void>
  stop(): Promise<void>
}

export interface NetworkWorldInit {
  nodes: number
  /** Each node has links to the one before it and the one after it only. */
  line?: boolean
}

const TOPIC = '/cairn/test/0/things'
const SERVE: ServeOptions = { maxRequestBytes: 1024, maxResponseBytes: 1024, perSecond: 1_000 }
/** Longest wait for what must happen, and how often it is looked for, ms. */
const PATIENCE = 20_000
const LOOK_EVERY = 20
/** Long enough for what must not happen, ms. */
const QUIET = 1_500

const text = (value: string) => new TextEncoder().encode(value)
const read = (bytes: Uint8Array) => new TextDecoder().decode(bytes)

/** What every network must do. */
export function networkCases(
  open: (init: NetworkWorldInit) => Promise<NetworkWorld>,
): ConformanceCase[] {
  const rule = (
    title: string,
    init: NetworkWorldInit,
    run: (world: World) => Promise<void>,
  ): ConformanceCase => ({
    title,
    async run() {
      const opened = await open(init)
      try {
        await run(new World(opened))
      } finally {
        await opened.stop()
      }
    },
  })
  return [
    rule('names its peers', { nodes: 3 }, async world => {
      const [a, b, c] = world.three()
      await world.eventually('a hub has both', () => a.peers().length === 2)
      assert.deepEqual(a.peers().sort(), [b.self, c.self].sort())
      assert.ok(!a.peers().includes(a.self))
    }),
    rule('delivers a message once to every other subscriber', { nodes: 3 }, async world => {
      const heard = await world.subscribeAll()
      const [a, b, c] = world.three()
      for (let i = 0; i < 20; i++) await a.publish(TOPIC, text(`from a ${i}`))
      await c.publish(TOPIC, text('from c'))
      await world.eventually('all arrive', () => heard(b).length === 21 && heard(c).length === 20)
      await world.pass(QUIET)
      assert.equal(new Set(heard(b)).size, 21)
      assert.equal(heard(b).length, 21)
      assert.equal(new Set(heard(c)).size, 20)
      assert.deepEqual(heard(a), ['from c'])
    }),
    rule('relays what a node accepted', { nodes: 3, line: true }, async world => {
      const heard = await world.subscribeAll()
      const [a, , c] = world.three()
      await a.publish(TOPIC, text('over b'))
      await world.eventually('c has it', () => heard(c).includes('over b'))
    }),
    rule(
      'relays neither what a node ignored nor what it rejected',
      { nodes: 3, line: true },
      async world => {
        const [a, b, c] = world.three()
        const heard = await world.subscribeAll(node => async data => {
          const [verdict] = read(data).split(' ')
          return node === b ? (verdict as Acceptance) : 'accept'
        })
        await a.publish(TOPIC, text('ignore 1'))
        await a.publish(TOPIC, text('reject 1'))
        await a.publish(TOPIC, text('accept 1'))
        await world.eventually('c has what b accepted', () => heard(c).includes('accept 1'))
        await world.pass(QUIET)
        assert.deepEqual(heard(c), ['accept 1'])
        assert.deepEqual(heard(b).sort(), ['accept 1', 'ignore 1', 'reject 1'])
      },
    ),
    rule('waits for the validator before it relays', { nodes: 3, line: true }, async world => {
      const [a, b, c] = world.three()
      let allow: (verdict: Acceptance) => void = () => {}
      const verdict = new Promise<Acceptance>(resolve => {
        allow = resolve
      })
      const heard = await world.subscribeAll(node => async () => (node === b ? verdict : 'accept'))
      await a.publish(TOPIC, text('slow'))
      await world.eventually('b has it', () => heard(b).length === 1)
      await world.pass(300)
      assert.deepEqual(heard(c), [])
      allow('accept')
      await world.eventually('c has it', () => heard(c).length === 1)
    }),
    rule('names the peer that a message came from', { nodes: 3, line: true }, async world => {
      const [a, b, c] = world.three()
      const from = new Map<Network, string>()
      await world.subscribeAll(node => async (_, peer) => {
        from.set(node, peer)
        return 'accept'
      })
      await a.publish(TOPIC, text('hop'))
      await world.eventually('c has it', () => from.has(c))
      assert.equal(from.get(b), a.self)
      assert.equal(from.get(c), b.self)
    }),
    rule('publishes to nobody, and the same bytes twice, in peace', { nodes: 2 }, async world => {
      const [a, b] = world.two()
      await a.publish('/cairn/test/0/deserted', text('hello'))
      const heard = await world.subscribeAll()
      await a.publish(TOPIC, text('twice'))
      await a.publish(TOPIC, text('twice'))
      await world.eventually('b has it', () => heard(b).length > 0)
      await world.pass(QUIET)
      assert.deepEqual(heard(b), ['twice'])
    }),
    rule('carries the longest message, refuses a longer one', { nodes: 2 }, async world => {
      const [a, b] = world.two()
      const heard = await world.subscribeAll()
      await a.publish(TOPIC, new Uint8Array(GOSSIP_MAX_BYTES).fill(0x61))
      await world.eventually('b has it', () => heard(b).length > 0)
      await assert.rejects(a.publish(TOPIC, new Uint8Array(GOSSIP_MAX_BYTES + 1)), {
        code: 'tooLarge',
      })
    }),
    rule('hears nothing more of a topic it left', { nodes: 3 }, async world => {
      const [a, b, c] = world.three()
      const heard = await world.subscribeAll()
      b.unsubscribe(TOPIC)
      await world.pass(200)
      await a.publish(TOPIC, text('after'))
      await world.eventually('c has it', () => heard(c).length === 1)
      await world.pass(QUIET)
      assert.deepEqual(heard(b), [])
    }),
    rule('answers a request and says who asked', { nodes: 2 }, async world => {
      const [a, b] = world.two()
      b.serve('echo', SERVE, async (request, from) => text(`${read(request)} ${from}`))
      const response = await world.request(a, b.self, 'echo', text('hello'))
      assert.equal(read(response), `hello ${a.self}`)
    }),
    rule('says how long an answer took, of answers only', { nodes: 2 }, async world => {
      const [a, b] = world.two()
      b.serve('slow', SERVE, async request => {
        await world.clock.until(world.clock.now() + Number(read(request)))
        return request
      })
      b.serve('fail', SERVE, async () => {
        throw new CairnError('leafMissing', 'no')
      })
      const took: number[] = []
      const options = {
        signal: new AbortController().signal,
        maxResponseBytes: 16,
        onRoundTrip: (micros: number) => took.push(micros),
      }
      for (const wait of ['200', '0']) {
        const asking = a.request(b.self, 'slow', text(wait), options)
        assert.equal(read(await world.settled(asking)), wait)
      }
      assert.ok(took.every(Number.isInteger))
      // The network itself takes time too; a timer may be a little early by another clock.
      assert.ok((took[0] as number) > 190_000 && (took[1] as number) > 0)
      const failing = world.rejection(a.request(b.self, 'fail', text('?'), options))
      assert.equal((await failing).code, 'leafMissing')
      assert.equal(took.length, 2)
    }),
    rule('asks as somebody else each time, where it is to', { nodes: 2 }, async world => {
      const [a, b] = world.two()
      b.serve('echo', SERVE, async (request, from) => text(`${read(request)} ${from}`))
      const seen = new Set<string>()
      for (const word of ['one', 'two']) {
        const answer = read(await world.requestAsStranger(a, b.self, 'echo', text(word)))
        assert.equal(answer.split(' ')[0], word)
        seen.add(answer.split(' ')[1] as string)
      }
      assert.equal(seen.size, 2)
      assert.ok(!seen.has(a.self) && ![...seen].some(peer => a.peers().includes(peer)))
      assert.equal(read(await world.request(a, b.self, 'echo', text('me'))), `me ${a.self}`)
    }),
    rule('has the same failures as a stranger', { nodes: 2 }, async world => {
      const [a, b] = world.two()
      const failure = async (protocol: string, peer = b.self) => {
        const asking = world.requestAsStranger(a, peer, protocol, text('?'))
        return (await world.rejection(asking)).code
      }
      b.serve('fail', SERVE, async () => {
        throw new CairnError('leafMissing', 'secret text')
      })
      b.serve('never', SERVE, () => new Promise(() => {}))
      assert.equal(await failure('fail'), 'leafMissing')
      assert.equal(await failure('nothing'), 'unsupported')
      // A valid peer id (all-zero seed) that no test starts.
      const nobody = '12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN'
      assert.equal(await failure('fail', nobody), 'unreachable')
      const { signal } = deadline(world.clock, world.clock.now() + 300)
      const slow = a.requestAsStranger(b.self, 'never', text('?'), { signal, maxResponseBytes: 16 })
      assert.equal((await world.rejection(slow)).code, 'timeout')
    }),
    rule('carries empty requests and empty responses', { nodes: 2 }, async world => {
      const [a, b] = world.two()
      b.serve('echo', SERVE, async request => request)
      assert.equal((await world.request(a, b.self, 'echo', new Uint8Array())).length, 0)
    }),
    rule(
      'carries the longest request and response, both ways at once',
      { nodes: 2 },
      async world => {
        const [a, b] = world.two()
        const serve = {
          ...SERVE,
          maxRequestBytes: DIRECT_MAX_BYTES,
          maxResponseBytes: DIRECT_MAX_BYTES,
        }
        for (const node of [a, b]) node.serve('echo', serve, async request => request)
        const longest = Uint8Array.from({ length: DIRECT_MAX_BYTES }, (_, i) => i * 7)
        const responses = await Promise.all([
          world.request(a, b.self, 'echo', longest, DIRECT_MAX_BYTES),
          world.request(b, a.self, 'echo', longest, DIRECT_MAX_BYTES),
          world.request(a, b.self, 'echo', longest, DIRECT_MAX_BYTES),
        ])
        for (const response of responses) assert.deepEqual(response, longest)
      },
    ),
    rule('gives each of many requests its own response', { nodes: 2 }, async world => {
      const [a, b] = world.two()
      b.serve('echo', SERVE, async request => {
        // Later requests overtake earlier ones.
        await world.clock.until(world.clock.now() + 50 - (Number(read(request)) % 50))
        return request
      })
      const numbers = Array.from({ length: 200 }, (_, i) => `${i}`)
      const responses = await Promise.all(
        numbers.map(number => world.request(a, b.self, 'echo', text(number))),
      )
      assert.deepEqual(responses.map(read), numbers)
    }),
    rule('tells the requester the code of an error, and no more', { nodes: 2 }, async world => {
      const [a, b] = world.two()
      b.serve('fail', SERVE, async request => {
        if (read(request) === 'coded') throw new CairnError('leafMissing', 'secret text')
        throw new TypeError('secret bug')
      })
      const coded = await world.failure(a, b.self, 'fail', text('coded'))
      assert.equal(coded.code, 'leafMissing')
      const bug = await world.failure(a, b.self, 'fail', text('bug'))
      assert.equal(bug.code, 'internal')
      assert.ok(![coded, bug].some(({ message }) => message.includes('secret')))
    }),
    rule(
      'says unsupported for a protocol that the peer does not serve',
      { nodes: 2 },
      async world => {
        const [a, b] = world.two()
        assert.equal((await world.failure(a, b.self, 'nothing')).code, 'unsupported')
      },
    ),
    rule('says unreachable for a peer that nobody knows', { nodes: 2 }, async world => {
      const [a] = world.two()
      // A valid peer id (all-zero seed) that no test starts.
      const stranger = '12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN'
      assert.equal((await world.failure(a, stranger, 'echo')).code, 'unreachable')
    }),
    rule('says timeout when the deadline passes first', { nodes: 2 }, async world => {
      const [a, b] = world.two()
      b.serve('slow', SERVE, async request => {
        await world.clock.until(world.clock.now() + 400)
        return request
      })
      const { signal } = deadline(world.clock, world.clock.now() + 200)
      const options = { signal, maxResponseBytes: 16 }
      assert.equal(
        (await world.rejection(a.request(b.self, 'slow', text('1'), options))).code,
        'timeout',
      )
      const aborted = { signal: AbortSignal.abort(), maxResponseBytes: 16 }
      assert.equal(
        (await world.rejection(a.request(b.self, 'slow', text('2'), aborted))).code,
        'timeout',
      )
      // The late response to the first must not be taken for that of the third.
      assert.equal(read(await world.request(a, b.self, 'slow', text('3'))), '3')
    }),
    rule('says tooLarge for what is longer than either side allows', { nodes: 2 }, async world => {
      const [a, b] = world.two()
      b.serve('sized', SERVE, async request => new Uint8Array(Number(read(request).split(' ')[0])))
      const sized = (value: string, max = 1024) =>
        world.failure(a, b.self, 'sized', text(value), max)
      assert.equal((await sized(`1 ${'x'.repeat(1024)}`)).code, 'tooLarge')
      assert.equal((await sized('1025')).code, 'tooLarge')
      assert.equal((await sized('1000', 999)).code, 'tooLarge')
      await assert.rejects(
        world.request(a, b.self, 'sized', new Uint8Array(DIRECT_MAX_BYTES + 1)),
        {
          code: 'tooLarge',
        },
      )
      assert.equal((await world.request(a, b.self, 'sized', text('1000'))).length, 1000)
    }),
    rule('says busy to who asks faster than allowed, and recovers', { nodes: 2 }, async world => {
      const [a, b] = world.two()
      b.serve('rare', { ...SERVE, perSecond: 3 }, async request => request)
      const outcomes = await Promise.all(
        Array.from({ length: 12 }, () =>
          world.request(a, b.self, 'rare', text('?')).then(
            () => 'ok',
            (error: CairnError) => error.code,
          ),
        ),
      )
      const served = outcomes.filter(outcome => outcome === 'ok').length
      assert.ok(served >= 3 && served <= 6, `${served} of 12 were answered`)
      assert.equal(outcomes.filter(outcome => outcome === 'busy').length, 12 - served)
      await world.pass(1_100)
      assert.equal(read(await world.request(a, b.self, 'rare', text('!'))), '!')
    }),
    rule('stops and starts again, with its topics and protocols', { nodes: 2 }, async world => {
      const [a, b] = world.two()
      const heard = await world.subscribeAll()
      b.serve('echo', SERVE, async request => request)
      assert.equal(read(await world.request(a, b.self, 'echo', text('1'))), '1')
      await b.stop()
      await b.stop()
      assert.deepEqual(b.peers(), [])
      await world.eventually('a notices', () => a.peers().length === 0)
      assert.equal((await world.failure(a, b.self, 'echo')).code, 'unreachable')
      assert.equal((await world.failure(b, a.self, 'echo')).code, 'unreachable')
      await b.publish(TOPIC, text('into the void'))
      await b.start()
      await b.start()
      await world.eventually('they meet again', () => a.peers().includes(b.self))
      assert.equal(read(await world.request(a, b.self, 'echo', text('2'))), '2')
      let i = 0
      await world.eventually('gossip flows again', async () => {
        await a.publish(TOPIC, text(`again ${i++}`))
        return heard(b).length > 0
      })
    }),
    rule('ends what is under way when it stops', { nodes: 2 }, async world => {
      const [a, b] = world.two()
      b.serve('never', SERVE, () => new Promise(() => {}))
      const pending = world.failure(a, b.self, 'never')
      await world.pass(300)
      await b.stop()
      assert.equal((await pending).code, 'unreachable')
    }),
  ]
}

type Validate = Parameters<Network['subscribe']>[1]

class World {
  readonly clock: Clock
  readonly #world: NetworkWorld

  constructor(world: NetworkWorld) {
    this.#world = world
    this.clock = world.clock
  }

  two(): [Network, Network] {
    return this.#world.nodes as [Network, Network]
  }

  three(): [Network, Network, Network] {
    return this.#world.nodes as [Network, Network, Network]
  }

  pass(ms: number): Promise<void> {
    return this.#world.pass(ms)
  }

  async eventually(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
    for (let waited = 0; waited < PATIENCE; waited += LOOK_EVERY) {
      if (await condition()) return
      await this.pass(LOOK_EVERY)
    }
    assert.fail(`within ${PATIENCE} ms: ${what}`)
  }

  /** Subscribes all nodes; resolves with what each was asked to validate, once gossip flows. */
  async subscribeAll(
    validator: (node: Network) => Validate = () => async () => 'accept',
  ): Promise<(node: Network) => string[]> {
    const heard = new Map<Network, string[]>()
    const probed = new Map<Network, Set<string>>()
    for (const node of this.#world.nodes) {
      const list: string[] = []
      const probes = new Set<string>()
      heard.set(node, list)
      probed.set(node, probes)
      const validate = validator(node)
      node.subscribe(TOPIC, async (data, from) => {
        const message = read(data)
        if (message.startsWith('probe ')) {
          probes.add(message.split(' ')[1] as string)
          return 'accept'
        }
        list.push(message)
        return validate(data, from)
      })
    }
    let round = 0
    await this.eventually('every node hears every other', async () => {
      for (const node of this.#world.nodes) {
        await node.publish(TOPIC, text(`probe ${node.self} ${round}`))
      }
      round++
      await this.pass(100)
      return [...probed.values()].every(set => set.size === this.#world.nodes.length - 1)
    })
    return node => heard.get(node) as string[]
  }

  request(
    from: Network,
    peer: string,
    protocol: string,
    request: Uint8Array = text('?'),
    maxResponseBytes = 1024,
  ): Promise<Uint8Array> {
    const { signal, clear } = deadline(this.clock, this.clock.now() + PATIENCE)
    return this.settled(
      from.request(peer, protocol, request, { signal, maxResponseBytes }),
    ).finally(clear)
  }

  requestAsStranger(
    from: Network,
    peer: string,
    protocol: string,
    request: Uint8Array,
  ): Promise<Uint8Array> {
    const { signal, clear } = deadline(this.clock, this.clock.now() + PATIENCE)
    const options = { signal, maxResponseBytes: 1024 }
    return this.settled(from.requestAsStranger(peer, protocol, request, options)).finally(clear)
  }

  failure(...request: Parameters<World['request']>): Promise<CairnError> {
    return this.rejection(this.request(...request))
  }

  rejection(work: Promise<unknown>): Promise<CairnError> {
    return this.settled(
      work.then(
        () => assert.fail('the request was answered'),
        (error: unknown) => {
          assert.ok(error instanceof CairnError, String(error))
          return error
        },
      ),
    )
  }

  /** Lets time pass until `work` is done. */
  async settled<T>(work: Promise<T>): Promise<T> {
    let done = false
    const end = () => {
      done = true
    }
    work.then(end, end)
    await this.eventually('the request ends', () => done)
    return work
  }
}
