import { strict as assert } from 'node:assert'
import type { Reception } from '@cairn/node'
import {
  type Beacon,
  beaconPlan,
  COVERAGE,
  type Commit,
  CoverageReason,
  decodeEvidence,
  decodeLevel,
  FRAME_TYPE,
  FRAMES_MAX,
  MessageType,
  NO_REVEAL,
  ownRound,
  type RegistryEntry,
  type Report,
  slotStart,
  slotsOf,
  transmissionSlots,
  Verdict,
} from '@cairn/protocol'
import { chainOf } from '../../../../protocol/test/kinds/coverage/network.ts'
import { World, type WorldInit } from './world.ts'

const PLACES = Array.from({ length: 12 }, (_, at) => 1_000 * (at + 1))
const LAST_SLOT = 11

describe('coverage in a node', () => {
  let world: World

  async function begin(init: Partial<WorldInit> = {}): Promise<World> {
    world = new World({ places: PLACES, ...init })
    await world.start()
    return world
  }

  /** Asks in the challenge's own slot and returns it with its slots. */
  async function ask(order = 0) {
    const output = new Uint8Array(96).fill(5)
    const author = world.base.duty(COVERAGE, 0).challengers[order] as number
    const head = { epoch: 8, base: world.base.tag, kind: COVERAGE, author }
    const slots = slotsOf({ ...head, target: 0, output }, world.base)
    await world.to(slots.challenge, 250)
    return { challenge: world.ask(order), slots }
  }

  const slotsOfType = (type: MessageType) => [...new Set(world.of(type).map(({ slot }) => slot))]

  function frame(change: Partial<Reception> = {}): Reception {
    return {
      payload: new Uint8Array(25).fill(FRAME_TYPE),
      frequency: 868_100_000,
      spreadingFactor: 7,
      bandwidth: 125,
      rssi: -1_000,
      snr: 50,
      tmst: 1,
      at: world.clock.now(),
      ...change,
    }
  }

  afterEach(() => world.stop())

  it('carries a beacon from its challenge to a settlement with every neighbour', async () => {
    await begin()
    const { slots } = await ask()
    await world.to(LAST_SLOT)
    assert.deepEqual(slotsOfType(MessageType.commit), [slots.commit])
    assert.deepEqual(slotsOfType(MessageType.beacon), [slots.reveal])
    assert.deepEqual(slotsOfType(MessageType.report), [slots.reveal])
    const { verdicts } = world.settle()
    assert.equal(verdicts[0]?.reason, 'ok')
    assert.deepEqual(
      verdicts[0]?.parts?.map(({ node, reason }) => [node, reason]),
      PLACES.map((_, at) => [at + 1, 'ok']),
    )
    assert.equal(verdicts[0]?.agreeing.length, world.base.duty(COVERAGE, 0).verifiers.length)
  })

  it('transmits what follows from output and nonce, at its time in the slot', async () => {
    await begin()
    const { challenge, slots } = await ask()
    await world.to(LAST_SLOT)
    const gateway = world.base.node(0) as RegistryEntry
    const nonce = chainOf(0).nonce(ownRound(gateway, world.base))
    const { output } = challenge.value
    const plan = beaconPlan({ output, nonce, gateway, profile: world.base.profile })
    assert.ok(plan)
    const { delayMs, ...emission } = plan
    const at = slotStart(world.base, 8, slots.transmission) + delayMs
    assert.deepEqual(world.nodes[0]?.radio.sent, [{ ...emission, at }])
  })

  it('reveals the power that the radio says it used', async () => {
    await begin()
    await ask()
    await world.to(LAST_SLOT)
    const beacon = world.of(MessageType.beacon)[0]?.value as Beacon
    assert.equal(decodeLevel(beacon.power), 140)
  })

  it('answers one challenge of a round', async () => {
    await begin()
    const { challenge } = await ask()
    await ask(1)
    await world.to(LAST_SLOT)
    assert.equal(world.nodes[0]?.radio.sent.length, 1)
    const beacons = world.of(MessageType.beacon)
    assert.equal(beacons.length, 1)
    const [beacon] = beacons.map(({ value }) => value as Beacon)
    assert.deepEqual(beacon?.challenge, challenge.id)
  })

  it('does not answer a challenge that came after its slot and the next', async () => {
    await begin()
    await world.to(9)
    world.ask(0)
    await world.to(LAST_SLOT)
    assert.equal(world.nodes[0]?.radio.sent.length, 0)
    assert.equal(world.of(MessageType.beacon).length, 0)
    assert.match(world.nodes[0]?.lines.at(-1)?.text ?? '', /came too late/)
    const { finding } = world.findings[0] as (typeof world.findings)[0]
    assert.equal(finding.reason, CoverageReason.challengeLate)
    assert.equal(finding.verdict, Verdict.inconclusive)
  })

  it('reveals nothing that was not sent, and answers the next challenge instead', async () => {
    await begin()
    const radio = world.nodes[0]?.radio
    assert.ok(radio)
    radio.outcome = { sent: false, reason: 'dutyCycle', detail: 'band M is full' }
    const { slots } = await ask()
    await world.to(slots.commit)
    assert.equal(radio.sent.length, 0)
    radio.outcome = { sent: true, power: 120 }
    const second = await ask(1)
    await world.to(LAST_SLOT)
    assert.equal(radio.sent.length, 1)
    const beacon = world.of(MessageType.beacon)[0]?.value as Beacon
    assert.deepEqual(beacon.challenge, second.challenge.id)
  })

  it('gives a transmission up at its timeout', async () => {
    await begin()
    const radio = world.nodes[0]?.radio
    assert.ok(radio)
    radio.outcome = undefined
    await ask()
    await world.to(LAST_SLOT)
    assert.equal(world.of(MessageType.beacon).length, 0)
    assert.ok(world.nodes[0]?.lines.some(({ level }) => level === 'error'))
  })

  it('lets a radio say itself that its forwarder never answered', async () => {
    // The second as one that was asked by GPS time first, and then again.
    for (const attempts of [1, 2]) {
      await begin()
      const [node] = world.nodes
      assert.ok(node)
      node.radio.outcome = { sent: false, reason: 'timeout', detail: 'no TX_ACK' }
      node.radio.answersAfter = attempts * world.base.profile.transmitTimeoutMs
      await ask()
      await world.to(LAST_SLOT)
      assert.ok(
        node.lines.some(({ level, text }) => level === 'warn' && text === 'beacon not sent'),
      )
      assert.ok(!node.lines.some(({ level }) => level === 'error'))
      await world.stop()
    }
  })

  it('does not transmit without a packet forwarder, or with a chain that is not registered', async () => {
    await begin()
    const radio = world.nodes[0]?.radio
    assert.ok(radio)
    radio.up = false
    await ask()
    assert.match(world.nodes[0]?.lines.at(-1)?.text ?? '', /no packet forwarder/)
    await world.stop()
    await begin({ changes: { 0: { nonceEnd: new Uint8Array(32) } } })
    await ask()
    assert.match(world.nodes[0]?.lines.at(-1)?.text ?? '', /another nonce chain/)
    await world.to(LAST_SLOT)
    assert.equal(world.nodes[0]?.radio.sent.length, 0)
  })

  it('verifies without a radio, and neither beacons nor listens', async () => {
    await begin({ deaf: [0, 1, 2, 3] })
    const { slots } = await ask()
    await world.to(LAST_SLOT)
    assert.equal(
      world.said.filter(({ author, type }) => {
        return author < 4 && type !== MessageType.attestation && type !== MessageType.challenge
      }).length,
      0,
    )
    assert.equal(world.findings.length, world.base.duty(COVERAGE, 0).verifiers.length)
    for (const { finding, slot } of world.findings) {
      assert.equal(finding.reason, CoverageReason.noReveal)
      assert.equal(slot, slots.reveal + 1)
      assert.equal(decodeEvidence(finding.evidence).revealSlot, NO_REVEAL)
    }
  })

  describe('witness', () => {
    const [first] = transmissionSlots({ coverageReveal: [1, 4], transmitStep: 1 } as never)
    const commitsOf = (node: number) =>
      world.of(MessageType.commit).filter(({ author }) => author === node)

    it('commits to nothing when nothing was heard, and not to other traffic', async () => {
      await begin()
      await world.to(first, 300)
      world.nodes[1]?.radio.hear(frame({ payload: new Uint8Array(25).fill(0x40) }))
      world.nodes[1]?.radio.hear(frame({ payload: new Uint8Array(24).fill(FRAME_TYPE) }))
      await world.to(LAST_SLOT)
      assert.equal(world.said.length, 0)
    })

    it('commits once a slot, in the next', async () => {
      await begin()
      await world.to(first, 300)
      world.nodes[1]?.radio.hear(frame())
      await world.to(first + 1, 100)
      world.nodes[1]?.radio.hear(frame())
      await world.to(LAST_SLOT)
      const commits = commitsOf(1).map(({ slot, value }) => [slot, (value as Commit).slot])
      assert.deepEqual(commits, [
        [first + 1, first],
        [first + 2, first + 1],
      ])
    })

    it('ignores frames outside the slots in which beacons are sent', async () => {
      await begin()
      world.nodes[1]?.radio.hear(frame())
      await world.to(9)
      world.nodes[1]?.radio.hear(frame())
      world.nodes[1]?.radio.hear(frame({ at: world.clock.now() - 3_600_000 }))
      await world.to(LAST_SLOT)
      assert.equal(world.said.length, 0)
    })

    it('covers at most eight frames, each once', async () => {
      await begin()
      const { slots } = await ask()
      await world.to(slots.transmission, 100)
      const radio = world.nodes[1]?.radio
      for (let count = 0; count < FRAMES_MAX - 1; count++) {
        const payload = new Uint8Array(25).fill(count)
        payload[0] = FRAME_TYPE
        radio?.hear(frame({ payload }))
        radio?.hear(frame({ payload, rssi: -900, snr: 100 }))
      }
      await world.to(LAST_SLOT)
      const report = world.of(MessageType.report).find(({ author }) => author === 1)
      assert.ok(report)
      const { leaves, place } = report.value as Report
      assert.equal(leaves.length, FRAMES_MAX)
      assert.equal(place, FRAMES_MAX - 1)
      const mine = world.settle().verdicts[0]?.parts?.find(({ node }) => node === 1)
      assert.equal(mine?.reason, 'ok')
    })

    it('cannot be made to report what it had no room for', async () => {
      await begin()
      const { slots } = await ask()
      await world.to(slots.transmission, 100)
      for (let count = 0; count < FRAMES_MAX; count++) {
        const payload = new Uint8Array(25).fill(count)
        payload[0] = FRAME_TYPE
        world.nodes[1]?.radio.hear(frame({ payload }))
      }
      await world.to(LAST_SLOT)
      assert.equal(commitsOf(1).length, 1)
      assert.ok(!world.of(MessageType.report).some(({ author }) => author === 1))
    })

    it('drops numbers that no radio gives', async () => {
      await begin()
      await world.to(first, 300)
      const hostile = [
        { rssi: -100_000 },
        { snr: Number.NaN },
        { rssis: Number.POSITIVE_INFINITY },
        { frequency: -1 },
        { tmst: 2 ** 32 },
        { spreadingFactor: 7.5 },
        { ftime: 2 ** 40 },
        { tmms: -1n },
      ]
      for (const change of hostile) world.nodes[1]?.radio.hear(frame(change))
      await world.to(LAST_SLOT)
      assert.equal(world.said.length, 0)
      const dropped = world.nodes[1]?.lines.filter(({ text }) => text !== 'not measured')
      assert.equal(dropped?.length, hostile.length)
    })

    it('reports nothing where it was not allowed to commit', async () => {
      await begin()
      const { slots } = await ask()
      const node = world.nodes[1]
      assert.ok(node)
      node.muted = true
      await world.to(slots.reveal)
      node.muted = false
      await world.to(LAST_SLOT)
      assert.ok(!world.of(MessageType.report).some(({ author }) => author === 1))
    })
  })

  describe('verifier', () => {
    it('attests as soon as the reveal is there, with the commits it held', async () => {
      await begin()
      const { slots } = await ask()
      await world.to(LAST_SLOT)
      for (const { finding, slot } of world.findings) {
        assert.equal(slot, slots.reveal)
        assert.equal(finding.verdict, Verdict.pass)
        const { revealSlot, commits } = decodeEvidence(finding.evidence)
        assert.equal(revealSlot, slots.reveal)
        assert.deepEqual(
          commits.getTrueBitIndexes(),
          PLACES.map((_, at) => at + 1),
        )
      }
    })

    it('leaves out a commit that came after the commit slot', async () => {
      await begin()
      const { slots } = await ask()
      await world.to(slots.reveal, 100)
      const verifier = world.base.duty(COVERAGE, 0).verifiers[0] as number
      const value = { ...(world.of(MessageType.commit)[0]?.value as Commit), author: 0 }
      world.nodes[verifier]?.half.heard(MessageType.commit, { id: value.root, value }, world.base)
      await world.to(LAST_SLOT)
      const found = world.findings.find(({ author }) => author === verifier)
      assert.ok(found)
      const { commits } = decodeEvidence(found.finding.evidence)
      assert.equal(commits.get(0), false)
    })

    it('says nothing after the end of the epoch', async () => {
      await begin()
      await ask()
      await world.stop()
      await world.to(LAST_SLOT)
      assert.equal(world.findings.length, 0)
    })
  })

  it('leaves no timer and no listener behind when it stops', async () => {
    await begin()
    await ask()
    await world.stop()
    assert.equal(world.clock.pending, 0)
    assert.ok(world.nodes.every(({ radio }) => radio.listeners === 0))
    await world.to(LAST_SLOT)
    assert.equal(world.nodes[0]?.radio.sent.length, 0)
  })
})
