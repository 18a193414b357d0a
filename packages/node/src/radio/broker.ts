/**
 * One connection to an MQTT broker. What is said while the broker is away waits in a bounded queue,
 * of which the oldest gives way; what is on its way when the connection breaks is sent again.
 */
import type { MqttClient } from 'mqtt'
import type { Clock, Log } from '../ports.ts'
import { RareWarnings } from './rare-warnings.ts'

/** Messages that wait for the broker: an hour of a gateway that hears one frame a second. */
export const EVENTS_WAITING_MAX = 4_096
/** Messages handed to the broker that it has not acknowledged. */
const UNACKNOWLEDGED_MAX = 64
/** Between attempts to reach the broker, and for one of them, ms. */
const RECONNECT_MS = 2_000
const CONNECT_MS = 10_000

export interface BrokerComponents {
  clock: Clock
  log: Log
  /** `sent`, or `dropped` for want of room. */
  count(outcome: 'sent' | 'dropped'): void
}

export interface BrokerInit {
  /** `mqtt`, `mqtts`, `ws` or `wss`. */
  url: string
  username?: string
  password?: string
}

export interface BrokerStatus {
  connected: boolean
  /** Messages that wait, and those that gave way since the start. */
  waiting: number
  dropped: number
}

interface Message {
  topic: string
  payload: string
}

export class Broker {
  readonly #components: BrokerComponents
  readonly #init: BrokerInit
  readonly #warnings: RareWarnings
  readonly #waiting: Message[] = []
  readonly #subscriptions = new Map<string, (payload: Uint8Array) => void>()
  #client: MqttClient | undefined
  #unacknowledged = 0
  #dropped = 0

  constructor(components: BrokerComponents, init: BrokerInit) {
    this.#components = components
    this.#init = init
    this.#warnings = new RareWarnings(components)
  }

  /** Begins to connect; does not wait for the broker. */
  async start(): Promise<void> {
    if (this.#client !== undefined) return
    const { url, username, password } = this.#init
    const { log } = this.#components
    // Only a daemon that has a broker pays for the module.
    const { default: mqtt } = await import('mqtt')
    const client = mqtt.connect(url, {
      reconnectPeriod: RECONNECT_MS,
      connectTimeout: CONNECT_MS,
      resubscribe: false,
      ...(username === undefined ? {} : { username }),
      ...(password === undefined ? {} : { password }),
    })
    this.#client = client
    client.on('connect', () => {
      log.info({}, 'the MQTT broker answers')
      for (const topic of this.#subscriptions.keys()) this.#ask(client, topic)
      this.#send()
    })
    client.on('message', (topic, payload) => this.#subscriptions.get(topic)?.(payload))
    client.on('error', err => this.#warnings.warn('mqtt', { err }, 'the MQTT broker is away'))
    client.on('close', () => {
      if (client === this.#client) this.#warnings.warn('mqtt', {}, 'the MQTT broker is away')
    })
  }

  /** What waits is lost. */
  async stop(): Promise<void> {
    const client = this.#client
    this.#client = undefined
    await client?.endAsync(true)
  }

  status(): BrokerStatus {
    return {
      connected: this.#client?.connected ?? false,
      waiting: this.#waiting.length + this.#unacknowledged,
      dropped: this.#dropped,
    }
  }

  publish(topic: string, payload: string): void {
    this.#waiting.push({ topic, payload })
    if (this.#waiting.length > EVENTS_WAITING_MAX) {
      this.#waiting.shift()
      this.#dropped++
      this.#components.count('dropped')
    }
    this.#send()
  }

  /** One listener per topic; without wildcards. */
  subscribe(topic: string, listener: (payload: Uint8Array) => void): void {
    const known = this.#subscriptions.has(topic)
    this.#subscriptions.set(topic, listener)
    if (!known && this.#client?.connected) this.#ask(this.#client, topic)
  }

  #ask(client: MqttClient, topic: string): void {
    client.subscribe(topic, { qos: 1 }, err => {
      if (err) this.#warnings.warn('subscribe', { err, topic }, 'the broker refuses a topic')
    })
  }

  #send(): void {
    const client = this.#client
    while (client?.connected && this.#unacknowledged < UNACKNOWLEDGED_MAX) {
      const message = this.#waiting.shift()
      if (message === undefined) return
      this.#unacknowledged++
      client.publish(message.topic, message.payload, { qos: 1 }, err => {
        this.#unacknowledged--
        if (err) this.#warnings.warn('publish', { err }, 'the broker refuses an event')
        else this.#components.count('sent')
        this.#send()
      })
    }
  }
}
