import { strict as assert } from 'node:assert'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { RpcGate } from '../src/rpc-gate.ts'

describe('RPC gate', () => {
  let chain: Server
  let gate: RpcGate
  let url: string
  /** Bodies that the chain got. */
  let asked: string[]
  /** Set: the chain does not answer. */
  let silent: boolean

  beforeEach(async () => {
    asked = []
    silent = false
    chain = createServer(async (incoming, outgoing) => {
      const body = await text(incoming)
      asked.push(body)
      chain.emit('asked')
      if (silent) return
      outgoing.writeHead(body === 'bad' ? 429 : 200, { 'x-node': 'anvil' }).end(`answer ${body}`)
    })
    await new Promise<void>(resolve => chain.listen({ host: '127.0.0.1', port: 0 }, resolve))
    gate = new RpcGate(`http://127.0.0.1:${(chain.address() as AddressInfo).port}`)
    url = await gate.listen()
  })
  afterEach(async () => {
    await gate.stop()
    chain.closeAllConnections()
    await new Promise<void>(resolve => chain.close(() => resolve()))
  })

  const ask = (body: string) => fetch(url, { method: 'POST', body })

  it('passes requests and answers on as they are', async () => {
    const good = await ask('block')
    assert.deepEqual(
      [good.status, good.headers.get('x-node'), await good.text()],
      [200, 'anvil', 'answer block'],
    )
    const long = 'x'.repeat(300_000)
    assert.equal(await (await ask(long)).text(), `answer ${long}`)
    assert.equal((await ask('bad')).status, 429)
    assert.equal(gate.open, true)
  })

  it('answers nobody while it is closed, and everybody again', async () => {
    gate.setOpen(false)
    assert.equal(gate.open, false)
    await assert.rejects(ask('block'))
    assert.deepEqual(asked, [])
    gate.setOpen(true)
    assert.equal(await (await ask('block')).text(), 'answer block')
  })

  it('breaks off what is under way when it closes', async () => {
    silent = true
    const reached = new Promise(resolve => chain.once('asked', resolve))
    const waiting = assert.rejects(ask('slow'))
    await reached
    gate.setOpen(false)
    await waiting
  })

  it('breaks off when the chain does', async () => {
    silent = true
    const reached = new Promise(resolve => chain.once('asked', resolve))
    const waiting = assert.rejects(ask('slow'))
    await reached
    chain.closeAllConnections()
    await waiting
  })

  it('stops while requests are under way, and twice', async () => {
    silent = true
    const reached = new Promise(resolve => chain.once('asked', resolve))
    const waiting = assert.rejects(ask('slow'))
    await reached
    await gate.stop()
    await waiting
    await gate.stop()
    await assert.rejects(ask('block'))
  })
})
