import { strict as assert } from 'node:assert'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { drandRelays, type Log } from '@cairn/node'
import { DRAND_SIGNATURE_BYTES, hex } from '@cairn/protocol'

const ROUND = 5
const SIGNATURE = new Uint8Array(DRAND_SIGNATURE_BYTES).fill(3)
const ANSWER = JSON.stringify({ round: ROUND, signature: hex(SIGNATURE) })

const quiet = () => undefined
/** Of relays whose deadline passed, or that failed otherwise. */
const missed: object[] = []
const log: Log = {
  error: quiet,
  warn: quiet,
  info: quiet,
  debug: facts => void missed.push(facts),
  child: () => log,
}

describe('randomness relays', () => {
  const servers: Server[] = []

  async function relay(answer: RequestListener): Promise<string> {
    const server = createServer(answer)
    servers.push(server)
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  }

  afterEach(async () => {
    missed.length = 0
    for (const server of servers.splice(0)) {
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
    }
  })

  const honest: RequestListener = (_, response) => response.end(ANSWER)
  const ask = async (...answers: RequestListener[]) => {
    const urls = await Promise.all(answers.map(relay))
    return await drandRelays({ log }, { urls }).round(ROUND, AbortSignal.timeout(10_000))
  }

  it('give the signature of a round', async () => {
    assert.deepEqual(await ask(honest), SIGNATURE)
  })

  it('are passed over when they have not the round, or say something else', async () => {
    const early: RequestListener = (_, response) => {
      response.statusCode = 425
      response.end('too early')
    }
    assert.equal(await ask(early), undefined)
    assert.deepEqual(await ask(early, (_, response) => response.end('{}'), honest), SIGNATURE)
  })

  it('are passed over for what is no answer: no JSON, another round, a short or spoiled signature', async () => {
    const says = (text: string) => ask((_, response) => response.end(text), honest)
    for (const text of [
      '',
      'not JSON',
      '[]',
      JSON.stringify({ round: ROUND + 1, signature: hex(SIGNATURE) }),
      JSON.stringify({ round: String(ROUND), signature: hex(SIGNATURE) }),
      JSON.stringify({ round: ROUND, signature: hex(SIGNATURE).slice(2) }),
      JSON.stringify({ round: ROUND, signature: 'zz'.repeat(DRAND_SIGNATURE_BYTES) }),
    ]) {
      assert.deepEqual(await says(text), SIGNATURE, text)
    }
  })

  it('are passed over when they cannot be reached, or do not answer in time', async () => {
    const silent = await relay(() => {})
    const gone = await relay(honest)
    const server = servers.pop()
    await new Promise(resolve => server?.close(resolve))
    const urls = [gone, silent, await relay(honest)]
    const found = await drandRelays({ log }, { urls }).round(ROUND, AbortSignal.timeout(10_000))
    assert.deepEqual(found, SIGNATURE)
  })

  it('are given up when the caller gives up', async () => {
    const urls = [await relay(() => {}), await relay(() => {})]
    const controller = new AbortController()
    const asked = drandRelays({ log }, { urls }).round(ROUND, controller.signal)
    controller.abort()
    assert.equal(await asked, undefined)
  })

  it('are read no further than an answer is long', async () => {
    let written = 0
    let closed = false
    const endless: RequestListener = (_, response) => {
      const part = Buffer.alloc(1024, ' ')
      const more = () => {
        while (!closed && response.write(part)) written += part.length
      }
      response.on('drain', more)
      response.on('close', () => {
        closed = true
      })
      more()
    }
    const announced: RequestListener = (_, response) => {
      response.setHeader('content-length', 10_000_000)
      response.flushHeaders()
    }
    assert.deepEqual(await ask(endless, announced, honest), SIGNATURE)
    assert.deepEqual(missed, [], 'neither is waited for until its deadline')
    assert.ok(written < 16 * 1024 * 1024)
  })
})
