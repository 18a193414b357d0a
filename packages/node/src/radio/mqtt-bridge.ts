/**
 * Hands the LoRaWAN uplinks that a daemon's gateways hear to a network server behind an MQTT broker,
 * and sends its downlinks, as a ChirpStack gateway bridge does. Beacons of this network are not
 * LoRaWAN and stay here.
 */
import { CairnError, invariant, isBeaconFrame } from '@cairn/protocol'
import type { Clock, Log, TransmitResult } from '../ports.ts'
import { Broker, type BrokerInit, type BrokerStatus } from './broker.ts'
import {
  ackEvent,
  commandTopic,
  type Downlink,
  eventTopic,
  readDownlink,
  regionTopic,
  statsEvent,
  TX_STATUSES,
  type TxStatus,
  uplinkEvent,
} from './chirpstack.ts'
import type { Gateway } from './gateway.ts'
import type { GwmpServer } from './gwmp-server.ts'
import type { HeardPacket, HeardStat } from './heard.ts'
import { readUplink } from './lorawan.ts'
import { RareWarnings } from './rare-warnings.ts'

/** Downlinks of all gateways that are being tried; a radio sends one frame at a time. */
export const DOWNLINKS_MAX = 64

const U32 = 2 ** 32

/** Counts what is handed on: `event` is `up`, `stats`, `ack` or `down`. */
export type CountEvent = (
  name: 'mqtt_events_total',
  labels: { event: string; outcome: string },
) => void

export interface MqttBridgeComponents {
  clock: Clock
  log: Log
  server: Pick<GwmpServer, 'gateways' | 'onPacket' | 'onStat'>
  count: CountEvent
}

export interface MqttBridgeInit extends BrokerInit {
  /** What topics begin with, instead of the name of each gateway's regional plan. */
  prefix?: string
}

export class MqttBridge {
  readonly #components: MqttBridgeComponents
  readonly #prefix: string | undefined
  readonly #broker: Broker
  readonly #warnings: RareWarnings
  readonly #stopped = new AbortController()
  readonly #sending = new Set<Promise<void>>()
  #stopListening: (() => void)[] = []
  #uplinks = 0

  constructor(components: MqttBridgeComponents, { prefix, ...init }: MqttBridgeInit) {
    const { clock, log, count } = components
    this.#components = components
    this.#prefix = prefix
    this.#warnings = new RareWarnings({ clock, log })
    const counted = (outcome: string) => count('mqtt_events_total', { event: 'all', outcome })
    this.#broker = new Broker({ clock, log, count: counted }, init)
  }

  async start(): Promise<void> {
    const { server } = this.#components
    for (const { eui } of server.gateways) if (eui !== undefined) this.#obey(eui)
    this.#stopListening = [
      server.onPacket(heard => this.#heard(heard)),
      server.onStat(heard => this.#reported(heard)),
    ]
    await this.#broker.start()
  }

  async stop(): Promise<void> {
    for (const stop of this.#stopListening.splice(0)) stop()
    this.#stopped.abort()
    await Promise.all(this.#sending)
    await this.#broker.stop()
  }

  status(): BrokerStatus {
    return this.#broker.status()
  }

  #heard(heard: HeardPacket): void {
    const { packet, eui } = heard
    const outcome = leftOut(packet)
    this.#count('up', outcome ?? 'ok')
    if (outcome !== undefined) return
    this.#obey(eui)
    this.#uplinks = (this.#uplinks + 1) % U32
    this.#broker.publish(
      eventTopic(this.#region(eui), eui, 'up'),
      uplinkEvent(heard, this.#uplinks),
    )
  }

  #reported(heard: HeardStat): void {
    this.#obey(heard.eui)
    this.#count('stats', 'ok')
    this.#broker.publish(eventTopic(this.#region(heard.eui), heard.eui, 'stats'), statsEvent(heard))
  }

  /** Takes commands for a gateway: from the first word of its forwarder where it was not named. */
  #obey(eui: string): void {
    this.#broker.subscribe(commandTopic(this.#region(eui), eui), payload =>
      this.#command(eui, payload),
    )
  }

  #command(eui: string, payload: Uint8Array): void {
    try {
      const downlink = readDownlink(payload)
      const sending = this.#transmit(eui, downlink).finally(() => this.#sending.delete(sending))
      this.#sending.add(sending)
    } catch (error) {
      if (!(error instanceof CairnError)) throw error
      this.#count('down', error.code)
      this.#warnings.warn(error.code, { eui }, error.message)
    }
  }

  async #transmit(eui: string, downlink: Downlink): Promise<void> {
    const statuses: TxStatus[] = downlink.items.map(() => 'IGNORED')
    const gateway = this.#gatewayOf(eui)
    for (const [place, item] of downlink.items.entries()) {
      const status = await this.#try(gateway, item)
      statuses[place] = status
      if (status === 'OK') break
    }
    if (this.#stopped.signal.aborted) return
    this.#count('down', statuses.find(status => status !== 'IGNORED') ?? 'IGNORED')
    const topic = eventTopic(this.#region(eui), eui, 'ack')
    this.#broker.publish(topic, ackEvent(eui, downlink.id, statuses))
  }

  async #try(gateway: Gateway | undefined, item: Downlink['items'][number]): Promise<TxStatus> {
    if (gateway === undefined) return 'INTERNAL_ERROR'
    if (this.#sending.size > DOWNLINKS_MAX) return 'QUEUE_FULL'
    try {
      return statusOf(await gateway.sendDownlink(item, this.#stopped.signal))
    } catch (err) {
      if (!this.#stopped.signal.aborted) {
        this.#warnings.warn('downlink', { err, eui: gateway.eui }, 'a downlink failed')
      }
      return 'INTERNAL_ERROR'
    }
  }

  #gatewayOf(eui: string): Gateway | undefined {
    return this.#components.server.gateways.find(other => other.eui === eui)
  }

  #region(eui: string): string {
    const plan = this.#gatewayOf(eui)?.plan
    invariant(plan !== undefined, 'only gateways of the server are heard')
    return this.#prefix ?? regionTopic(plan)
  }

  #count(event: string, outcome: string): void {
    this.#components.count('mqtt_events_total', { event, outcome })
  }
}

function statusOf(result: TransmitResult): TxStatus {
  if (result.sent) return 'OK'
  if (result.reason === 'dutyCycle') return 'DUTY_CYCLE_OVERFLOW'
  return TX_STATUSES.find(status => status === result.word) ?? 'INTERNAL_ERROR'
}

/** Why a packet is not handed on; undefined: it is. */
function leftOut({ payload, crc }: HeardPacket['packet']): string | undefined {
  if (crc !== 'ok') return 'badCrc'
  if (isBeaconFrame(payload)) return 'beacon'
  return readUplink(payload) === undefined ? 'notLorawan' : undefined
}
