import { strict as assert } from 'node:assert'
import {
  FileIndex,
  type GroupHealthInit,
  type OwnGroup,
  REPAIRING_MAX,
  Repairs,
  type RepairsComponents,
} from '@cairn/node'
import {
  type Deal,
  Deal as DealType,
  decode,
  type EndReason,
  type Envelope,
  hex,
  type Piece,
  pieceKey,
  storageWith,
} from '@cairn/protocol'
import { MemoryStore } from '@cairn/testnet'
import { clientKey } from '../../../protocol/test/kinds/storage/world.ts'
import { EPOCH, pattern, stream, World, type WorldInit } from './world.ts'

const TERMS = { epochs: 100, pricePerGiB: 1_000n }

describe('repairs', () => {
  let world: World

  afterEach(() => world.stop())

  /** A client with a file at 2 of 4, whose deals a checkpoint carries. */
  async function begin(init: WorldInit = {}, shape = { data: 2, total: 4 }, bytes = 3_000) {
    world = new World(init)
    await world.start()
    const { client, deals: envelopes, cache, candidates } = await world.client()
    const dealsOf = (list: readonly Envelope[]) => list.map(({ body }) => decode(DealType, body))
    const { signal } = new AbortController()
    const stored = await world.run(
      client.put([{ name: 'a file', bytes: stream(pattern(bytes, 3)) }], {
        shape,
        shardBytes: 500,
        segmentsPerGroup: 1,
        pricePerGiB: 1_000n,
        signal,
      }),
    )
    const index = new FileIndex({ store: new MemoryStore() })
    await index.add(stored, 0)
    const [upload] = await index.list()
    assert.ok(upload)
    const groups: OwnGroup[] = (await index.groups(upload)).map(group => ({ ...group, of: 'f' }))
    const state = { carried: dealsOf(envelopes), pending: [] as Deal[], settled: EPOCH - 1 }
    envelopes.length = 0
    const store = new MemoryStore()
    const look = async (): Promise<GroupHealthInit> => ({
      client: clientKey(1),
      epoch: EPOCH,
      settled: state.settled,
      profile: world.base.profile,
      state: storageWith(state.carried),
      pending: state.pending,
    })
    const repairs = (change: Partial<RepairsComponents> = {}) =>
      new Repairs(
        {
          clock: world.clock,
          log: world.log,
          store,
          client,
          groups: async function* () {
            yield* groups
          },
          look,
          providerAt: provider => ({ entry: world.base.nodes[provider] ?? assert.fail() }),
          isWanted: () => true,
          ...change,
        },
        { terms: TERMS },
      )
    /** Providers lose all their pieces, and their deals end. */
    const lose = async (providers: readonly number[]) => {
      for (const provider of providers) {
        const { pieces } = world.node(provider)
        for (const piece of pieces.list()) await pieces.delete(piece)
      }
      const ended = state.carried.filter(({ provider }) => providers.includes(provider))
      state.carried = state.carried.filter(deal => !ended.includes(deal))
      return ended
    }
    return {
      state,
      groups,
      candidates,
      cache,
      client,
      repairs,
      lose,
      made: () => dealsOf(envelopes),
      run: (of: Repairs) => world.run(of.run()),
      get: async () => {
        const { stream: content } = await client.open(stored.files[0]?.link as string, { signal })
        const parts: Uint8Array[] = []
        for await (const part of content) parts.push(part)
        return Buffer.concat(parts)
      },
    }
  }

  const keepersOf = (deals: readonly Deal[], { id }: OwnGroup, place: number) =>
    deals.filter(deal => hex(deal.group) === hex(id) && deal.place === place)

  it('make what is missing again, the same pieces, with operators that keep nothing of the group', async () => {
    const { state, groups, repairs, lose, made, run, cache, get } = await begin()
    const lost = await lose([0, 1])
    assert.ok(lost.length > 0)
    const reports = await run(repairs())
    assert.equal(made().length, lost.length)
    for (const group of groups) {
      const all = [...state.carried, ...made()]
      const providers = group.pieces.map((piece, place) => {
        const [deal, ...others] = keepersOf(all, group, place)
        assert.ok(deal && others.length === 0, 'each place has one deal')
        assert.equal(pieceKey(deal.piece), pieceKey(piece))
        assert.ok(world.node(deal.provider).pieces.has(piece))
        return deal.provider
      })
      assert.equal(new Set(providers).size, group.pieces.length)
      const done = reports.find(({ id }) => hex(id) === hex(group.id))?.repairs ?? []
      assert.deepEqual(
        done.map(({ place, provider }) => [place, provider]).sort(),
        lost
          .filter(deal => hex(deal.group) === hex(group.id))
          .map(({ place }) => [place, providers[place]])
          .sort(),
      )
    }
    assert.equal(cache.list().length, 0)
    state.carried.push(...made())
    // Whoever had all four at first is not needed any more.
    await lose([2, 3])
    assert.deepEqual(await world.run(get()), Buffer.from(pattern(3_000, 3)))
  })

  it('leave a group alone that has more than it needs', async () => {
    const { repairs, lose, made, run } = await begin({ nodes: 12 }, { data: 2, total: 9 }, 400)
    await lose([0, 1])
    const reports = await run(repairs())
    assert.deepEqual(made(), [])
    assert.ok(reports.every(({ underWay, health }) => !underWay && health.counts.gone <= 2))
  })

  it('do not pay for a place twice, whatever happened to the one who asked', async () => {
    const { state, repairs, lose, made, run } = await begin()
    const lost = await lose([0])
    // A crash: what was signed is gossiped by nobody, and this node forgets it.
    await run(repairs())
    assert.equal(made().length, lost.length)
    state.pending = []
    await run(repairs())
    assert.equal(made().length, lost.length, 'a checkpoint may still take the deals in')
    state.settled = EPOCH + 1
    await run(repairs())
    assert.equal(made().length, lost.length, 'even the last before they begin')
  })

  it('remember what was proposed while no checkpoint is known', async () => {
    const { state, repairs, lose, made, run } = await begin()
    const lost = await lose([0])
    await run(repairs())
    state.pending = []
    assert.deepEqual(await run(repairs({ look: async () => undefined })), [])
    await run(repairs())
    assert.equal(made().length, lost.length)
  })

  it('sign nothing for a file that was removed while its pieces were made again', async () => {
    const { repairs, lose, made, run, cache } = await begin()
    await lose([0])
    const repairing = repairs({ isWanted: () => false })
    const reports = await run(repairing)
    assert.ok(reports.some(({ error }) => error?.code === 'notListed'))
    assert.deepEqual(made(), [])
    assert.deepEqual(cache.list(), [])
  })

  it('end with a run that somebody asked for', async () => {
    const { repairs, lose } = await begin()
    await lose([0])
    const begun = Promise.withResolvers<void>()
    let underWay = 0
    const slow: RepairsComponents['client'] = {
      repair: async ({ signal }) => {
        underWay++
        begun.resolve()
        await new Promise(resolve => signal.addEventListener('abort', resolve))
        await new Promise(resolve => setImmediate(resolve))
        underWay--
      },
    }
    const repairing = repairs({ client: slow })
    const running = repairing.run()
    await world.run(begun.promise)
    await repairing.stop()
    assert.equal(underWay, 0)
    await running
  })

  it('look again when a checkpoint comes during a run that somebody asked for', async () => {
    const { repairs } = await begin()
    const released = Promise.withResolvers<void>()
    const again = Promise.withResolvers<void>()
    let looks = 0
    const repairing = repairs({
      look: async () => {
        if (++looks === 1) await released.promise
        else again.resolve()
        return undefined
      },
    })
    const running = repairing.run()
    repairing.adopted(EPOCH, async () => [])
    await new Promise(resolve => setImmediate(resolve))
    released.resolve()
    await running
    await again.promise
    await repairing.stop()
  })

  it('try again when the deals that were signed did not reach a checkpoint', async () => {
    const { state, repairs, lose, made, run } = await begin()
    const lost = await lose([0])
    await run(repairs())
    const later = repairs({
      look: async () => ({
        client: clientKey(1),
        epoch: EPOCH + 3,
        settled: EPOCH + 2,
        profile: world.base.profile,
        state: storageWith(state.carried),
        pending: made(),
      }),
    })
    await run(later)
    assert.equal(made().length, 2 * lost.length)
  })

  it('wait while the last checkpoint is old', async () => {
    const { state, repairs, lose, made, run } = await begin()
    await lose([0])
    state.settled = EPOCH - 5
    await run(repairs())
    assert.deepEqual(made(), [])
    state.settled = EPOCH - 4
    await run(repairs())
    assert.notDeepEqual(made(), [])
  })

  it('say why nothing came of it, repair as much as can be, and try again', async () => {
    const { state, candidates, repairs, lose, made, run } = await begin({ nodes: 5 })
    const away = candidates.splice(0, 2)
    const lost = await lose([0, 1])
    const repairing = repairs()
    const first = await run(repairing)
    const codes = (reports: typeof first) => new Set(reports.map(({ error }) => error?.code))
    assert.ok(codes(first).has('tooFewProviders'))
    assert.ok(made().length > 0 && made().length < lost.length)
    assert.equal(repairing.totals.failing > 0, true)
    state.pending = made()
    candidates.push(...away)
    const second = await run(repairing)
    assert.deepEqual([...codes(second)], [undefined])
    assert.equal(made().length, lost.length)
    assert.deepEqual(repairing.totals, {
      groups: second.length,
      underWay: second.filter(({ underWay }) => underWay).length,
      lost: 0,
      failing: 0,
      repaired: lost.length,
    })
  })

  it('store the manifest again when every copy of it is lost', async () => {
    const { state, groups, candidates, repairs, made, run } = await begin()
    const manifest = groups.at(-1) as OwnGroup
    const [piece] = manifest.pieces as [Piece]
    for (const { pieces } of world.nodes) await pieces.delete(piece)
    state.carried = state.carried.filter(({ group }) => hex(group) !== hex(manifest.id))
    assert.ok(candidates.length >= manifest.pieces.length)
    const reports = await run(repairs())
    assert.equal(made().length, manifest.pieces.length)
    assert.ok(reports.every(({ isLost }) => !isLost))
    assert.equal(world.holders(piece).length, manifest.pieces.length)
  })

  it('call a group lost of which fewer than k are left', async () => {
    const { groups, repairs, lose, run } = await begin()
    const first = groups[0] as OwnGroup
    const keepers = world.nodes.filter(({ pieces }) => first.pieces.some(one => pieces.has(one)))
    await lose(keepers.slice(0, 3).map(({ index }) => index))
    const reports = await run(repairs())
    const report = reports.find(({ id }) => hex(id) === hex(first.id))
    assert.deepEqual([report?.isLost, report?.error?.code], [true, 'fileUnavailable'])
  })

  it('work on a few groups at once', async () => {
    let most = 0
    let now = 0
    const { client, repairs, lose, run } = await begin()
    await lose([0, 1])
    const counted: RepairsComponents['client'] = {
      repair: async options => {
        most = Math.max(most, ++now)
        await client.repair(options).finally(() => now--)
      },
    }
    await run(repairs({ client: counted }))
    assert.equal(most, REPAIRING_MAX)
  })

  it('remember who lost a place, and ask others first', async () => {
    const { repairs, lose, made, run } = await begin({ nodes: 7 }, undefined, 12_000)
    const ended = await lose([0])
    const gone = ended.map(deal => ({ id: deal.group, deal, reason: 'gone' as EndReason }))
    const before = repairs()
    before.adopted(EPOCH - 1, async () => gone)
    await run(before)
    await world.run(before.stop())
    // As many others as places are missing: all of them are preferred to it.
    assert.ok(ended.length > 6)
    assert.equal(made().length, ended.length)
    assert.ok(made().every(({ provider }) => provider !== 0))
    const reports = await world.run(repairs().reports())
    for (const { group, place } of ended) {
      const report = reports.find(({ id }) => hex(id) === hex(group))
      assert.deepEqual(
        report?.losses.map(loss => [loss.place, loss.provider, loss.reason]),
        [[place, 0, 'gone']],
      )
    }
  })

  it('leave a place alone after a crash in the middle of it, until it is known what came of it', async () => {
    const { state, repairs, lose, made, run, client } = await begin()
    const lost = await lose([0])
    const proposed = Promise.withResolvers<void>()
    let left = new Set(lost.map(({ group }) => hex(group))).size
    const hanging: RepairsComponents['client'] = {
      repair: async ({ proposing, signal }) => {
        await proposing(EPOCH + 2)
        if (--left === 0) proposed.resolve()
        await new Promise((_, reject) => signal.addEventListener('abort', reject))
      },
    }
    // Two groups hang at once: what is never reached was never proposed.
    left = Math.min(left, REPAIRING_MAX)
    const crashing = repairs({ client: hanging })
    crashing.adopted(EPOCH - 1, async () => [])
    await world.run(proposed.promise)
    await world.run(crashing.stop())
    await run(repairs({ client }))
    assert.equal(made().length, lost.length - REPAIRING_MAX)
    state.pending = made()
    const later = repairs({
      look: async () => ({
        client: clientKey(1),
        epoch: EPOCH + 3,
        settled: EPOCH + 2,
        profile: world.base.profile,
        state: storageWith([...state.carried, ...made()]),
        pending: [],
      }),
    })
    await run(later)
    assert.equal(made().length, lost.length)
  })

  it('wait for those before, for as long as nobody does anything, when they are a delegate’s', async () => {
    const { state, groups, repairs, lose, made, run } = await begin()
    state.carried = state.carried.map(deal => ({ ...deal, endEpoch: 1_000 }))
    const lost = await lose([0])
    const patience = 4
    let epoch = EPOCH
    const waiting = repairs({
      groups: async function* () {
        for (const group of groups) yield { ...group, patience, client: clientKey(1) }
      },
      look: async () => ({
        client: clientKey(2),
        epoch,
        settled: epoch - 1,
        profile: world.base.profile,
        state: storageWith(state.carried),
        pending: state.pending,
      }),
    })
    const until = async (next: number) => {
      for (; epoch < next; epoch++) await run(waiting)
      await run(waiting)
    }
    await until(EPOCH + patience - 1)
    assert.deepEqual(made(), [])
    // Somebody begins: everybody behind waits anew.
    state.pending = lost.map(deal => ({ ...deal, provider: 7, startEpoch: EPOCH + 10, nonce: 99n }))
    await until(EPOCH + patience + 2)
    state.pending = []
    await until(EPOCH + 2 * patience + 1)
    assert.deepEqual(made(), [])
    await until(EPOCH + 2 * patience + 2)
    assert.equal(made().length, lost.length)
  })

  it('pay no more than they may for somebody else, whatever providers ask', async () => {
    const { groups, repairs, lose, made, run } = await begin({
      floorPrice: 10n ** 9n,
      pays: 10n ** 9n,
    })
    await lose([0])
    const limits = { pricePerEpoch: 1n, endEpoch: 1_000, places: new Set([0, 1, 2, 3]) }
    const reports = await run(
      repairs({
        groups: async function* () {
          for (const group of groups) yield { ...group, limits }
        },
      }),
    )
    assert.deepEqual(made(), [])
    assert.ok(reports.some(({ error }) => error?.code === 'tooFewProviders'))
  })

  it('give no piece to an operator that is barred', async () => {
    const { groups, repairs, lose, made, run } = await begin({ nodes: 6 })
    await lose([0])
    const barred = new Set([hex(world.base.nodes[5]?.operator ?? assert.fail())])
    await run(
      repairs({
        groups: async function* () {
          for (const group of groups) yield { ...group, barred }
        },
      }),
    )
    assert.ok(made().length > 0)
    assert.ok(made().every(({ provider }) => provider !== 5))
  })
})
