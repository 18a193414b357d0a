import { strict as assert } from 'node:assert'
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CairnError } from '@cairn/protocol'
import {
  askTestnet,
  ControlServer,
  controlToken,
  type Fault,
  testnetDown,
  testnetFault,
  testnetStatus,
  writeTestnetFile,
} from '@cairn/testnet'
import { fileOf } from './testnet-file.ts'

const BODY_MAX_BYTES = 64 * 1024

const STATUS = { network: '00', genesis: 9, nodes: [], violations: [] }

describe('the control of a testnet', () => {
  let dataDir = ''
  let token = ''
  let url = ''
  let server: ControlServer
  let faults: { fault: Fault; nodes: readonly string[] }[]
  let downs: number

  beforeEach(async () => {
    faults = []
    downs = 0
    dataDir = await mkdtemp(join(tmpdir(), 'cairn-control-'))
    const tokenPath = join(dataDir, 'control.token')
    token = await controlToken(tokenPath)
    server = new ControlServer(
      {
        target: {
          async fault(fault, nodes) {
            if (nodes.includes('nobody')) {
              throw new CairnError('unknownNode', 'no node is called nobody', {
                facts: { known: 'node1' },
                next: 'name another',
              })
            }
            faults.push({ fault, nodes })
            return { fault, nodes }
          },
          status: async () => STATUS,
          down: () => {
            downs++
            setTimeout(() => rm(join(dataDir, 'testnet.json')), 50)
          },
        },
      },
      { token },
    )
    url = await server.listen()
    await writeTestnetFile(dataDir, fileOf({ control: { url, tokenPath } }))
  })
  afterEach(async () => {
    await server.stop()
    await rm(dataDir, { recursive: true, force: true })
  })

  async function post(path: string, body: string, authorization = `Bearer ${token}`) {
    const response = await fetch(url + path, { method: 'POST', headers: { authorization }, body })
    const { error } = (await response.json()) as { error?: { code: string } }
    return { status: response.status, code: error?.code }
  }

  it('passes faults, status and the wish to end on', async () => {
    assert.deepEqual(await testnetStatus(dataDir), STATUS)
    const answer = await testnetFault(dataDir, 'rpc-down', ['node1', 'node2'])
    assert.deepEqual(answer, { fault: 'rpc-down', nodes: ['node1', 'node2'] })
    assert.deepEqual(faults, [answer])
    await testnetDown(dataDir, new AbortController().signal)
    assert.equal(downs, 1)
    await assert.rejects(stat(join(dataDir, 'testnet.json')))
  })

  it('keeps its token to the owner', async () => {
    const { mode } = await stat(join(dataDir, 'control.token'))
    assert.equal(mode & 0o777, 0o600)
  })

  it('does nothing for who lacks the token', async () => {
    for (const authorization of ['', 'Bearer', `Bearer ${'0'.repeat(64)}`, token]) {
      assert.deepEqual(await post('/down', '', authorization), {
        status: 401,
        code: 'unauthorized',
      })
    }
    assert.equal(downs, 0)
  })

  it('refuses what is no request', async () => {
    const refused = ['', 'null', '{"fault":"melt","nodes":[]}', '{"fault":"stop"}', '{"fault":1']
    for (const body of refused) {
      assert.deepEqual(await post('/fault', body), { status: 400, code: 'badRequest' }, body)
    }
    const many = { fault: 'stop', nodes: Array.from({ length: 257 }, () => 'node1') }
    assert.equal((await post('/fault', JSON.stringify(many))).code, 'badRequest')
    assert.deepEqual(await post('/melt', ''), { status: 404, code: 'notFound' })
    assert.deepEqual(faults, [])
  })

  it('reads a body up to its limit', async () => {
    const most = JSON.stringify({ fault: 'stop', nodes: ['node1'] }).padEnd(BODY_MAX_BYTES)
    assert.equal((await post('/fault', most)).status, 200)
    assert.deepEqual(await post('/fault', `${most} `), { status: 413, code: 'tooLarge' })
  })

  it('gives an error back as it was thrown', async () => {
    await assert.rejects(testnetFault(dataDir, 'stop', ['nobody']), {
      code: 'unknownNode',
      message: 'no node is called nobody',
      facts: { known: 'node1' },
      next: 'name another',
    })
    await assert.rejects(testnetFault(dataDir, 'melt', ['node1']), { code: 'usage' })
  })

  it('says when nobody answers where one should', async () => {
    await server.stop()
    await assert.rejects(askTestnet(dataDir, 'GET', '/status'), { code: 'noTestnet' })
    await writeFile(join(dataDir, 'testnet.json'), '{')
    await assert.rejects(askTestnet(dataDir, 'GET', '/status'), { code: 'badTestnetFile' })
  })

  it('stops while a client keeps its connection', async () => {
    const open = request(`${url}/fault`, { method: 'POST' })
    const failed = new Promise(resolve => open.once('error', resolve))
    open.write('{')
    await new Promise<void>(resolve => open.once('socket', s => s.once('connect', () => resolve())))
    await server.stop()
    assert.ok(await failed)
    await server.stop()
  })
})
