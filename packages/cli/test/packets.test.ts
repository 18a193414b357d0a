import { strict as assert } from 'node:assert'
import { Writable } from 'node:stream'
import { accountLines, provenText } from '../src/commands/earnings.ts'
import { packetTeller } from '../src/commands/packets.ts'

function sink(lines: string[]): Writable {
  return new Writable({
    write(chunk, _, done) {
      lines.push(String(chunk))
      done()
    },
  })
}

describe('cairn packets buy', () => {
  it('tells the failure of a gateway once, until it changes or the gateway sells', () => {
    const [out, err] = [[], []] as [string[], string[]]
    const tell = packetTeller({ stdout: sink(out), stderr: sink(err) })
    const fail = (gateway: number, code: string) =>
      tell({ failure: { gateway, code, message: 'why' } })
    for (let i = 0; i < 5; i++) fail(1, 'unreachable')
    fail(2, 'unreachable')
    fail(1, 'notCovered')
    fail(1, 'notCovered')
    tell({ packet: { gateway: 1 } as never })
    fail(1, 'notCovered')
    assert.deepEqual(
      err.map(line => line.split(':').slice(0, 2).join()),
      ['gateway 1, unreachable', 'gateway 2, unreachable'].concat(
        Array.from({ length: 2 }, () => 'gateway 1, notCovered'),
      ),
    )
    assert.equal(out.length, 1)
  })
})

describe('cairn earnings', () => {
  it('shows coverage in units and fees in tokens', () => {
    assert.equal(provenText('coverage', String(3n << 31n)), '1.500 units')
    assert.equal(provenText('storage', '1500000000000000000'), '1.500000')
  })

  it('shows each part to the last digit below the sum of its account', () => {
    const account = {
      account: '0a'.repeat(20),
      since: { earned: '5000000000000000000', spent: '0' },
    }
    const lines = accountLines({
      ...account,
      earned: '1500000000000000001',
      parts: [
        { source: 'storage', node: 3, earned: '1500000000000000000', proven: '0', served: '0' },
        { source: 'landing', earned: '1' },
      ],
    })
    assert.deepEqual(lines, [
      `0x${'0a'.repeat(20)}  earned 1.500000000000000001, since genesis 5`,
      '  storage   node 3     1.5  proven 0.000000, served 0.000000: all of it for checking others',
      '  landing              0.000000000000000001',
    ])
  })
})
