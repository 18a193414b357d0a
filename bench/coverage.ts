/**
 * What cheats earn beside honest gateways, by the rules of this network and by Helium's last ones on
 * the same receptions; and how long judging an epoch takes.
 *
 * Each line is the mean of five towns of 200 gateways, 20 % of which cheat. Earnings are shares of one
 * pot, as payouts are, over the last rounds of a full window. An honest gateway is found out, wrongly,
 * or a cheat rightly, when its factor is below a half; by Helium's rules when it earns nothing.
 */
import {
  ABSENT_LEVEL,
  type Anchors,
  demodulationLimit,
  densityScales,
  encodeLevel,
  freeSpaceLoss,
  HEARINGS_MAX,
  type HeardBeacon,
  type HeardFrame,
  hex,
  judgeAll,
  judgeClose,
  judgeFar,
  judgeGraph,
  judgeLoud,
  judgeSnr,
  sensitivity,
  sha256,
  spreadingOf,
  UNREVEALED,
  WITNESSES_MAX,
  witnessUnits,
} from '@cairn/protocol'
import { FIELD_CHEATS } from '@cairn/testnet'
import { cellToParent, gridDistance } from 'h3-js'
import {
  cheatingTown,
  crowd,
  GAIN,
  type Gateway,
  type Reception,
  type Town,
  type Transmission,
} from './coverage-field.ts'
import { type Group, type Line, time } from './measure.ts'

const SEEDS = [1, 2, 3, 4, 5]
const GATEWAYS = 200
const SHARE = 0.2
const ROUND_EPOCHS = 6
/** 168 epochs: the window. */
const ROUNDS = 28
/** Earnings are counted over the last rounds. */
const COUNTED_ROUNDS = 4
const ANCHORS = 10
const FREQUENCY = 868_100_000
/** Helium's reciprocity, epochs. */
const RECIPROCITY_EPOCHS = 48
const PPM = 1_000_000

export const coverage: Group = async function* run() {
  for (const kind of [...FIELD_CHEATS, 'mixed'] as const) {
    const kinds = kind === 'mixed' ? FIELD_CHEATS : [kind]
    const shape = { gateways: GATEWAYS, share: SHARE, rounds: ROUNDS, roundEpochs: ROUND_EPOCHS }
    const towns = SEEDS.map(seed => cheatingTown({ ...shape, seed, kinds }))
    yield* lines(kind, towns.map(judge), towns)
    yield* lines(kind, towns.map(judgeAsHelium), towns, 'helium.')
  }
  yield* judging()
}

interface Judged {
  /** By node, in any unit. */
  readonly earnings: ReadonlyMap<number, number>
  readonly found: ReadonlySet<number>
}

function* lines(
  kind: string,
  judged: readonly Judged[],
  towns: readonly Town[],
  prefix = '',
): Generator<Line> {
  const sums = { kept: 0, cheat: 0, found: 0, right: 0, cheats: 0 }
  for (const [at, { gateways }] of towns.entries()) {
    const { earnings, found } = judged[at] as Judged
    const mean = (list: readonly Gateway[]) =>
      list.reduce((sum, { node }) => sum + (earnings.get(node) ?? 0), 0) / list.length
    const honest = gateways.filter(({ cheat }) => cheat === undefined)
    const cheats = gateways.filter(({ cheat }) => cheat !== undefined)
    const share = mean(cheats) / mean(honest)
    sums.kept += honest.length / (honest.length + cheats.length * share) / towns.length
    sums.cheat += share / towns.length
    sums.found += found.size
    sums.right += cheats.filter(({ node }) => found.has(node)).length
    sums.cheats += cheats.length
  }
  const precision = sums.found === 0 ? 0 : sums.right / sums.found
  yield { name: `${prefix}honest.${kind}`, value: sums.kept, unit: 'share kept' }
  yield { name: `${prefix}cheat.${kind}`, value: sums.cheat, unit: 'of an honest' }
  yield { name: `${prefix}precision.${kind}`, value: precision, unit: 'share' }
  yield { name: `${prefix}recall.${kind}`, value: sums.right / sums.cheats, unit: 'share' }
}

function judge({ gateways, transmissions }: Town): Judged {
  const passed = transmissions.map(sent => ({
    sent,
    heard: sent.receptions.filter(reception => passes(sent, reception)),
  }))
  const honest = gateways.filter(({ cheat }) => cheat === undefined)
  const scores = judgeGraph({
    window: passed.map(({ sent, heard }) => remembered(sent, heard)),
    gateways: gateways.map(({ node, cell }) => ({ index: node, cell })),
    anchors: named(honest.slice(0, ANCHORS)),
  })
  const factor = (node: number, as: 'beaconing' | 'witnessing') => scores.get(node)?.[as] ?? PPM
  const found = gateways.filter(
    ({ node }) => factor(node, 'beaconing') + factor(node, 'witnessing') < PPM,
  )
  return {
    earnings: earningsOf(gateways, passed, (node, as) => factor(node, as) / PPM),
    found: new Set(found.map(({ node }) => node)),
  }
}

function named(gateways: readonly { node: number }[]): Anchors {
  return { named: gateways.map(({ node }) => node), service: new Map() }
}

