/** What a chain's endpoint over HTTP may do to `ledger verify`. */
import { strict as assert } from 'node:assert'
import { once } from 'node:events'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { CairnError } from '@cairn/protocol'
import { rpcEndpoint } from '../src/rpc.ts'

describe('an endpoint of `ledger verify`', () => {
  let server: Server | undefined
  let calls = 0

  beforeEach(() => {
    calls = 0
  })
  afterEach(() => {
    server?.closeAllConnections()
    server?.close()
  })

  async function endpoint(answer: RequestListener, stop = new AbortController().signal) {
    server = createServer((request, response) => {
      calls++
      answer(request, response)
    })
    await once(server.listen(0, '127.0.0.1'), 'listening')
    const { port } = server.address() as AddressInfo
    return rpcEndpoint(`http://127.0.0.1:${port}/secret`, stop)
  }
  const refusal = async (call: Promise<unknown>) => {
    const error = await call.then(
      () => assert.fail('it answers'),
      (reason: unknown) => reason,
    )
    assert.ok(error instanceof CairnError, String(error))
    assert.doesNotMatch(error.message, /secret/)
    return error.code
  }

  it('that limits the rate, by status or in JSON, is asked again after a while', async () => {
    const error = { code: -32_005, message: 'too many requests' }
    const request = await endpoint((_, response) => {
      if (calls === 1) response.writeHead(429).end('slower')
      else response.end(JSON.stringify(calls === 2 ? { error } : { result: '0x1' }))
    })
    assert.equal(await request('eth_chainId', []), '0x1')
    assert.equal(calls, 3)
  })

  it('is waited for no longer than its user does', async () => {
    const stop = new AbortController()
    const request = await endpoint((_, response) => {
      response.writeHead(429).end(() => stop.abort(new CairnError('interrupted', 'stopped')))
    }, stop.signal)
    assert.equal(await refusal(request('eth_chainId', [])), 'interrupted')
    assert.equal(calls, 1)
  })

  it('that answers without end is left', async () => {
    const part = 'x'.repeat(64 * 1024)
    const request = await endpoint((_, response) => {
      const more = () => {
        while (!response.destroyed && response.write(part));
        response.once('drain', more)
      }
      more()
    })
    assert.equal(await refusal(request('eth_chainId', [])), 'badRpc')
  })

  it('that refuses is not asked again, and one that hangs up has not answered', async () => {
    const refuses = await endpoint((_, response) =>
      response.end(JSON.stringify({ error: { code: 3, message: 'no' } })),
    )
    assert.equal(await refusal(refuses('eth_call', [])), 'rpcRefused')
    assert.equal(calls, 1)
    server?.close()
    const hangs = await endpoint(request => request.destroy())
    assert.equal(await refusal(hangs('eth_call', [])), 'chainUnavailable')
  })
})
