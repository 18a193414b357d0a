/**
 * Semtech's packet forwarder in C (`lora_pkt_fwd` of the sx1302 HAL), as far as its server sees it:
 * two connected sockets with a thread's habits each, JSON printed field by field, and a PULL_RESP
 * read in its order, dropped in silence where a field is missing. It shares no code with the server.
 * Its time is the bench's: `run` moves the clock and does what is due.
 */
import { randomInt } from 'node:crypto'
import { createSocket, type Socket } from 'node:dgram'
import { EventEmitter, once } from 'node:events'
import type { SystemClock } from '@cairn/node'

const KEEP_ALIVE_MS = 10_000
const STAT_MS = 30_000
const FETCH_MAX = 255
const CODING_RATES = ['4/5', '4/6', '2/3', '4/7', '4/8', '2/4', '1/2']

export interface CForwarderInit {
  port: number
  eui: string
  clock: SystemClock
  version?: 1 | 2
  /** Powers of its table, ascending, dBm. */
  powers?: readonly number[]
  antennaGain?: number
}

export interface CPacket {
  tmst: number
  freq: number
  datr: string | number
  rssi: number
  rssis?: number
  lsnr?: number
  stat?: number
  payload: Uint8Array
}

/** A downlink as it was asked for: the JSON of `txpk`. */
export type CDownlink = Record<string, unknown>

export class CForwarder {
  /** What came on each socket, by the id of the datagram. */
  readonly upIds: number[] = []
  readonly downIds: number[] = []
  readonly queued: CDownlink[] = []
  /** The mandatory field for want of which each dropped downlink was dropped. */
  readonly dropped: string[] = []
  /** Counters of its `stat`. */
  sent = 0
  acknowledged = 0
  pulls = 0
  pullAcknowledged = 0
  /** The word with which its queue refuses the next downlinks. */
  refusing: string | undefined
  /** Fields that get lost on the way to it. */
  losing: readonly string[] = []
  /** Downlinks are not answered until `release`. */
  holding = false

  readonly #init: Required<CForwarderInit>
  readonly #events = new EventEmitter()
  readonly #held: (() => void)[] = []
  #up: Socket
  #down: Socket
  #now = 0
  #offset = 0
  #pullDue = 0
  #statDue = STAT_MS

  private constructor(init: Required<CForwarderInit>, up: Socket, down: Socket) {
    this.#init = init
    this.#up = up
    this.#down = down
  }

  static async open(init: CForwarderInit): Promise<CForwarder> {
    const powers = Array.from({ length: 16 }, (_, i) => 12 + i)
    const all = { version: 2 as const, antennaGain: 0, powers, ...init }
    const forwarder = new CForwarder(all, await connect(all.port), await connect(all.port))
    forwarder.#up.on('message', bytes => forwarder.#takeUp(bytes))
    forwarder.#down.on('message', bytes => forwarder.#takeDown(bytes))
    return forwarder
  }

  get downPort(): number {
    return this.#down.address().port
  }

