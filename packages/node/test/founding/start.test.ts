/** The start of a network on a real chain, raced by those who register, bond and leave. */
import { strict as assert } from 'node:assert'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { testDeployer } from '@cairn/contracts'
import { type OpenStartInit, openStart, parseFounding, type StartDesk } from '@cairn/node'
import { Checkpoint, committeeWord, decode, emptyState, KINDS, TOKEN, unhex } from '@cairn/protocol'
import { advanced, clock, openChain, quiet, type TestChain } from '../chain/world.ts'
import { settingsOf } from './settings.ts'

describe('the start of a network', function () {
  this.timeout(120_000)
  let world: TestChain
  let directory: string
  const desks: StartDesk[] = []
  const { signal } = new AbortController()

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'cairn-start-'))
    world = await openChain()
  })
  afterEach(async () => {
    for (const desk of desks.splice(0)) await desk.close()
    await world.close()
    await rm(directory, { recursive: true, force: true })
  })

  const manifest = (change: object = {}) => {
    const { chainId, rpc, contracts } = world.access
    return parseFounding(settingsOf({ chainId, rpc, ...change })).manifest({
      contracts,
      fromBlock: 0,
    })
  }
  const open = async (dataDir: string, change: Partial<OpenStartInit> = {}) => {
    const desk = await openStart(
      {
        dataDir: join(directory, dataDir),
        manifest: manifest(),
        genesisState: emptyState(KINDS).encode(),
        account: unhex(testDeployer().privateKey),
        clock,
        random: length => new Uint8Array(length),
        log: quiet,
        ...change,
      },
      signal,
    )
    desks.push(desk)
    return desk
  }

  it('names the committee that was shown, whoever registers, bonds or leaves meanwhile', async () => {
    for (const node of [0, 1]) await world.register(node)
    const desk = await open('one')
    assert.deepEqual(
      desk.committee.map(({ index }) => index),
      [0, 1],
    )
    await world.register(2)
    await world.addBond(0, 500n * TOKEN)
    await world.requestExit(1)
    const { root } = await desk.start(signal)

    const view = await world.open()
    await advanced(view, () => view.genesis() !== undefined)
    const started = view.genesis()
    assert.deepEqual(started?.root, root)
    const { base, nextCommittee } = decode(Checkpoint, started?.checkpoint as Uint8Array)
    assert.equal(base.number, desk.block)
    assert.deepEqual(base.hash, view.block(desk.block)?.hash)
    assert.deepEqual(nextCommittee, committeeWord(desk.committee))
    const again = await open('another')
    assert.deepEqual(again.committee, desk.committee)
    assert.deepEqual(
      [again.started, again.block, await again.start(signal)],
      [true, desk.block, { root, transaction: undefined }],
    )
  })

  it('counts only who is registered in a final block', async () => {
    await world.register(0)
    await world.mine(3)
    await world.register(1)
    const desk = await open('one', { manifest: manifest({ finality: 3 }) })
    assert.equal(desk.committee.length, 1)
  })

  it('lets one of two founders start, and tells the other', async () => {
    await world.register(0)
    const [one, two] = [await open('one'), await open('two')]
    await one.start(signal)
    await assert.rejects(two.start(signal), { code: 'startRefused' })
  })

  it('is refused to others, without nodes, and once genesis has passed', async () => {
    const account = unhex(world.operator(3).privateKey)
    await assert.rejects(open('one', { account }), { code: 'notStarter' })
    const desk = await open('one')
    await assert.rejects(desk.start(signal), { code: 'emptyCommittee' })
    const genesis = Math.floor(clock.now() / 1_000)
    await assert.rejects(open('two', { manifest: manifest({ genesis }) }), {
      code: 'genesisPassed',
    })
  })
})
