/** A packet's way between real daemons: heard by one, bought by another's command, and paid. */
import { strict as assert } from 'node:assert'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { ServiceView } from '@cairn/node'
import { equalBytes } from '@cairn/protocol'
import { cairn, jsonOf, spawnCairn } from '../packages/cli/test/process.ts'
import { RawForwarder } from '../packages/node/test/radio/world.ts'
import { sharedTestnet, until } from './network.ts'

const PAYLOAD = Buffer.from('40f17dbe4900020001954378762b11ff0d', 'hex')
const PAID_MS = 60_000

describe('packets of a gateway', function () {
  this.timeout(180_000)
  const network = sharedTestnet()

  it('are bought by a command, and paid in a checkpoint', async () => {
    const { testnet, file } = network()
    const seller = testnet.daemon('node1')
    const { index, radios } = await seller.view.status()
    const [radio] = radios
    assert.ok(index !== undefined && radio?.eui !== undefined)
    const dataDir = file.nodes.find(({ name }) => name === 'node4')?.dataDir
    assert.ok(dataDir !== undefined)
    const buying = spawnCairn(['packets', 'buy', '--data-dir', dataDir, '--gateway', String(index)])
    const ended = once(buying, 'close')
    const forwarder = await RawForwarder.open(seller.gwmpPort as number)
    try {
      const lines = createInterface(buying.stdout)[Symbol.asyncIterator]()
      const rxpk = {
        payload: PAYLOAD,
        frequency: 868_300_000,
        modulation: { name: 'LORA', spreadingFactor: 7, bandwidth: 125 },
        rssi: -970,
        snr: 75,
        tmst: 7,
        crc: 'ok',
      } as const
      const head = { version: 2, token: 1, id: 'pushData', eui: radio.eui, foreign: 0 } as const
      await forwarder.say({ ...head, rxpk: [rxpk] })
      const { value } = await lines.next()
      const { at, ...packet } = JSON.parse(value ?? '{}')
      assert.equal(typeof at, 'number')
      assert.deepEqual(packet, {
        gateway: index,
        payload: PAYLOAD.toString('hex'),
        type: 2,
        address: '49be7df1',
        frequency: 868_300_000,
        spreadingFactor: 7,
        bandwidth: 125,
        rssi: -97,
        snr: 7.5,
      })
      const service = () => cairn(['service', '--data-dir', dataDir, '--json'])
      const paid = await until(
        PAID_MS,
        async () => jsonOf<{ bought: { packets: string; paid: string }[] }>(await service()).bought,
        bought => bought[0]?.paid === '1',
      )
      assert.equal(paid[0]?.packets, '1')
      const sold: ServiceView['sold'] = (await seller.view.service()).sold
      assert.deepEqual(
        sold.map(({ gateway, receipted, paid: settled, unpaid }) => [
          gateway,
          receipted,
          settled,
          unpaid,
        ]),
        [[index, 1n, 1n, 0]],
      )
      assert.ok(sold.every(({ server }) => !equalBytes(server, new Uint8Array(32))))
    } finally {
      buying.kill('SIGINT')
      await ended
      await forwarder.close()
    }
    assert.deepEqual(testnet.monitor.violations, [], 'sums are exact')
  })
})
