import { dirname } from 'node:path'
import type { Daemon, DaemonOptions } from '@cairn/node'
import { acquireLock } from '@cairn/node/lock'
import { check, deriveKeys, PIECE_PAYLOAD_MAX } from '@cairn/protocol'
import { chainSettingsOf } from '../chain-settings.ts'
import { gatewaysOf } from '../config/gateways.ts'
import type { Values } from '../config/keys.ts'
import { pinoLog } from '../log.ts'
import { readManifest } from '../manifest.ts'
import type { Commands } from '../run.ts'
import { readSeed } from '../seed.ts'
import type { Session } from '../session.ts'
import { healthLine } from './status.ts'

export function startCommand({ program, action }: Commands): void {
  program
    .command('start')
    .description('run the daemon until Ctrl-C')
    .action(
      action(async session => {
        await start(session)
        return undefined
      }),
    )
}

async function start(session: Session): Promise<void> {
  const { world, output, signal } = session
  const { values, origin } = await session.config()
  const { dataDir } = values
  const mnemonic = await readSeed(dataDir)
  const text = await readManifest(values.network)
  // A second's worth of modules: only the daemon itself pays for them.
  const { isWithinSite, parseManifest, startDaemon } = await import('@cairn/node')
  const manifest = parseManifest(text)
  const privateAddresses =
    origin['p2p.privateAddresses'] === 'default'
      ? isWithinSite(manifest.bootstrap)
      : values['p2p.privateAddresses']
  const log = pinoLog({
    level: values.logLevel,
    json: output.json || world.stderr.isTTY !== true,
    stream: world.stderr,
  })
  const lock = await acquireLock(dataDir, world.pid)
  try {
    const daemon = await startDaemon({
      ...settingsOf({ ...values, 'p2p.privateAddresses': privateAddresses }, mnemonic),
      dataDir,
      manifest,
      manifestDir: dirname(values.network),
      keys: deriveKeys(mnemonic),
      log,
    })
    const stop = () => void daemon.stop()
    signal.addEventListener('abort', stop)
    if (signal.aborted) stop()
    await lock.publish(daemon.api)
    await announce(session, daemon)
    await daemon.stopped
    signal.removeEventListener('abort', stop)
  } finally {
    await lock.release()
  }
}

async function announce({ output }: Session, daemon: Daemon): Promise<void> {
  const { name, peerId, account, addresses, index, reasons } = await daemon.view.status()
  const address = `0x${Buffer.from(account).toString('hex')}`
  const { url, tokenPath } = daemon.api
  output.result(
    { name, peerId, account: address, index, addresses, api: { url, tokenPath } },
    [
      output.style('bold', name),
      `  peer id    ${peerId}`,
      `  account    ${address}`,
      ...addresses.map((multiaddr, i) => `  ${i === 0 ? 'addresses' : '         '}  ${multiaddr}`),
      `  API        ${url}`,
      `  token      ${tokenPath}`,
      '',
      ...reasons.map(reason => healthLine(output, reason)),
    ].join('\n'),
  )
}

type Settings = Omit<DaemonOptions, 'dataDir' | 'manifest' | 'manifestDir' | 'keys' | 'log'>

/** Peers behind one address weigh less where addresses are scarce; inside a site they all do. */
const COLOCATION_WEIGHT = -5

function settingsOf(values: Values, mnemonic: string): Settings {
  const longestDeal = values['storage.longestDeal']
  const accessKeyId = values['storage.s3AccessKeyId']
  const quotaBytes = values['storage.quota']
  const heard = values['radio.mqtt.url'] === '' || values['radio.port'] !== 0
  check(heard, 'badConfig', 'radio.mqtt.url is set, but no radio whose uplinks to hand on', {
    next: 'set radio.port, or take radio.mqtt.url away',
  })
  const volumes = [
    ...(quotaBytes === 0 ? [] : [{ location: values['storage.directory'], quotaBytes }]),
    ...values['storage.volumes'],
  ]
  return {
    listen: values['p2p.listen'],
    announce: values['p2p.announce'],
    bootstrap: values['p2p.bootstrap'],
    apiPort: values['api.port'],
    privateAddresses: values['p2p.privateAddresses'],
    colocationWeight: values['p2p.privateAddresses'] ? 0 : COLOCATION_WEIGHT,
    ...chainSettingsOf(values),
    ...(volumes.length === 0
      ? {}
      : {
          storage: {
            volumes,
            scrubDays: values['scrub.days'],
            ...(accessKeyId === ''
              ? {}
              : {
                  keys: {
                    accessKeyId,
                    secretAccessKey: values['storage.s3SecretAccessKey'],
                    region: values['storage.s3Region'],
                  },
                }),
            pricePerGiB: values['storage.price'],
            largestPiece: Math.min(values['storage.largestPiece'], PIECE_PAYLOAD_MAX),
            ...(longestDeal === 0 ? {} : { longestDeal }),
          },
        }),
    client: {
      maxPrice: values['client.maxPrice'],
      releaseProviders: values['client.releaseProviders'],
    },
    ...(values['radio.port'] === 0
      ? {}
      : {
          radio: {
            host: values['radio.host'],
            port: values['radio.port'],
            gateways: gatewaysOf(values).map(({ key, eui, region, gain }) => ({
              ...(key === 0 ? {} : { keys: deriveKeys(mnemonic, key) }),
              ...(eui === undefined ? {} : { eui }),
              plan: region,
              gain,
            })),
            ...(values['radio.mqtt.url'] === '' ? {} : { mqtt: mqttOf(values) }),
          },
        }),
  }
}

function mqttOf(values: Values) {
  const prefix = values['radio.mqtt.prefix']
  const username = values['radio.mqtt.username']
  const password = values['radio.mqtt.password']
  return {
    url: values['radio.mqtt.url'],
    ...(prefix === '' ? {} : { prefix }),
    ...(username === '' ? {} : { username }),
    ...(password === '' ? {} : { password }),
  }
}
