import { strict as assert } from 'node:assert'
import {
  type Attestation,
  type Deal,
  decode,
  decodeSealedWrong,
  decodeStorageEvidence,
  Envelope,
  hashPiece,
  MessageType,
  proofRoot,
  Seal,
  SealedProof,
  StorageReason,
  slotStart,
  Verdict,
} from '@cairn/protocol'
import { dealOf, EPOCH, pattern, peerName, stream, World, type WorldInit } from './world.ts'

const payload = pattern(150_000, 5)
const other = pattern(90_000, 6)
const deals: Deal[] = [payload, other].map((bytes, i) =>
  dealOf({ piece: hashPiece(bytes).piece, nonce: BigInt(i) }),
)
const TARGET = 0

describe('proving storage', () => {
  let world: World

  async function begin(init: WorldInit = {}): Promise<World> {
    world = new World({ deals, ...init })
    for (const bytes of [payload, other]) await world.node(TARGET).pieces.put(stream(bytes))
    await world.start()
    return world
  }

  afterEach(() => world.stop())

  /** Reveals in its slot. */
  async function reveal(order = 0) {
    const challenge = world.challenge(TARGET, order)
    await world.toSlot(challenge.slot, 100)
    return challenge
  }

  function request(envelope: Envelope, from: number): Promise<Uint8Array> {
    const { network } = world.node(from)
    return network.request(peerName(TARGET), 'prove', Envelope.serialize(envelope), {
      signal: new AbortController().signal,
      maxResponseBytes: SealedProof.maxSize,
    })
  }

  async function ask(envelope: Envelope, from = 5): Promise<Uint8Array> {
    return await world.run(request(envelope, from))
  }

  const reasons = (said: readonly Attestation[]) => [...new Set(said.map(({ reason }) => reason))]
  const seals = () => world.set.ofType<Seal>(MessageType.seal, 1)

  it('passes, is sealed in the seal slot, and earns the price', async () => {
    await begin()
    const challenge = await reveal()
    const said = await world.attestAll(challenge, challenge.slot)
    assert.deepEqual(reasons(said), [StorageReason.ok])
    await world.toSlot(world.base.profile.sealSlot, -1)
    assert.equal(seals().length, 0)
    await world.toSlot(world.base.profile.slotsPerEpoch)
    assert.equal(seals().length, 1)
    const settled = world.settle()
    assert.equal(settled.verdicts[0]?.verdict, Verdict.pass)
    assert.equal(settled.fees.length, 2)
    assert.equal(settled.proven.get(TARGET), 200n)
  })

  it('publishes the seal once, by whoever is first, and by a verifier if the target is gone', async () => {
    await begin()
    const challenge = await reveal()
    await world.attestAll(challenge, challenge.slot)
    await world.node(TARGET).half.stop()
    await world.toSlot(world.base.profile.slotsPerEpoch)
    const relayed = world.nodes.flatMap(({ voice }) => voice.relayed)
    assert.equal(relayed.length, 1)
    const opens = slotStart(world.base, EPOCH, world.base.profile.sealSlot)
    assert.ok((relayed[0]?.at as number) > opens)
    assert.equal(world.settle().verdicts[0]?.verdict, Verdict.pass)
  })

  it('gives everybody the same bytes, also when the disk fails in between', async () => {
    await begin()
    const { envelope } = await reveal()
    const first = await ask(envelope, 5)
    const { pieces } = world.node(TARGET)
    for (const piece of pieces.list()) await pieces.delete(piece)
    assert.deepEqual(await ask(envelope, 6), first)
    await world.restart(TARGET)
    assert.deepEqual(await ask(envelope, 7), first)
  })

  it('cannot be made to seal a second answer', async () => {
    await begin()
    const { envelope } = await reveal()
    await ask(envelope)
    // The crash lost the answer, but not the memory of what was sealed.
    const { store, pieces } = world.node(TARGET)
    const answers = store.sublevel('storage-answers')
    for await (const [key] of answers.range({ gte: new Uint8Array(0), lt: Uint8Array.of(255) })) {
      await answers.batch([{ key }])
    }
    for (const piece of pieces.list()) await pieces.delete(piece)
    await world.restart(TARGET)
    await assert.rejects(ask(envelope), { code: 'equivocation' })
  })

  it('answers both when two ask for the same at once', async () => {
    await begin()
    const { envelope } = await reveal()
    const both = Promise.all([request(envelope, 5), request(envelope, 6)])
    const [first, second] = await world.run(both)
    assert.deepEqual(first, second)
  })

  it('says missing of what it lost, and is not failed for it', async () => {
    await begin()
    const { pieces } = world.node(TARGET)
    await pieces.delete(hashPiece(other).piece)
    const challenge = await reveal()
    const said = await world.attestAll(challenge, challenge.slot)
    assert.deepEqual(reasons(said), [StorageReason.leafMissing])
    await world.toSlot(world.base.profile.slotsPerEpoch)
    const settled = world.settle()
    assert.equal(settled.verdicts[0]?.verdict, Verdict.inconclusive)
    const answered = decodeStorageEvidence((said[0] as Attestation).evidence).answered
    const share = BigInt(answered.getTrueBitIndexes().length)
    assert.ok(share > 0n && share < 20n)
    assert.equal(settled.fees[0]?.amount, (100n * share) / 20n)
  })

  it('says missing of a damaged piece rather than sealing a wrong leaf', async () => {
    await begin()
    const { pieces } = world.node(TARGET)
    for (const piece of pieces.list()) {
      for (let at = 0; at < piece.payload; at += 60_000) pieces.damage(piece, at)
    }
    const challenge = await reveal()
    assert.deepEqual(reasons(await world.attestAll(challenge, challenge.slot)), [
      StorageReason.leafMissing,
    ])
  })

  it('is inconclusive, and nothing else, while the target is away', async () => {
    await begin()
    world.network.crash(peerName(TARGET))
    const challenge = await reveal()
    const before = world.clock.now()
    const said = await world.attestAll(challenge, challenge.slot)
    assert.deepEqual(reasons(said), [StorageReason.unreachable])
    assert.ok(world.clock.now() - before <= world.base.profile.proofDeadlineMs + 100)
    assert.equal(world.settle().verdicts[0]?.reason, 'unreachable')
  })

  it('asks once more when the first request got lost', async () => {
    await begin()
    const challenge = await reveal()
    world.network.partition([[peerName(TARGET)]])
    world.clock.at(world.clock.now() + 300, () => world.network.heal())
    const said = await world.attestAll(challenge, challenge.slot)
    assert.deepEqual(reasons(said), [StorageReason.ok])
  })

  describe('to a target that cheats', () => {
    /** Changes what the target answers; `forge` gets the honest answer. */
    async function cheat(forge: (honest: SealedProof) => Promise<SealedProof> | SealedProof) {
      await begin()
      const challenge = await reveal()
      const honest = decode(SealedProof, await ask(challenge.envelope))
      const liar = await forge(honest)
      world.network.crash(peerName(TARGET))
      const network = world.network.join(peerName(TARGET))
      network.serve(
        'prove',
        { maxRequestBytes: 512, maxResponseBytes: SealedProof.maxSize, perSecond: 100 },
        async () => SealedProof.serialize(liar),
      )
      await network.start()
      const said = await world.attestAll(challenge, challenge.slot)
      await network.stop()
      return said
    }

    const wrongProof = ({ proof }: SealedProof) => {
      const [leaf, ...path] = proof[3] as Uint8Array[]
      const wrong = [...proof]
      wrong[3] = [(leaf as Uint8Array).map(byte => byte ^ 1), ...path]
      return wrong
    }

    it('fails it with evidence that settles, when it seals a wrong leaf', async () => {
      const said = await cheat(async honest => {
        const proof = wrongProof(honest)
        const { challenge } = decode(Seal, honest.seal.body)
        const claims = world.node(TARGET).store.sublevel('claims')
        for await (const [key] of claims.range({
          gte: new Uint8Array(0),
          lt: Uint8Array.of(255),
        })) {
          await claims.batch([{ key }])
        }
        const value = { kind: 1, challenge, proofRoot: proofRoot(proof) }
        const { voice } = world.node(TARGET)
        return { proof, seal: await voice.sign(MessageType.seal, Seal, world.base, value) }
      })
      assert.deepEqual(reasons(said), [StorageReason.wrongLeaf])
      assert.equal(decodeSealedWrong((said[0] as Attestation).evidence).place, 3)
      const [verdict] = world.settle().verdicts
      assert.equal(verdict?.verdict, Verdict.fail)
      assert.equal(verdict?.agreeing.length, said.length)
    })

    it('takes an answer under a seal of another proof for none', async () => {
      const said = await cheat(honest => ({ ...honest, proof: wrongProof(honest) }))
      assert.deepEqual(reasons(said), [StorageReason.badAnswer])
    })

    it('takes an answer under a forged seal for none', async () => {
      const said = await cheat(honest => {
        const body = Seal.serialize({
          ...decode(Seal, honest.seal.body),
          proofRoot: proofRoot(wrongProof(honest)),
        })
        return { proof: wrongProof(honest), seal: { ...honest.seal, body } }
      })
      assert.deepEqual(reasons(said), [StorageReason.badAnswer])
    })

    it('takes bytes that are no answer for none', async () => {
      await begin()
      const challenge = await reveal()
      world.network.crash(peerName(TARGET))
      const network = world.network.join(peerName(TARGET))
      const options = { maxRequestBytes: 512, maxResponseBytes: 100_000, perSecond: 100 }
      network.serve('prove', options, async () => new Uint8Array(1_000).fill(7))
      await network.start()
      assert.deepEqual(reasons(await world.attestAll(challenge, challenge.slot)), [
        StorageReason.badAnswer,
      ])
    })
  })

  describe('refuses', () => {
    it('a challenge before its slot', async () => {
      await begin()
      const challenge = [0, 1, 2]
        .map(order => world.challenge(TARGET, order))
        .find(({ slot }) => slot > 1)
      assert.ok(challenge)
      await assert.rejects(ask(challenge.envelope), { code: 'early' })
      await world.toSlot(challenge.slot, 100)
      await ask(challenge.envelope)
    })

    it('a challenge after its epoch, unless it answered it before', async () => {
      await begin()
      const first = await reveal(0)
      const bytes = await ask(first.envelope)
      const second = world.challenge(TARGET, 1)
      await world.toSlot(world.base.profile.slotsPerEpoch)
      await assert.rejects(ask(second.envelope), { code: 'late' })
      assert.deepEqual(await ask(first.envelope), bytes)
    })

    it('what is not addressed to it, not signed, forged, or no challenge', async () => {
      await begin({ deals: [...deals, ...deals.map(deal => ({ ...deal, provider: 1 }))] })
      const { envelope } = await reveal()
      const elsewhere = world.challenge(1)
      await assert.rejects(ask(elsewhere.envelope), { code: 'notAddressed' })
      const unsigned = { ...envelope, signature: new Uint8Array(64) }
      await assert.rejects(ask(unsigned), { code: 'badSignature' })
      const chosen = envelope.body.slice()
      chosen[chosen.length - 1] = (chosen.at(-1) as number) ^ 1
      await assert.rejects(ask({ ...envelope, body: chosen }), { code: 'badSignature' })
      await assert.rejects(ask({ ...envelope, type: MessageType.seal }), { code: 'notChallenge' })
      await assert.rejects(ask({ ...envelope, body: envelope.body.slice(1) }), {
        code: 'badLength',
      })
    })
  })
})
