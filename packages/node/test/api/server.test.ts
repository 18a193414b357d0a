import { strict as assert } from 'node:assert'
import { once } from 'node:events'
import { request as httpRequest } from 'node:http'
import { connect, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { checkpointRoot, hex, parseProofFile, verifyProofFile } from '@cairn/protocol'
import { ErrorShape } from '../../src/api/errors.ts'
import {
  ANONYMOUS_PER_SECOND,
  BODY_MAX_BYTES,
  CONTENT_STREAMS_MAX,
  EVENT_STREAMS_MAX,
  PACK_HEAD_MAX_BYTES,
} from '../../src/api/limits.ts'
import { ROUTES } from '../../src/api/routes.ts'
import { type Api, type ApiInit, startApi } from '../../src/api/server.ts'
import {
  EventShape,
  FilesShape,
  PackShape,
  PurchaseShape,
  RemovedShape,
} from '../../src/api/shapes.ts'
import { systemClock } from '../../src/clock.ts'
import type { Log } from '../../src/ports.ts'
import { BROKEN, ENDLESS, EPOCH, PROPOSAL, type TestView, testView } from './view.ts'

const TOKEN = 'ab'.repeat(32)

describe('HTTP API', () => {
  let node: TestView
  let api: Api
  let errors: object[]

  async function open(init: Partial<ApiInit> = {}): Promise<void> {
    errors = []
    const components = { view: node.view, clock: systemClock(), log: logTo(errors) }
    api = await startApi(
      { ...components, metrics: node.metrics },
      { port: 0, token: TOKEN, ...init },
    )
  }

  async function reopen(init: Partial<ApiInit>): Promise<void> {
    await api.stop()
    await open(init)
  }

  beforeEach(async () => {
    node = await testView()
    await open()
  })
  afterEach(async () => {
    await api.stop()
    await node.close()
  })

  function call(path: string, init: RequestInit = {}): Promise<Response> {
    const headers = { authorization: `Bearer ${TOKEN}`, ...init.headers }
    return fetch(`${api.url}${path}`, { ...init, headers })
  }

  async function refused(response: Response): Promise<[number, string]> {
    const { error } = ErrorShape.parse(await response.json())
    return [response.status, error.code]
  }

  it('answers every route in the shape that its document promises', async () => {
    const account = '05'.repeat(20)
    const id = hex(node.ids[0] as Uint8Array)
    const put = await call('/v1/put', { method: 'POST', body: 'x' })
    const { link } = (await put.json()) as { link: string }
    const queries: Record<string, string> = {
      'GET /v1/ledger': '?epoch=3',
      'GET /v1/votes/preview': '?set=weight.2=2',
      'POST /v1/votes/propose': '?set=weight.2=2&title=more',
      'POST /v1/votes/{id}/cast': '?support=for',
      'POST /v1/deposit/add': '?amount=12500000000000000000',
      'POST /v1/deposit/request': '?amount=5',
      'POST /v1/volumes/forget': '?location=/mnt/a',
      'POST /v1/files/delegates': `?link=${encodeURIComponent(link)}&delegates=4,7`,
      'POST /v1/files/remove': `?link=${encodeURIComponent(link)}`,
      'POST /v1/operator/register':
        '?cell=8c2a100d2c8a1ff&region=1&subBand=0&gain=-12&kinds=6&bond=1000',
      'POST /v1/operator/bond': '?amount=7',
      'POST /v1/grants': '?link=cairn:some&peer=anna',
      'POST /v1/grants/revoke': '?link=cairn:some&peer=anna',
    }
    for (const { method, path, response } of ROUTES) {
      const filled = path
        .replace('{epoch}', String(EPOCH))
        .replace('{node}', '2')
        .replace('{id}', path.startsWith('/v1/votes/') ? PROPOSAL.id : id)
        .replace('{account}', account)
      const found = await call(`${filled}${queries[`${method} ${path}`] ?? ''}`, { method })
      assert.ok(found.ok, `${method} ${path}: ${found.status}`)
      assert.match(found.headers.get('x-request-id') ?? '', /^r\d+$/)
      const body = await found.json()
      assert.deepEqual(response.parse(body), body, path)
    }
  })

  it('takes orders of an operator as they are meant, and refuses what is none', async () => {
    const order = (act: string) => call(`/v1/operator/${act}`, { method: 'POST' })
    await order('register?cell=8c2a100d2c8a1ff&region=1&subBand=0&gain=-12&kinds=6&dryRun=true')
    await order('offer?node=4&payout=0x0707070707070707070707070707070707070707')
    assert.deepEqual(node.orders, [
      { act: 'register', cell: 0x8c2a100d2c8a1ffn, region: 1, subBand: 0, gain: -12, kinds: 6 },
      { act: 'offer', node: 4, payout: new Uint8Array(20).fill(7) },
    ])
    const wrong = [
      'bond',
      'bond?amount=-1',
      `bond?amount=1&reference=${'a'.repeat(65)}`,
      'bond?amount=1&reference=a/b',
      'bond?amount=1.5',
      'place?cell=zz',
      'exit?node=x',
    ]
    for (const text of wrong) {
      assert.deepEqual(await refused(await order(text)), [400, 'badRequest'], text)
    }
    assert.deepEqual(await refused(await order('sell')), [404, 'notFound'])
    const many = Array.from({ length: 257 }, () => '05'.repeat(20)).join(',')
    assert.equal((await call(`/v1/claims?accounts=${many}`)).status >= 400, true)
    assert.equal(node.orders.length, 2)
  })

  it('hands on under which reference a payment is made', async () => {
    const paid = async (path: string) =>
      await (await call(`${path}&reference=rent-11.2`, { method: 'POST' })).json()
    const { transactions } = (await paid('/v1/deposit/add?amount=5')) as { transactions: string[] }
    const { transaction } = (await paid('/v1/operator/bond?amount=7')) as { transaction: string }
    assert.deepEqual([transactions[1], transaction], ['rent-11.2', 'rent-11.2'])
  })

  it('writes big integers as decimal strings and bytes as hexadecimal', async () => {
    const { chain, network } = (await (await call('/v1/status')).json()) as {
      chain: { head: { number: string } }
      network: { id: string }
    }
    assert.equal(chain.head.number, '1152921504606846976')
    assert.equal(network.id, '09'.repeat(32))
  })

  it('tells alive without a token, and nothing else', async () => {
    assert.equal((await fetch(`${api.url}/health`)).status, 200)
    assert.equal((await fetch(`${api.url}/openapi.json`)).status, 200)
    for (const path of ['/ready', '/metrics', '/v1/status', '/v1/stop', '/nothing']) {
      assert.deepEqual(await refused(await fetch(api.url + path)), [401, 'unauthorized'], path)
    }
    const guesses = [
      'Bearer',
      'Bearer x',
      `Basic ${TOKEN}`,
      `Bearer ${TOKEN}0`,
      `Bearer ${TOKEN} x`,
    ]
    for (const authorization of guesses) {
      const guess = await call('/v1/status', { headers: { authorization } })
      assert.deepEqual(await refused(guess), [401, 'unauthorized'], authorization)
    }
  })

  it('says 503 with the causes while the node is of no use', async () => {
    assert.equal((await call('/ready')).status, 200)
    node.health.ready = false
    const response = await call('/ready')
    assert.equal(response.status, 503)
    const body = (await response.json()) as { ready: boolean; reasons: { code: string }[] }
    assert.deepEqual([body.ready, body.reasons[0]?.code], [false, 'chain'])
  })

  it('pages through an epoch’s messages', async () => {
    const ids: string[] = []
    let after = ''
    for (;;) {
      const path = `/v1/ledger?epoch=${EPOCH}&limit=2${after}`
      const page = (await (await call(path)).json()) as {
        messages: { id: string }[]
        next?: string
      }
      ids.push(...page.messages.map(message => message.id))
      if (page.next === undefined) break
      after = `&after=${page.next}`
    }
    assert.deepEqual(ids, node.ids.map(hex))
    const own = await (await call(`/v1/ledger?epoch=${EPOCH}&author=2`)).json()
    assert.equal((own as { messages: unknown[] }).messages.length, 1)
  })

  it('gives proofs that hold without the node', async () => {
    const message = await call(`/v1/ledger/0x${hex(node.ids[3] as Uint8Array)}/proof`)
    const proof = parseProofFile(await message.text())
    assert.deepEqual(verifyProofFile(proof), checkpointRoot(proof.checkpoint))
    const payout = await call(`/v1/payouts/0x${'05'.repeat(20)}/proof`)
    const totals = parseProofFile(await payout.text())
    verifyProofFile(totals)
    assert.equal(totals.payout?.earned, 10n ** 24n)
  })

  it('stores an upload and gives it back, without holding it', async () => {
    const size = 24 * 1024 * 1024
    const put = await call('/v1/put?name=file.bin&data=2&total=4', {
      method: 'POST',
      body: zeros(size),
      duplex: 'half',
    } as RequestInit)
    const { link, bytes } = (await put.json()) as { link: string; bytes: number }
    assert.equal(bytes, size)
    assert.deepEqual(node.puts.get(link)?.options.shape, { data: 2, total: 4 })
    assert.equal(node.puts.get(link)?.name, 'file.bin')
    const get = await call(`/v1/get?link=${encodeURIComponent(link)}`)
    assert.equal(get.headers.get('content-length'), String(size))
    assert.equal(
      get.headers.get('content-disposition'),
      "attachment; filename*=UTF-8''a%20%22file%22.bin",
    )
    assert.equal((await get.arrayBuffer()).byteLength, size)
  })

  it('gives a range of it, and says which', async () => {
    const put = await call('/v1/put', { method: 'POST', body: 'x'.repeat(1_000) })
    const { link } = (await put.json()) as { link: string }
    const path = `/v1/get?link=${encodeURIComponent(link)}`
    const cases = [
      ['first=10&last=19', 10, 'bytes 10-19/1000'],
      ['first=990', 10, 'bytes 990-999/1000'],
      ['last=4999', 1_000, 'bytes 0-999/1000'],
      ['first=1000', 0, null],
    ] as const
    for (const [query, length, said] of cases) {
      const got = await call(`${path}&${query}`)
      assert.equal(got.status, 206, query)
      assert.equal(got.headers.get('content-range'), said, query)
      assert.equal((await got.arrayBuffer()).byteLength, length, query)
    }
    const whole = await call(path)
    assert.deepEqual([whole.status, whole.headers.get('content-range')], [200, null])
    await whole.arrayBuffer()
  })

  it('stores several files of one body, and lists and removes them', async () => {
    const head = [
      { name: 'a', bytes: 3 },
      { name: 'nothing', bytes: 0 },
      { name: 'b', bytes: 4 },
    ]
    const body = `${JSON.stringify(head)}\naaabbbb`
    const put = await call('/v1/pack?data=1&total=2', { method: 'POST', body })
    const { files, bytes } = PackShape.parse(await put.json())
    assert.deepEqual(
      files.map(({ name, bytes: length }) => ({ name, bytes: length })),
      head,
    )
    assert.equal(bytes, 7)
    const listed = FilesShape.parse(await (await call('/v1/files')).json())
    assert.deepEqual(
      listed.files.map(({ name }) => name),
      ['a', 'nothing', 'b'],
    )
    const link = encodeURIComponent(files[0]?.link ?? '')
    const removed = await call(`/v1/files/remove?link=${link}`, { method: 'POST' })
    assert.equal(RemovedShape.parse(await removed.json()).name, 'a')
    const again = await call(`/v1/files/remove?link=${link}`, { method: 'POST' })
    assert.deepEqual(await refused(again), [404, 'notListed'])
  })

  it('refuses a pack whose body is not what its head says', async () => {
    const bodies = [
      '',
      '[]\n',
      'no json\n',
      '[{"name":"a"}]\n',
      '[{"name":"a","bytes":-1}]\n',
      '[{"name":"a","bytes":2}]\nx',
      '[{"name":"a","bytes":2}]\nxxx',
      '[{"name":"a","bytes":2}]',
      ' '.repeat(PACK_HEAD_MAX_BYTES + 1),
    ]
    for (const body of bodies) {
      const put = await call('/v1/pack', { method: 'POST', body })
      assert.deepEqual(await refused(put), [400, 'badRequest'], body.slice(0, 40))
    }
  })

  it('takes an upload of any content type', async () => {
    for (const type of ['application/json', 'application/x-www-form-urlencoded', 'text/plain']) {
      const body = '{"not": parsed'
      const put = await call('/v1/put', { method: 'POST', body, headers: { 'content-type': type } })
      assert.equal(((await put.json()) as { bytes: number }).bytes, body.length, type)
    }
  })

  it('waits for a slow reader, and stops reading when it goes', async () => {
    const reader = new AbortController()
    const response = await call(`/v1/get?link=${ENDLESS}`, { signal: reader.signal })
    assert.equal(response.status, 200)
    await settled(() => node.given())
    const given = node.given()
    assert.ok(given < 32 * 1024 * 1024, `${given} bytes were produced for nobody`)
    reader.abort()
  })

  it('breaks a stream that fails midway instead of ending it well', async () => {
    const response = await call(`/v1/get?link=${BROKEN}`)
    assert.equal(response.status, 200)
    await assert.rejects(response.arrayBuffer())
  })

  it('answers a link that leads nowhere with an error, not with a stream', async () => {
    assert.deepEqual(await refused(await call('/v1/get?link=cairn:none')), [404, 'notFound'])
  })

  it('keeps a bug’s text in the log', async () => {
    const response = await call('/v1/get?link=cairn:bug')
    const text = await response.text()
    assert.equal(response.status, 500)
    assert.doesNotMatch(text, /secret/)
    assert.match(JSON.stringify(errors.map(String)), /secret/)
  })

  it('sends a line for each packet that is bought, until the reader goes', async () => {
    const response = await call('/v1/packets?gateways=5,7&addresses=26000000/7')
    assert.equal(response.headers.get('content-type'), 'application/x-ndjson')
    assert(response.body !== null)
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader()
    let text = ''
    while (text.split('\n').length < 3) text += (await reader.read()).value ?? ''
    const lines = text.trim().split('\n')
    assert.deepEqual(
      lines.map(line => PurchaseShape.parse(JSON.parse(line)).failure?.gateway),
      [5, 7],
    )
    await reader.cancel()
    await until(() => node.buying() === 0)
    for (const wrong of ['', 'gateways=5&addresses=26/40', 'gateways=5&addresses=26000000/33']) {
      assert.equal((await call(`/v1/packets?${wrong}`)).status, 400)
    }
  })

  it('sends events as they happen', async () => {
    const response = await call('/v1/events')
    assert.equal(response.headers.get('content-type'), 'text/event-stream')
    assert(response.body !== null)
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader()
    node.emit({ type: 'checkpoint', at: 5, data: { epoch: 3, root: new Uint8Array(2), sum: 7n } })
    let text = ''
    while (!text.includes('data:')) text += (await reader.read()).value ?? ''
    const data = text.match(/^data: (.*)$/m)?.[1] ?? ''
    const event = EventShape.parse(JSON.parse(data))
    assert.deepEqual(event, {
      type: 'checkpoint',
      at: 5,
      data: { epoch: 3, root: '0000', sum: '7' },
    })
    assert.match(text, /^event: checkpoint$/m)
    await reader.cancel()
    await until(() => node.listeners() === 0)
  })

  it('ends event streams when it stops', async () => {
    const response = await call('/v1/events')
    await Promise.all([assert.rejects(response.text()), api.stop()])
    assert.equal(node.listeners(), 0)
  })

  it('begins a stop and says so', async () => {
    const response = await call('/v1/stop', { method: 'POST' })
    assert.equal(response.status, 202)
    await node.stopped
  })

  it('counts requests by route, never by what a stranger wrote', async () => {
    await call('/v1/peers')
    await call('/made/up/path')
    const text = await (await call('/metrics')).text()
    assert.match(text, /cairn_api_requests_total\{route="\/v1\/peers",status="200"\} 1/)
    assert.match(text, /cairn_api_requests_total\{route="none",status="404"\} 1/)
    assert.doesNotMatch(text, /made/)
  })

  it('refuses the port that another one holds', async () => {
    const components = {
      view: node.view,
      clock: systemClock(),
      log: logTo([]),
      metrics: node.metrics,
    }
    await assert.rejects(startApi(components, { port: api.port, token: TOKEN }), {
      code: 'apiPortTaken',
    })
  })

  describe('under attack', () => {
    it('refuses host names that a rebound DNS name would send', async () => {
      const good = [
        '127.0.0.1',
        `127.0.0.1:${api.port}`,
        'localhost',
        `LOCALHOST:${api.port}`,
        `[::1]:${api.port}`,
      ]
      for (const host of good) assert.equal(await statusFor(api, host), 200, host)
      const bad = [
        'evil.example',
        `evil.example:${api.port}`,
        '127.0.0.1:1',
        '127.0.0.1.evil.example',
        'localhost:',
      ]
      for (const host of bad) assert.equal(await statusFor(api, host), 403, host)
      assert.match(await raw(api, 'GET /health HTTP/1.0\r\n\r\n'), /^HTTP\/1.1 403/)
    })

    it('offers no cross-origin access', async () => {
      const origin = { origin: 'https://evil.example', 'access-control-request-method': 'GET' }
      const preflight = await call('/v1/status', { method: 'OPTIONS', headers: origin })
      assert.equal(preflight.status, 404)
      const plain = await call('/v1/status', { headers: { origin: 'https://evil.example' } })
      for (const response of [preflight, plain]) {
        assert.equal(response.headers.get('access-control-allow-origin'), null)
      }
    })

    it('takes one value for each parameter that is voted on', async () => {
      const twice = await call('/v1/votes/preview?set=baseShare=0.4,baseShare=0.35')
      const { error } = (await twice.json()) as { error: { code: string; message: string } }
      assert.equal(error.code, 'badParameter')
      assert.match(error.message, /^baseShare is given twice/)
    })

    it('refuses malformed parameters, naming each', async () => {
      const cases: [path: string, parameter: string][] = [
        ['/v1/epochs/-1', 'epoch'],
        ['/v1/epochs/1e3', 'epoch'],
        ['/v1/epochs/4294967296', 'epoch'],
        ['/v1/epochs/%00', 'epoch'],
        ['/v1/ledger?epoch=', 'epoch'],
        ['/v1/ledger', 'epoch'],
        ['/v1/ledger?epoch=1&epoch=2', 'epoch'],
        ['/v1/ledger?epoch=1&limit=0', 'limit'],
        ['/v1/ledger?epoch=1&limit=100000', 'limit'],
        ['/v1/ledger?epoch=1&__proto__[x]=1', ''],
        ['/v1/ledger/zz', 'id'],
        [`/v1/ledger/${'a'.repeat(63)}/proof`, 'id'],
        ['/v1/payouts/0x12/proof', 'account'],
        ['/v1/get', 'link'],
        [`/v1/get?link=${'a'.repeat(3000)}`, 'link'],
      ]
      for (const [path, parameter] of cases) {
        const response = await call(path)
        const { error } = ErrorShape.parse(await response.json())
        assert.deepEqual([response.status, error.code], [400, 'badRequest'], path)
        assert.equal(error.facts.parameter, parameter, path)
      }
      for (const amount of ['', '-1', '1.5', '0x10', '01', '1'.repeat(39)]) {
        for (const act of ['add', 'request']) {
          const path = `/v1/deposit/${act}?amount=${amount}`
          const response = await call(path, { method: 'POST' })
          assert.deepEqual(await refused(response), [400, 'badRequest'], path)
        }
      }
      const put = await call('/v1/put?total=999', { method: 'POST', body: 'x' })
      assert.deepEqual(await refused(put), [400, 'badRequest'])
      const half = await call('/v1/put?total=9', { method: 'POST', body: 'x' })
      assert.deepEqual(await refused(half), [400, 'badRequest'])
    })

    it('answers unknown routes and methods in its own shape', async () => {
      assert.deepEqual(await refused(await call('/v2/status')), [404, 'notFound'])
      assert.deepEqual(await refused(await call('/v1/stop')), [404, 'notFound'])
      assert.deepEqual(await refused(await call('/../etc/passwd')), [404, 'notFound'])
      assert.deepEqual(await refused(await call('/v1/%zz')), [400, 'badRequest'])
      assert.deepEqual(await refused(await call('/v1/epochs/77')), [404, 'notFound'])
    })

    it('says how far it is when asked for an epoch that is not accepted yet', async () => {
      const answer = await call(`/v1/storage/${EPOCH + 1}`)
      assert.equal(answer.status, 404)
      const { error } = (await answer.json()) as { error: { message: string; facts: unknown } }
      assert.match(error.message, /not accepted yet/)
      assert.deepEqual(error.facts, { epoch: EPOCH + 1, accepted: EPOCH })
    })

    it('refuses a body that is too large, and one that is not JSON', async () => {
      const large = 'x'.repeat(BODY_MAX_BYTES + 1)
      const json = { 'content-type': 'application/json' }
      const post = (body: string, headers: Record<string, string>) =>
        call('/v1/stop', { method: 'POST', body, headers })
      assert.deepEqual(await refused(await post(large, json)), [413, 'tooLarge'])
      assert.deepEqual(await refused(await post('{', json)), [400, 'badRequest'])
      assert.deepEqual(await refused(await post('<a/>', { 'content-type': 'text/xml' })), [
        415,
        'unsupportedMedia',
      ])
    })

    it('refuses what is not HTTP, and heads without end', async () => {
      assert.match(await raw(api, 'hello\r\n\r\n'), /^HTTP\/1.1 400 .*"code":"badRequest"/s)
      const long = `GET /health HTTP/1.1\r\nhost: 127.0.0.1\r\nx: ${'y'.repeat(64 * 1024)}\r\n\r\n`
      assert.match(await raw(api, long), /^HTTP\/1.1 400/)
    })

    it('drops a request whose body never ends', async () => {
      await reopen({ bodyTimeoutMs: 100 })
      const head = post(api, '/v1/stop', 'application/json', 1000)
      await raw(api, `${head}{`)
    })

    it('lets an answer take longer than a body may', async () => {
      await reopen({ bodyTimeoutMs: 50 })
      const { status, audit } = node.view
      const slowly = async <T>(answer: () => Promise<T>) => {
        await delay(200)
        return await answer()
      }
      Object.assign(node.view, {
        status: () => slowly(() => status.call(node.view)),
        audit: () => slowly(() => audit.call(node.view)),
      })
      assert.equal((await call('/v1/status')).status, 200)
      assert.equal((await call('/v1/audit', { method: 'POST' })).status, 200)
    })

    it('gives up an upload that stalls, and tells the node', async () => {
      await reopen({ streamIdleMs: 100 })
      const head = post(api, '/v1/put', 'application/octet-stream', 1000)
      const answer = await raw(api, `${head}some`)
      assert.match(answer, /^HTTP\/1.1 408 .*"code":"requestTimeout"/s)
      assert.deepEqual(node.failures.map(codeOf), ['requestTimeout'])
    })

    it('tells the node of an upload whose sender went away', async () => {
      const socket = connect(api.port, '127.0.0.1')
      socket.write(`${post(api, '/v1/put', 'application/octet-stream', 1000)}some`)
      await once(socket, 'connect')
      socket.end()
      await until(() => node.failures.length > 0)
      assert.deepEqual(node.failures.map(codeOf), ['badRequest'])
      assert.equal(node.puts.size, 0)
    })

    it('bounds the transfers and the event streams that are open at once', async () => {
      const readers = new AbortController()
      const { signal } = readers
      for (let i = 0; i < CONTENT_STREAMS_MAX; i++) {
        assert.equal((await call(`/v1/get?link=${ENDLESS}`, { signal })).status, 200)
      }
      const more = await call(`/v1/get?link=${ENDLESS}`)
      assert.deepEqual(await refused(more), [503, 'tooManyStreams'])
      for (let i = 0; i < EVENT_STREAMS_MAX; i++) {
        assert.equal((await call('/v1/events', { signal })).status, 200)
      }
      assert.deepEqual(await refused(await call('/v1/events')), [503, 'tooManyStreams'])
      readers.abort()
      await until(() => node.listeners() === 0)
      assert.equal((await call('/v1/pieces')).status, 200)
    })

    it('answers a flood with 429 and keeps serving the owner', async () => {
      const flood = await many(1_000, async () => {
        return await refused(await fetch(`${api.url}/v1/status`))
      })
      const statuses = new Set(flood.map(([status]) => status))
      assert.deepEqual([...statuses].sort(), [401, 429])
      const guesses = flood.filter(([status]) => status === 401).length
      assert.ok(guesses < 10 * ANONYMOUS_PER_SECOND, `${guesses} guesses were heard`)
      assert.equal((await call('/v1/status')).status, 200)
      const mine = await many(1_000, async () => (await call('/v1/peers')).status)
      assert.deepEqual([...new Set(mine)].sort(), [200, 429])
    })
  })
})

function logTo(errors: object[]): Log {
  const log: Log = {
    error: facts => void errors.push((facts as { err: object }).err),
    warn: () => undefined,
    info: () => undefined,
    debug: () => undefined,
    child: () => log,
  }
  return log
}

function codeOf(error: unknown): string {
  return (error as { code: string }).code
}

/** `size` zero bytes, made as they are taken. */
function zeros(size: number): ReadableStream<Uint8Array> {
  let left = size
  return new ReadableStream({
    pull(controller) {
      const chunk = new Uint8Array(Math.min(left, 64 * 1024))
      left -= chunk.length
      if (chunk.length === 0) return controller.close()
      controller.enqueue(chunk)
    },
  })
}

function post({ port }: Api, path: string, type: string, length: number): string {
  const head = [
    `POST ${path} HTTP/1.1`,
    `host: 127.0.0.1:${port}`,
    `authorization: Bearer ${TOKEN}`,
    `content-type: ${type}`,
    `content-length: ${length}`,
  ]
  return `${head.join('\r\n')}\r\n\r\n`
}

/** Sends bytes and resolves with all that came until the server closed. */
async function raw({ port }: Api, text: string): Promise<string> {
  const socket: Socket = connect(port, '127.0.0.1')
  socket.setEncoding('utf8')
  let answer = ''
  socket.on('data', data => {
    answer += data
  })
  socket.on('error', () => undefined)
  socket.write(text)
  await once(socket, 'close')
  return answer
}

/** Status of `/health` asked for under a host name; fetch does not let it be set. */
async function statusFor({ port }: Api, host: string): Promise<number | undefined> {
  const request = httpRequest({ port, host: '127.0.0.1', path: '/health', headers: { host } })
  request.end()
  const [response] = await once(request, 'response')
  response.resume()
  return response.statusCode
}

/** Runs a task so many times, fifty at once. */
async function many<T>(times: number, task: () => Promise<T>): Promise<T[]> {
  const results: T[] = []
  const workers = Array.from({ length: 50 }, async () => {
    for (let i = 0; i < times / 50; i++) results.push(await task())
  })
  await Promise.all(workers)
  return results
}

const POLL_MS = 10

async function until(condition: () => boolean): Promise<void> {
  const clock = systemClock()
  while (!condition()) await clock.until(clock.now() + POLL_MS)
}

/** Resolves when a number has stopped growing. */
async function settled(read: () => number): Promise<void> {
  const clock = systemClock()
  for (let before = -1; before !== read(); ) {
    before = read()
    await clock.until(clock.now() + 10 * POLL_MS)
  }
}
