/** The commands against a real chain: each account behind an API of its own. */
import { strict as assert } from 'node:assert'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parametersAbi, parameterWord } from '@cairn/contracts'
import { type Api, apiToken, startApi, systemClock, Voter } from '@cairn/node'
import { lockPath } from '@cairn/node/lock'
import { unhex } from '@cairn/protocol'
import { accountView } from '../../node/src/account-view.ts'
import { type TestView, testView } from '../../node/test/api/view.ts'
import { advanced, openChain, type TestChain } from '../../node/test/chain/world.ts'
import { type CairnFailure, cairn, jsonOf, temporaryDirectory } from './process.ts'

const silent = {
  error: () => undefined,
  warn: () => undefined,
  info: () => undefined,
  debug: () => undefined,
  child: () => silent,
}
const { signal } = new AbortController()

interface Shown {
  id: string
  state: string
  now: number
  starts: number
  ends: number
  executableAt: number
}

describe('cairn vote', function () {
  this.timeout(240_000)

  const directory = temporaryDirectory()
  let world: TestChain
  let apis: Api[]
  let views: TestView[]

  beforeEach(async () => {
    world = await openChain()
    apis = []
    views = []
    for (const number of [0, 1]) {
      await world.register(number)
      await open(number)
    }
    await later(1)
  })
  afterEach(async () => {
    for (const api of apis) await api.stop()
    for (const view of views) await view.close()
    await world.close()
  })

  const open = async (number: number) => {
    const chain = await world.open({ account: unhex(world.operator(number).privateKey) })
    const { rpc, transactions } = chain
    const voter = new Voter({ chain, rpc, transactions }, world.access as never)
    const node = await testView()
    views.push(node)
    Object.assign(node.view, {
      votes: () => voter.votes(),
      voteParameters: () => voter.parameters(),
      proposal: (id: string) => voter.proposal(id),
      propose: (values: ReadonlyMap<string, bigint>, title: string) =>
        voter.propose(values, title, signal),
      castVote: (id: string, support: 'for') => voter.cast(id, support, signal),
      moveProposal: (id: string, act: 'queue') => voter[act](id, signal),
      delegateVotes: () => voter.delegate(undefined, signal),
      transactions: async () => accountView(chain.account()),
    })
    const at = directoryOf(number)
    await mkdir(at)
    const tokenPath = join(at, 'api.token')
    const token = await apiToken(tokenPath)
    const components = { view: node.view, clock: systemClock(), log: silent, metrics: node.metrics }
    const api = await startApi(components, { port: 0, token })
    apis.push(api)
    await writeFile(
      lockPath(at),
      JSON.stringify({ pid: 2 ** 22 + 1, api: { url: api.url, tokenPath } }),
    )
  }
  const directoryOf = (number: number) => join(directory(), String(number))
  const vote = (number: number, ...args: string[]) =>
    cairn(['vote', ...args, '--data-dir', directoryOf(number)])
  const done = async (number: number, ...args: string[]) => {
    const ended = await vote(number, ...args)
    assert.equal(ended.code, 0, ended.stderr)
    return ended
  }
  const shown = async (id: string) => jsonOf<Shown>(await done(0, 'show', id, '--json'))
  const later = async (seconds: number) => {
    await world.client.increaseTime({ seconds })
    await world.mine()
  }

  it('takes a proposal from its first word to the changed parameter', async () => {
    const none = await done(0, 'list')
    assert.match(none.stdout, /nothing was proposed yet[\s\S]*votes with 1000/)
    const given = ['propose', '--set', 'baseShare=0.4', '--set', 'weight.1=3']
    const proposed = await done(0, ...given, '--title', 'More for what is proven')
    const [, id = ''] = /^proposed ([0-9a-f]{64})\nvoting is from \S+Z to \S+Z\n/.exec(
      proposed.stdout,
    ) as string[]
    assert.match(proposed.stderr, /cairn vote cast [0-9a-f]{12} for/)
    const pending = await shown(id)
    await later(pending.starts - pending.now + 1)

    const text = (await done(1, 'show', id.slice(0, 12))).stdout
    assert.match(text, /^More for what is proven\n/)
    assert.match(text, /set baseShare to 0\.4, now 0\.3: part of/)
    assert.match(text, /set weight\.1 to 3, now 1: /)
    assert.match(text, /state +active/)
    assert.match(text, /2000 missing to the quorum/)
    for (const number of [0, 1]) {
      const cast = await done(number, 'cast', id.slice(0, 12), 'for')
      assert.match(cast.stdout, /^voted for with 1000/)
    }
    const early = await vote(0, 'queue', id)
    assert.notEqual(early.code, 0)
    assert.match(early.stderr, /voting ends in \d+ \w+/)

    const active = await shown(id)
    await later(active.ends - active.now + 1)
    const queued = await done(1, 'queue', id)
    assert.match(queued.stdout, /^queued: More/)
    assert.match(queued.stderr, /carry it out in \d+ s/)
    const waiting = await shown(id)
    await later(waiting.executableAt - waiting.now)
    assert.match((await done(0, 'execute', id)).stdout, /^executed: More/)

    const chain = await world.open()
    const now = () => chain.parametersAt(chain.head()?.number ?? 0n)
    await advanced(chain, () => now().length === 2)
    assert.deepEqual(
      now().map(({ name, value }) => [name, value]),
      [
        ['baseShare', 400_000n],
        ['weight.1', 3n],
      ],
    )
    assert.match((await done(1, 'list')).stdout, /^[0-9a-f]{12} {2}executed {3}More for/)

    const { stdout: sent } = await cairn(['transactions', '--data-dir', directoryOf(0)])
    const short = id.slice(0, 12)
    const acts = [`execute ${short}`, `vote for on ${short}`, "propose 'More for what is proven'"]
    const times = sent.match(/^ {2}\S+Z {2}\S.*$/gm)?.map(line => line.trim().split(/ {2}/))
    assert.deepEqual(
      times?.map(([, about]) => about),
      acts,
    )
    assert.match(
      sent,
      /^ {4}done.* in block \d+ at \S+Z, fee \S+ ether\n {4}nonce \d+ {2}0x[0-9a-f]{64}$/m,
    )
  })

  it('says what is wrong, and what to do', async () => {
    const failed = async (code: string, ...args: string[]) => {
      const ended = await vote(0, ...args, '--json')
      assert.notEqual(ended.code, 0)
      const { error } = jsonOf<CairnFailure>(ended)
      assert.equal(error.code, code)
      assert.ok(error.next, code)
    }
    await failed('usage', 'propose', '--title', 'nothing')
    await failed('badParameter', 'propose', '--title', 'no such', '--set', 'nonsense=1')
    await failed('badParameter', 'propose', '--title', 'too far', '--set', 'baseShare=0.9')
    const twice = ['--set', 'baseShare=0.4', '--set', 'baseShare=0.35']
    await failed('usage', 'propose', '--title', 'twice', ...twice)
    await failed('usage', 'preview', ...twice)
    await failed('unknownProposal', 'show', 'abc')
    await failed('unknownProposal', 'cast', 'abc', 'for')
    await failed('badRequest', 'show', 'not-an-id')
  })

  it('lists what can be voted on, with bounds and step', async () => {
    const { stdout } = await done(0, 'parameters')
    assert.match(stdout, /^baseShare +0\.3, from 0 to 1, by 0\.1 a vote\n {2}part of a kind’s/m)
    assert.match(stdout, /^servedPrice +\S+ tokens, from 0\.000001 to 1, by 0\.002 a vote$/m)
    assert.match(stdout, /^placeFee +10 tokens, from 0 to 1000, by 10 a vote$/m)
    const named = await world.client.readContract({
      address: world.access.contracts.parameters,
      abi: parametersAbi,
      functionName: 'names',
    })
    const listed = stdout.match(/^\S+(?= .*, by )/gm) ?? []
    assert.deepEqual(listed.map(parameterWord).sort(), [...named].sort())
  })

  it('proposes what contracts alone read, and previews nothing of it', async () => {
    const proposed = await done(0, 'propose', '--set', 'placeFee=5', '--title', 'Cheaper moves')
    assert.doesNotMatch(proposed.stderr, /preview/)
    const [, id = ''] = /^proposed ([0-9a-f]{64})/.exec(proposed.stdout) as string[]
    assert.match((await done(0, 'show', id)).stdout, /set placeFee to 5, now 10: burned for each/)
  })

  it('has tokens vote that vote for nobody', async () => {
    assert.match((await done(0, 'list')).stdout, /vote for nobody/)
    const delegated = await done(0, 'delegate')
    assert.doesNotMatch(delegated.stdout, /vote for nobody/)
  })
})
