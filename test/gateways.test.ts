import { strict as assert } from 'node:assert'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Daemon, parseManifest, startDaemon, systemClock } from '@cairn/node'
import { deriveKeys, hex, mnemonicOf } from '@cairn/protocol'
import { RadioField, silentLog, testnetCells, VirtualForwarder } from '@cairn/testnet'
import { manifestOf } from '../packages/cli/test/manifest.ts'

const SEED = new Uint8Array(32).fill(3)
const WORDS = mnemonicOf(new Uint8Array(32).fill(5))
const EUIS = ['0016c001f00d0001', '0016c001f00d0002', '0016c001f00d0003']

describe('a daemon with three gateways', function () {
  this.timeout(300_000)

  const manifest = parseManifest(manifestOf())
  const clock = systemClock()
  const gateways = testnetCells(EUIS.length, SEED).map((at, place) => ({ name: `g${place}`, at }))
  const field = new RadioField({ clock }, { seed: SEED, gateways })
  let directory: string
  let daemon: Daemon
  let forwarders: VirtualForwarder[]

  const start = async () => {
    daemon = await startDaemon({
      dataDir: join(directory, 'node'),
      manifest,
      manifestDir: directory,
      keys: deriveKeys(WORDS),
      listen: ['/ip4/127.0.0.1/tcp/0'],
      apiPort: 0,
      radio: {
        host: '127.0.0.1',
        port: 0,
        gateways: EUIS.map((eui, key) => ({
          ...(key === 0 ? {} : { keys: deriveKeys(WORDS, key) }),
          eui,
        })),
      },
      colocationWeight: 0,
      privateAddresses: true,
      log: silentLog,
    })
    forwarders = EUIS.map((eui, place) => {
      const server = { host: '127.0.0.1', port: daemon.gwmpPort as number }
      return new VirtualForwarder({ clock, field }, { gateway: `g${place}`, eui, server })
    })
    for (const forwarder of forwarders) await forwarder.start()
  }
  const stop = async () => {
    for (const forwarder of forwarders) await forwarder.stop()
    await daemon.stop()
  }
  const radios = async () => (await daemon.view.status()).radios
  const online = async () => (await radios()).map(radio => radio.online)
  const until = async (wanted: readonly boolean[]) => {
    while (String(await online()) !== String(wanted)) await sleep(100)
  }

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'cairn-gateways-'))
    await start()
  })
  after(async () => {
    await stop()
    await rm(directory, { recursive: true, force: true })
  })

  it('hears each under the key of its own, and tells of each what it lacks', async () => {
    await until([true, true, true])
    const shown = await radios()
    assert.deepEqual(
      shown.map(({ identity, eui }) => [hex(identity), eui]),
      EUIS.map((eui, key) => [hex(deriveKeys(WORDS, key).identity.publicKey), eui]),
    )
    assert.deepEqual(
      daemon.node.seats.map(({ signer }) => hex(signer.identity)),
      shown.map(({ identity }) => hex(identity)),
    )
    for (const { lacks } of shown) {
      assert.deepEqual(
        lacks.map(({ code }) => code),
        ['unregistered'],
      )
    }
  })

  it('goes on with the others when one falls silent', async () => {
    await forwarders[1]?.stop()
    await until([true, false, true])
    const { radios: shown, health } = await daemon.view.status()
    assert.equal(shown[1]?.lacks[0]?.code, 'silentForwarder')
    assert.equal(health.find(({ code }) => code === 'radio')?.severity, 'warning')
  })

  it('knows them again after a restart', async () => {
    const before = (await radios()).map(({ identity, eui }) => [hex(identity), eui])
    await stop()
    await start()
    await until([true, true, true])
    assert.deepEqual(
      (await radios()).map(({ identity, eui }) => [hex(identity), eui]),
      before,
    )
  })
})