function remembered(sent: Transmission, heard: readonly Reception[]): HeardBeacon {
  const { epoch, beaconer, power, revealed } = sent
  const drawn = byHash(sent, heard).slice(0, HEARINGS_MAX)
  return {
    epoch,
    beaconer,
    power: revealed ? encodeLevel(power) : UNREVEALED,
    hearings: drawn
      .map(({ witness, level, distance }) => ({
        witness,
        loss: power + GAIN - level,
        noise: ABSENT_LEVEL,
        spreading: spreadingOf(distance),
      }))
      .sort((a, b) => a.witness - b.witness),
  }
}

function passes({ spreadingFactor, power }: Transmission, reception: Reception): boolean {
  const { level, snr, distance } = reception
  const link = {
    distance,
    slack: 0,
    loss: freeSpaceLoss(distance, FREQUENCY),
    sent: power + GAIN,
    sensitivity: sensitivity({ spreadingFactor, bandwidth: 125 }),
    snrLimit: demodulationLimit(spreadingFactor),
  }
  const rssi = encodeLevel(level)
  const heard = { rssi, rssis: rssi, snr: encodeLevel(snr) } as HeardFrame
  const { reason } = judgeAll([
    () => judgeClose(link),
    () => judgeFar(link),
    () => judgeLoud(heard, link),
    () => judgeSnr(heard, link),
  ])
  return reason === 'ok'
}

interface Passed {
  readonly sent: Transmission
  readonly heard: readonly Reception[]
}

/** HIP-15 units of the last rounds, times density, times the factor of each. */
function earningsOf(
  gateways: readonly Gateway[],
  passed: readonly Passed[],
  factor: (node: number, as: 'beaconing' | 'witnessing') => number,
): Map<number, number> {
  const scales = densityScales(new Map(gateways.map(({ node, cell }) => [node, cell])))
  const earnings = new Map<number, number>()
  const add = (node: number, units: bigint, as: 'beaconing' | 'witnessing') => {
    const earned = Number(units) * Number(scales.get(node) ?? 0n) * factor(node, as)
    earnings.set(node, (earnings.get(node) ?? 0) + earned)
  }
  for (const { sent, heard } of passed) {
    if (sent.epoch < (ROUNDS - COUNTED_ROUNDS) * ROUND_EPOCHS) continue
    const drawn = byHash(sent, heard).slice(0, WITNESSES_MAX)
    const units = witnessUnits(drawn.length)
    add(sent.beaconer, units.beacon, 'beaconing')
    for (const { witness } of drawn) add(witness, units.witness, 'witnessing')
  }
  return earnings
}

function byHash({ epoch, beaconer }: Transmission, heard: readonly Reception[]): Reception[] {
  return heard
    .map(reception => {
      const words = new Uint32Array([epoch, beaconer, reception.witness])
      return { reception, hash: hex(sha256(new Uint8Array(words.buffer))) }
    })
    .sort((a, b) => (a.hash < b.hash ? -1 : 1))
    .map(({ reception }) => reception)
}

/** Helium's last rules: no louder than free space, 8 cells apart, 100 km, the first 14, 48 h. */
function judgeAsHelium({ gateways, transmissions }: Town): Judged {
  const cells = gateways.map(({ cell }) => cellToParent(cell.toString(16), 11))
  const passed = transmissions.map(sent => {
    const heard = sent.receptions.filter(({ witness, level, distance }) => {
      if (distance > 100_000) return false
      if (level > sent.power + GAIN - freeSpaceLoss(distance, FREQUENCY)) return false
      return gridDistance(cells[sent.beaconer] as string, cells[witness] as string) >= 8
    })
    const first = [...heard].sort((a, b) => a.arrival - b.arrival).slice(0, WITNESSES_MAX)
    return { sent, heard: first }
  })
  const beaconing = new Set<number>()
  const witnessing = new Set<number>()
  for (const { sent, heard } of passed) {
    if (sent.epoch < ROUNDS * ROUND_EPOCHS - RECIPROCITY_EPOCHS) continue
    if (heard.length > 0) beaconing.add(sent.beaconer)
    for (const { witness } of heard) witnessing.add(witness)
  }
  const earnings = earningsOf(gateways, passed, (node, as) =>
    Number((as === 'beaconing' ? witnessing : beaconing).has(node)),
  )
  const found = gateways.filter(({ node }) => (earnings.get(node) ?? 0) === 0)
  return { earnings, found: new Set(found.map(({ node }) => node)) }
}

/** An epoch in which every gateway beacons to 14 witnesses, after a full window of such rounds. */
async function* judging(): AsyncGenerator<Line> {
  for (const count of [1_000, 10_000]) {
    const { gateways, transmissions } = crowd({
      gateways: count,
      witnesses: WITNESSES_MAX,
      rounds: ROUNDS,
      roundEpochs: ROUND_EPOCHS,
    })
    const window = transmissions.map(sent => remembered(sent, sent.receptions))
    const last = transmissions.slice(-count)
    const anchors = named(gateways.slice(0, ANCHORS))
    const ms = await time(() => {
      const passed = last.map(sent => ({
        sent,
        heard: sent.receptions.filter(reception => passes(sent, reception)),
      }))
      const registered = gateways.map(({ node, cell }) => ({ index: node, cell }))
      const scores = judgeGraph({ window, gateways: registered, anchors })
      earningsOf(gateways, passed, (node, as) => (scores.get(node)?.[as] ?? PPM) / PPM)
    })
    yield { name: `judge.${count}`, value: ms / 1_000, unit: 's' }
  }
}