  /** Lets `ms` go by: keep-alives and statistics go out when they are due, and are answered. */
  async run(ms: number): Promise<void> {
    const end = this.#now + ms
    while (Math.min(this.#pullDue, this.#statDue) <= end) {
      this.#move(Math.min(this.#pullDue, this.#statDue))
      if (this.#pullDue <= this.#now) await this.#pull()
      if (this.#statDue <= this.#now) {
        this.#statDue += STAT_MS
        await this.push([], { withStat: true })
      }
    }
    this.#move(end)
  }

  /** Silence: time goes by and nothing is sent. */
  sleep(ms: number): void {
    this.#move(this.#now + ms)
    this.#pullDue = this.#now
    this.#statDue = this.#now + STAT_MS
  }

  /** One fetch of the concentrator, in one datagram; resolves once it is acknowledged. */
  async push(
    packets: readonly CPacket[],
    { withStat = false, bytes = 0 }: { withStat?: boolean; bytes?: number } = {},
  ): Promise<void> {
    if (packets.length > FETCH_MAX) throw new RangeError('a fetch gives at most 255 packets')
    const parts: string[] = []
    if (packets.length > 0) parts.push(`"rxpk":[${packets.map(printPacket).join()}]`)
    if (withStat) parts.push(this.#printStat())
    const token = randomInt(0x1_0000)
    const body = `{${parts.join()}}`
    const datagram = this.#datagram(0, token, body)
    const filled = Buffer.concat([
      datagram,
      Buffer.alloc(Math.max(0, bytes - datagram.length), ' '),
    ])
    const acknowledged = once(this.#events, `push${token}`)
    this.sent++
    this.#up.send(filled)
    await acknowledged
  }

  /** Its process is started again: both sockets have new ports. */
  async restart(): Promise<void> {
    await this.#closeSockets()
    this.#up = await connect(this.#init.port)
    this.#down = await connect(this.#init.port)
    this.#up.on('message', bytes => this.#takeUp(bytes))
    this.#down.on('message', bytes => this.#takeDown(bytes))
    this.#pullDue = this.#now
  }

  /** Resolves with the next downlink that it read to the end, or the field that was missing. */
  async next(): Promise<CDownlink | string> {
    const [seen] = await once(this.#events, 'downlink')
    return seen
  }

  /** Answers what was held, the last first. */
  release(): void {
    this.holding = false
    for (const answer of this.#held.splice(0).reverse()) answer()
  }

  async close(): Promise<void> {
    await this.#closeSockets()
  }

  async #closeSockets(): Promise<void> {
    const sockets = [this.#up, this.#down]
    await Promise.all(sockets.map(s => new Promise<void>(resolve => s.close(resolve))))
  }

  #move(to: number): void {
    this.#offset += to - this.#now
    this.#now = to
    this.#init.clock.setOffset(this.#offset)
  }

  async #pull(): Promise<void> {
    this.#pullDue += KEEP_ALIVE_MS
    const token = randomInt(0x1_0000)
    const acknowledged = once(this.#events, `pull${token}`)
    this.pulls++
    this.#down.send(this.#datagram(2, token, ''))
    await acknowledged
  }

  #datagram(id: number, token: number, body: string): Buffer {
    const head = Buffer.from([this.#init.version, token >> 8, token & 0xff, id])
    return Buffer.concat([head, Buffer.from(this.#init.eui, 'hex'), Buffer.from(body)])
  }

  #takeUp(bytes: Buffer): void {
    this.upIds.push(bytes[3] as number)
    if (bytes.length < 4 || bytes[0] !== this.#init.version || bytes[3] !== 1) return
    this.acknowledged++
    this.#events.emit(`push${bytes.readUInt16BE(1)}`)
  }

  #takeDown(bytes: Buffer): void {
    this.downIds.push(bytes[3] as number)
    if (bytes.length < 4 || bytes[0] !== this.#init.version) return
    if (bytes[3] === 4) {
      this.pullAcknowledged++
      this.#events.emit(`pull${bytes.readUInt16BE(1)}`)
    }
    if (bytes[3] === 3) this.#takeResponse(bytes)
  }

  #takeResponse(bytes: Buffer): void {
    const { txpk } = JSON.parse(bytes.subarray(4).toString('utf8'))
    for (const field of this.losing) delete txpk[field]
    const missing = missingField(txpk)
    if (missing !== undefined) {
      this.dropped.push(missing)
      this.#events.emit('downlink', missing)
      return
    }
    const answer = () => this.#answer(bytes.readUInt16BE(1), txpk)
    if (this.holding) this.#held.push(answer)
    else answer()
    this.#events.emit('downlink', txpk)
  }

  /** Version 1 has no TX_ACK. */
  #answer(token: number, txpk: CDownlink): void {
    if (this.refusing === undefined) this.queued.push(txpk)
    if (this.#init.version === 1) return
    this.#down.send(this.#datagram(5, token, this.#verdict(txpk)))
  }

  #verdict({ powe }: CDownlink): string {
    if (this.refusing !== undefined) return `{"txpk_ack":{"error":"${this.refusing}"}}`
    const asked = Number(powe) - this.#init.antennaGain
    const { powers } = this.#init
    const used = powers.findLast(power => power <= asked) ?? (powers[0] as number)
    return used === asked ? '' : `{"txpk_ack":{"warn":"TX_POWER","value":${used}}}`
  }

  #printStat(): string {
    const time = new Date(this.#init.clock.now()).toISOString().slice(0, 19).replace('T', ' ')
    const ackr = this.sent === 0 ? 0 : (100 * this.acknowledged) / this.sent
    return (
      `"stat":{"time":"${time} GMT","lati":46.24000,"long":3.25230,"alti":145,"rxnb":2,"rxok":2,` +
      `"rxfw":2,"ackr":${ackr.toFixed(1)},"dwnb":${this.queued.length},"txnb":0,"temp":23.2}`
    )
  }
}

/** As C prints it: numbers of fixed width, base64 without padding. */
function printPacket({ payload, ...packet }: CPacket): string {
  const { tmst, freq, datr, rssi, rssis, lsnr, stat = 1 } = packet
  const data = Buffer.from(payload).toString('base64').replace(/=+$/, '')
  const lora =
    typeof datr === 'string'
      ? `"modu":"LORA","datr":"${datr}","codr":"4/5","lsnr":${(lsnr ?? 0).toFixed(1)},"foff":-12`
      : `"modu":"FSK","datr":${datr}`
  const signal = rssis === undefined ? '' : `"rssis":${rssis.toFixed(0)},`
  return (
    `{"jver":1,"tmst":${tmst},"chan":0,"rfch":0,"freq":${freq.toFixed(6)},"mid": 8,"stat":${stat},` +
    `${lora},${signal}"rssi":${rssi.toFixed(0)},"size":${payload.length},"data":"${data}"}`
  )
}

/** The first mandatory field that is not there, in the order in which the original looks. */
function missingField(txpk: CDownlink): string | undefined {
  if (txpk.imme !== true && typeof txpk.tmst !== 'number' && typeof txpk.tmms !== 'number') {
    return 'tmst'
  }
  if (typeof txpk.freq !== 'number') return 'freq'
  if (typeof txpk.rfch !== 'number') return 'rfch'
  if (txpk.modu !== 'LORA' && txpk.modu !== 'FSK') return 'modu'
  if (txpk.modu === 'LORA') {
    if (!/^SF\d{1,2}BW\d{3}$/.test(String(txpk.datr))) return 'datr'
    if (!CODING_RATES.includes(String(txpk.codr))) return 'codr'
  }
  if (typeof txpk.size !== 'number') return 'size'
  return typeof txpk.data === 'string' ? undefined : 'data'
}

async function connect(port: number): Promise<Socket> {
  const socket = createSocket('udp4')
  socket.connect(port, '127.0.0.1')
  await once(socket, 'connect')
  return socket
}
