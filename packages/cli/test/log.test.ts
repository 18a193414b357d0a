import { strict as assert } from 'node:assert'
import { PassThrough } from 'node:stream'
import { pinoLog } from '../src/log.ts'

function logged(json: boolean, level = 'info') {
  const stream = new PassThrough({ encoding: 'utf8' })
  return { log: pinoLog({ level, json, stream }), read: () => String(stream.read() ?? '') }
}

describe('log', () => {
  it('writes one JSON object per line, with bytes and big integers as text', () => {
    const { log, read } = logged(true)
    log.child({ part: 'chain' }).warn({ root: Uint8Array.of(1, 255), amount: 2n ** 70n }, 'hello')
    const { time, ...line } = JSON.parse(read()) as Record<string, unknown>
    assert.match(String(time), /^\d{4}-\d\d-\d\dT/)
    assert.deepEqual(line, {
      level: 40,
      part: 'chain',
      root: '01ff',
      amount: '1180591620717411303424',
      msg: 'hello',
    })
  })

  it('keeps what is below its level to itself', () => {
    const { log, read } = logged(true, 'warn')
    log.info({}, 'no')
    log.debug({}, 'no')
    assert.equal(read(), '')
  })

  it('hides secrets, wherever they stand', () => {
    const { log, read } = logged(true)
    log.error({ mnemonic: 'abandon', keys: { secret: 'abandon' }, token: 'abandon' }, 'oops')
    const text = read()
    assert.equal(text.includes('abandon'), false)
    assert.equal(text.match(/\[secret\]/g)?.length, 3)
  })

  it('is a line for people on a terminal, whose cursor no peer moves', () => {
    const { log, read } = logged(false)
    log.warn({ peer: '12D3KooW', said: '\x1b[2J\nroot#', count: 3 }, 'a peer spoke')
    assert.match(
      read(),
      /^\d\d:\d\d:\d\d warn {2}a peer spoke peer=12D3KooW said="\\u001b\[2J\\nroot#" count=3\n$/,
    )
    log.error({ err: new Error('broken') }, 'failed')
    assert.match(read(), /error failed\n {2}Error: broken\n {6}at /)
  })
})
