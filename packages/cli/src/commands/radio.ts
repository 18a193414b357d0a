import { lookup } from 'node:dns/promises'
import { CairnError } from '@cairn/protocol'
import type { FieldTally, ServedGateway } from '@cairn/testnet'
import { EXIT_CODES } from '../exit-codes.ts'
import type { Commands } from '../run.ts'
import { positive, whole, within } from './numbers.ts'

interface FieldOptions {
  gateways: number
  seed: number
  server: string
  area: number
  model: string
  cheats: string
  traffic?: string
  gps?: boolean
  seconds?: number
}

/** What keeps a server from answering. */
const HINT =
  ': is it its UDP port, and does it know these EUIs (of a Cairn daemon radio.eui, radio.gateways)?'
/** A server that runs has acknowledged the first keep-alives by then, ms. */
const ANSWER_MS = 3_000

export function radioCommand({ program, action }: Commands): void {
  const radio = program.command('radio').description('radios, real and emulated')
  radio
    .command('field')
    .description('serve virtual packet forwarders in an emulated air to any GWMP server')
    .option('--gateways <n>', 'how many, 1 to 512', within(1, 512), 50)
    .option('--seed <n>', 'what places, EUIs and the air follow from', whole, 1)
    .option('--server <host:port>', 'GWMP server that all of them speak to', '127.0.0.1:1680')
    .option('--area <km>', 'side of the square that they are in, 5 to 1000', within(5, 1_000), 10)
    .option(
      '--model <name>',
      'oulu, free, hata-city, hata-large-city, hata-suburb or hata-open',
      'oulu',
    )
    .option(
      '--cheats <kind=n,...>',
      'how many of them cheat, and how: ring=5,mute=1; at most --gateways',
      '',
    )
    .option(
      '--traffic <spec>',
      'end devices that send: up to 10000 as devices=20,every=60 (s, 6 at least)',
    )
    .option('--gps', 'honest gateways know GPS time')
    .option('--seconds <n>', 'end after so long; otherwise at Ctrl-C', positive)
    .action(
      action(async ({ output, signal }, options: FieldOptions) => {
        const { ServedField, modelNamed, parseCheats, parseTraffic } = await import(
          '@cairn/testnet'
        )
        const { systemClock } = await import('@cairn/node')
        const clock = systemClock()
        const { gateways, seed, area: km, gps = false, seconds } = options
        const { devices, everyS } =
          options.traffic === undefined ? { devices: 0, everyS: 60 } : parseTraffic(options.traffic)
        const field = new ServedField(
          { clock },
          {
            gateways,
            seed,
            server: await serverAt(options.server),
            km,
            model: modelNamed(options.model),
            cheats: parseCheats(options.cheats),
            devices,
            everyS,
            gps,
          },
        )
        for (const gateway of field.gateways) output.result(gateway, gatewayText(gateway))
        for (const device of field.devices) {
          const { device: name, devAddr, spreadingFactor, lat, lng } = device
          output.result(device, `${name}  ${devAddr}  SF${spreadingFactor}  ${lat}, ${lng}`)
        }
        try {
          await field.start()
          output.note(`${gateways} packet forwarders speak to ${options.server}; Ctrl-C ends them`)
          const asked = clock.at(clock.now() + ANSWER_MS, () => {
            const { answered } = field.tally()
            output.note(
              `the server answers ${answered} of ${gateways}${answered < gateways ? HINT : ''}`,
            )
          })
          const end = seconds === undefined ? undefined : clock.now() + seconds * 1_000
          await ended(signal, end === undefined ? undefined : resolve => clock.at(end, resolve))
          asked.cancel()
        } finally {
          await field.stop()
        }
        output.result({ summary: field.tally() }, tallyText(field.tally()))
        if (field.tally().answered > 0) return undefined
        output.note(`no answer came from ${options.server}${HINT}`)
        return EXIT_CODES.failed.code
      }),
    )
}

/** Errors: `usage`, `unknownHost`. */
async function serverAt(text: string): Promise<{ host: string; port: number }> {
  const found = /^(?:\[([0-9a-f:]+)\]|([^:[\]]+)):(\d{1,5})$/i.exec(text)
  const port = Number(found?.[3])
  if (found === null || port < 1 || port > 65_535) {
    throw new CairnError('usage', `'${text}' is no host and port`, {
      facts: { server: text },
      next: 'write host:port, as in 127.0.0.1:1680',
    })
  }
  const name = (found[1] ?? found[2]) as string
  try {
    const { address } = await lookup(name, { order: 'ipv4first' })
    return { host: address, port }
  } catch (cause) {
    throw new CairnError('unknownHost', `there is no host ${name}`, { facts: { name }, cause })
  }
}

/** Resolves when somebody asks for the end, or the time has come. */
function ended(
  signal: AbortSignal,
  timed: ((resolve: () => void) => { cancel(): void }) | undefined,
): Promise<void> {
  return new Promise(resolve => {
    const end = () => {
      timer?.cancel()
      signal.removeEventListener('abort', end)
      resolve()
    }
    const timer = timed?.(end)
    if (signal.aborted) return end()
    signal.addEventListener('abort', end, { once: true })
  })
}

function gatewayText({ gateway, eui, cell, truth, apart, cheat }: ServedGateway): string {
  const place = `${truth.lat.toFixed(5)}, ${truth.lng.toFixed(5)}`
  const what = cheat === null ? 'honest' : cheat
  const moved = apart > MOVED_M ? `, ${(apart / 1_000).toFixed(1)} km from its cell` : ''
  return `${gateway.padEnd(6)} ${eui}  ${cell}  ${place}  ${what}${moved}`
}

/** A cell of resolution 12 has its corners 10 m from its centre. */
const MOVED_M = 20

function tallyText(tally: FieldTally): string {
  return Object.entries(tally)
    .map(([name, count]) => `${name} ${count}`)
    .join('  ')
}
