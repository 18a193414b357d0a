import { strict as assert } from 'node:assert'
import { type Files, GrantLog, Grants, type Log, openGrant, peerIdOf } from '@cairn/node'
import { ed25519, encodeLink, pieceCid } from '@cairn/protocol'
import { chooseFastHasher, MemoryStore, VirtualClock, World } from '@cairn/testnet'
import { pattern, stream } from './world.ts'

const secretOf = (byte: number) => new Uint8Array(32).fill(byte)
const link = { manifest: { root: secretOf(5), payload: 1_000 }, entry: 3, key: secretOf(9) }
const LINK = encodeLink(link)
const [ANNA, BEN] = [7, 8].map(byte => peerIdOf(ed25519.publicKey(secretOf(byte)))) as [
  string,
  string,
]

describe('a granted file', () => {
  it('is read by the node that it was granted to, and by no other', async () => {
    await chooseFastHasher()
    const log: Log = { error() {}, warn() {}, info() {}, debug() {}, child: () => log }
    const world = new World({
      nodes: 6,
      providers: 3,
      gateways: 0,
      seed: 5,
      loss: 0,
      log: () => log,
    })
    const { clock, genesis, profile } = world
    const to = (epoch: number) =>
      clock.run({ until: genesis * 1_000 + epoch * profile.slotMs * profile.slotsPerEpoch })
    const run = async <T>(task: Promise<T>): Promise<T> => {
      let ended = false
      const end = () => {
        ended = true
      }
      task.then(end, end)
      while (!ended) await clock.run({ until: clock.now() + 20 })
      return await task
    }
    await world.begin()
    const started = world.start()
    await to(0)
    await started
    await to(1.5)
    const { signal } = new AbortController()
    const [anna, ben, owner] = world.nodes.slice(-3).map(({ files }) => files) as [
      Files,
      Files,
      Files,
    ]
    const bytes = pattern(3_000, 1)
    const { files } = await run(
      owner.put([{ name: 'a file', bytes: stream(bytes) }], {
        shape: { data: 1, total: 2 },
        signal,
      }),
    )
    const place = world.places.at(-3) ?? assert.fail()
    const peer = peerIdOf(place.signer.identity)
    const link = files[0]?.link as string
    const { grant, name } = await owner.grant(link, peer, { again: false })
    assert.equal(name, 'a file')
    // The deals reach a checkpoint, and everybody knows who keeps the pieces.
    await to(5.5)
    const read = async () => {
      const parts: Uint8Array[] = []
      const { stream: content } = await anna.get(grant, {}, signal)
      for await (const part of content) parts.push(part)
      return Buffer.concat(parts)
    }
    assert.ok((await run(read())).equals(bytes))
    await assert.rejects(run(ben.get(grant, {}, signal)), { code: 'otherRecipient' })
    assert.deepEqual(await anna.grants(), [])
    assert.equal((await owner.grants()).length, 1)
  })
})

describe('grants', () => {
  const store = () => new MemoryStore()

  function grants(of = store()) {
    const clock = new VirtualClock({ start: 1_000 })
    return { clock, grants: new Grants({ clock, store: of, nameOf: async () => 'a file' }) }
  }

  it('seal a link for a peer and remember it', async () => {
    const kept = store()
    const { grants: own } = grants(kept)
    const { grant, ...rest } = await own.grant(LINK, ANNA, { again: false })
    assert.deepEqual(await openGrant(grant, secretOf(7)), link)
    const view = {
      manifest: pieceCid(link.manifest),
      entry: 3,
      name: 'a file',
      peerId: ANNA,
      grantedAt: 1_000,
    }
    assert.deepEqual(rest, view)
    // As after a restart.
    assert.deepEqual(await grants(kept).grants.list(), [view])
  })

  it('are refused for what was revoked, to that peer alone, until it is meant', async () => {
    const { grants: own, clock } = grants()
    await own.grant(LINK, ANNA, { again: false })
    await clock.run({ until: 2_000 })
    const revoked = await own.revoke(LINK, ANNA)
    assert.equal(revoked.revokedAt, 2_000)
    assert.deepEqual(await own.list(), [revoked])
    await assert.rejects(own.grant(LINK, ANNA, { again: false }), { code: 'grantRevoked' })
    await own.grant(LINK, BEN, { again: false })
    await own.grant(encodeLink({ ...link, entry: 4 }), ANNA, { again: false })
    await clock.run({ until: 3_000 })
    assert.deepEqual(await own.revoke(LINK, ANNA), revoked)
    const again = await own.grant(LINK, ANNA, { again: true })
    assert.deepEqual([again.grantedAt, again.revokedAt], [3_000, undefined])
    await own.grant(LINK, ANNA, { again: false })
    assert.equal((await own.list()).length, 3)
  })

  it('are made from links and peer ids, and revoked where they were made', async () => {
    const { grants: own } = grants()
    await assert.rejects(own.grant('cairn:', ANNA, { again: false }), { code: 'badLink' })
    await assert.rejects(own.grant(LINK, 'nobody', { again: false }), { code: 'badPeerId' })
    await assert.rejects(own.revoke(LINK, ANNA), { code: 'notGranted' })
    assert.deepEqual(await own.list(), [])
  })

  it('are remembered up to a bound', async () => {
    const log = new GrantLog({ store: store() }, { max: 2 })
    const grant = (entry: number) => ({
      manifest: link.manifest,
      entry,
      recipient: secretOf(7),
      name: '',
      grantedAt: entry,
    })
    for (const entry of [1, 2]) await log.add(grant(entry), { again: false })
    await assert.rejects(log.add(grant(3), { again: false }), { code: 'tooManyGrants' })
    await log.add({ ...grant(2), grantedAt: 9 }, { again: false })
    assert.deepEqual(
      (await log.list()).map(({ entry }) => entry),
      [2, 1],
    )
  })
})
