/** The way back from a kept root to an older one, over endpoints that give little, nothing, or lies. */
import { strict as assert } from 'node:assert'
import fc from 'fast-check'
import { CairnError, type Checkpoint, checkpointRoot, type RpcRequest } from '../src/index.ts'
import { LIGHT_LOG_CALLS_MAX, rootBelow } from '../src/links.ts'
import { type History, historyOf, logEndpoint, logOf, type PastLog } from './history.ts'

const YEAR = 8_760
/** An hour of blocks of 12 s. */
const HOUR = 300n
const CHECKPOINTS = new Uint8Array(20).fill(5)

describe('the links to an older checkpoint', () => {
  let year: History

  before(() => {
    year = historyOf({ epochs: YEAR, every: HOUR })
  })

  const rootOf = ({ checkpoints }: History, epoch: number) =>
    checkpointRoot(checkpoints[epoch] as Checkpoint)
  const follow = (
    request: RpcRequest,
    init: { epoch?: number; of?: History; from?: bigint } = {},
  ) => {
    const { epoch = 0, of = year, from = 0n } = init
    const last = of.checkpoints.length - 1
    const kept = { epoch: last, root: rootOf(of, last) }
    return rootBelow(epoch, kept, {
      request,
      checkpoints: CHECKPOINTS,
      from,
      to: of.newest + 50n,
    })
  }
  const refusal = async (call: Promise<unknown>) => {
    const error = await call.then(
      () => assert.fail('it holds'),
      (reason: unknown) => reason,
    )
    assert.ok(error instanceof CairnError, String(error))
    return error.code
  }

  it('are found a year back where an endpoint gives logs of 1,000 blocks, each looked through once', async () => {
    const { request, asked } = logEndpoint(year, 1_000n)
    assert.deepEqual(await follow(request), rootOf(year, 0))
    const least = Number((year.newest - 1_000n) / 1_000n)
    assert.ok(asked.calls <= least + 10, `${asked.calls} calls for ${least}`)
  })

  it('are asked for in few calls of an endpoint without a bound, which is left when they are there', async () => {
    const { request, asked } = logEndpoint(year)
    assert.deepEqual(await follow(request, { epoch: 1_000 }), rootOf(year, 1_000))
    assert.ok(asked.calls < 80, `${asked.calls}`)
    const near = logEndpoint(year)
    await follow(near.request, { epoch: YEAR - 3 })
    assert.equal(near.asked.calls, 1)
  })

  it('are found whatever the distance of blocks and the bound', async () => {
    const chains = fc.record({
      epochs: fc.integer({ min: 2, max: 200 }),
      every: fc.bigInt({ min: 0n, max: 500n }),
      most: fc.bigInt({ min: 1n, max: 3_000n }),
      part: fc.double({ min: 0, max: 1, noNaN: true }),
    })
    await fc.assert(
      fc.asyncProperty(chains, async ({ epochs, every, most, part }) => {
        const of = historyOf({ epochs, every })
        const epoch = Math.floor(part * (epochs - 1))
        // Of fewer blocks than there are in 20,000 calls nobody gives logs.
        const bound = every * BigInt(epochs) > 20_000n * most ? undefined : most
        const { request } = logEndpoint(of, bound)
        assert.deepEqual(await follow(request, { of, epoch }), rootOf(of, epoch))
      }),
      { numRuns: 25, verbose: 1 },
    )
  })

  it('of a checkpoint that was cancelled and accepted again are found by the later of its logs', async () => {
    const of = historyOf({ epochs: 20, every: HOUR })
    const again = logOf(of.checkpoints[7] as Checkpoint, 100n)
    const twice = { ...of, logs: [again, ...of.logs] }
    const { request } = logEndpoint(twice, 100n)
    assert.deepEqual(await follow(request, { of }), rootOf(of, 0))
  })

  it('are missing where an endpoint leaves one out, which shows before the whole range is asked', async () => {
    for (const most of [undefined, 1_000n]) {
      const logs = year.logs.filter(({ epoch }) => epoch !== 8_000)
      const { request, asked } = logEndpoint({ logs }, most)
      assert.equal(await refusal(follow(request)), 'missingLinks')
      assert.ok(asked.calls < 300, `${asked.calls}`)
    }
  })

  it('are missing where an endpoint keeps the newer logs alone, or none', async () => {
    for (const logs of [year.logs.slice(-1_000), []]) {
      const { request, asked } = logEndpoint({ logs }, 1_000n)
      assert.equal(await refusal(follow(request)), 'missingLinks')
      assert.ok(asked.calls < 3_000)
    }
  })

  it('are missing where they lie below the block that is named as the first', async () => {
    const { request } = logEndpoint(year)
    assert.equal(await refusal(follow(request, { from: 500_000n })), 'missingLinks')
    const from = year.logs.find(({ epoch }) => epoch === 1)?.block as bigint
    assert.deepEqual(await follow(request, { from }), rootOf(year, 0))
  })

  it('are given up after so many calls, whatever an endpoint has answered till then', async () => {
    const empty: RpcRequest = async (_method, params) => {
      calls++
      const [{ fromBlock, toBlock }] = params as [{ fromBlock: string; toBlock: string }]
      if (BigInt(toBlock) > BigInt(fromBlock)) throw new CairnError('rpcRefused', 'too many')
      return []
    }
    let calls = 0
    assert.equal(await refusal(follow(empty)), 'missingLinks')
    assert.equal(calls, LIGHT_LOG_CALLS_MAX)
  })

  it('are not halved for ever where an endpoint refuses everything', async () => {
    let calls = 0
    const refused = follow(async () => {
      calls++
      throw new CairnError('rpcRefused', 'no')
    })
    assert.equal(await refusal(refused), 'rpcRefused')
    assert.ok(calls <= 18, `${calls}`)
  })

  it('are not looked for in smaller ranges where an endpoint limits the rate', async () => {
    let calls = 0
    const limited = follow(async () => {
      calls++
      throw new CairnError('rateLimited', 'later')
    })
    assert.equal(await refusal(limited), 'rateLimited')
    assert.equal(calls, 1)
  })

  it('do not lead from a root that is of another epoch than was said', async () => {
    const { request } = logEndpoint(year)
    const kept = { epoch: YEAR - 1, root: rootOf(year, YEAR - 2) }
    const init = { request, checkpoints: CHECKPOINTS, from: 0n, to: year.newest }
    assert.equal(await refusal(rootBelow(0, kept, init)), 'badRpc')
  })

  describe('that an endpoint makes up', () => {
    const of = historyOf({ epochs: 300, every: HOUR })
    const lied = { ...(of.checkpoints[200] as Checkpoint), earnedTotal: 1n }
    const changed = (change: (log: PastLog) => PastLog): RpcRequest => {
      const logs = of.logs.map(log => (log.epoch === 200 ? change(log) : log))
      return logEndpoint({ logs }).request
    }
    const answers =
      (answer: unknown): RpcRequest =>
      async () =>
        answer

    const cases: [string, RpcRequest, string][] = [
      ['with another content', changed(({ block }) => logOf(lied, block)), 'missingLinks'],
      [
        'with another’s bytes under its root',
        changed(({ block, data, ...rest }) => ({
          ...rest,
          block,
          data: data.slice(0, 2 + 2 * 160) + logOf(lied, block).data.slice(2 + 2 * 160),
        })),
        'missingLinks',
      ],
      ['cut short', changed(log => ({ ...log, data: log.data.slice(0, 600) })), 'badRpc'],
      ['without data', changed(log => ({ ...log, data: '0x' })), 'badRpc'],
      ['as no list', answers({}), 'badRpc'],
      ['as a list of nothing', answers([null]), 'badRpc'],
      ['of a block that nobody asked about', answers([entry(of.logs[299], 10n ** 9n)]), 'badRpc'],
      ['of no block', answers([{ data: of.logs[299]?.data }]), 'badRpc'],
    ]
    for (const [title, request, code] of cases) {
      it(`${title} are refused`, async () => {
        assert.equal(await refusal(follow(request, { of })), code)
      })
    }

    it('as a list without end are refused, however right each is', async () => {
      const last = of.logs.at(-1)
      const list = (length: number) => answers(new Array(length).fill(entry(last, of.newest)))
      assert.deepEqual(await follow(list(2_048), { of, epoch: 298 }), rootOf(of, 298))
      assert.equal(await refusal(follow(list(2_049), { of, epoch: 298 })), 'badRpc')
    })

    it('of another epoch than the contract says are refused', async () => {
      const logs = of.logs.map(log => ({ ...log, epoch: log.epoch + 1 }))
      const { request } = logEndpoint({ logs })
      const init = { request, checkpoints: CHECKPOINTS, from: 0n, to: of.newest }
      const found = rootBelow(298, { epoch: 300, root: rootOf(of, 299) }, init)
      assert.equal(await refusal(found), 'badRpc')
    })
  })
})

function entry(log: PastLog | undefined, block: bigint) {
  return { data: log?.data, blockNumber: `0x${block.toString(16)}` }
}
