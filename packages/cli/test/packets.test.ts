import { strict as assert } from 'node:assert'
import { Writable } from 'node:stream'
import { provenText } from '../src/commands/earnings.ts'
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
})
