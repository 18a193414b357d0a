import { strict as assert } from 'node:assert'
import { type ChainWorld, chainCases } from '@cairn/node'
import {
  bls,
  ed25519,
  PARAMETERS,
  plainVerifier,
  sha256,
  TESTNET_PROFILE,
  TOKEN,
} from '@cairn/protocol'
import { SimulatedChain, VirtualClock } from '@cairn/testnet'

const START = 1_700_000_000_000
const SEED = new Uint8Array(32).fill(7)
const NETWORK = new Uint8Array(32).fill(8)
const BLOCK_SECONDS = 1

const account = (byte: number) => new Uint8Array(20).fill(byte)

function chain(clock: VirtualClock): SimulatedChain {
  return new SimulatedChain(
    { clock, verifier: plainVerifier },
    {
      seed: SEED,
      blockSeconds: BLOCK_SECONDS,
      network: NETWORK,
      activationDelay: 60,
      fallback: { genesis: START / 1_000, after: 20, window: 10 },
      parameters: new Map(PARAMETERS.map(({ name, of }) => [name, of(TESTNET_PROFILE)])),
    },
  )
}

async function open(): Promise<ChainWorld> {
  const clock = new VirtualClock({ start: START })
  const simulated = chain(clock)
  const [first, second] = [simulated.port(account(1)), simulated.port(account(2))]
  let nodes = 0
  const pass = async () => {
    await clock.run({ until: clock.now() + BLOCK_SECONDS * 1_000 })
  }
  return {
    chains: [first, second],
    async register() {
      const [entry] = simulated.register([registration(nodes++)])
      assert.ok(entry !== undefined)
      return entry.identity
    },
    signVoting: (node, message) => bls.sign(message, votingSecret(node)),
    async deposit(number, amount) {
      simulated.deposit([{ account: account(number), type: 'deposited', amount }])
    },
    async requestWithdrawal(number, amount) {
      simulated.deposit([{ account: account(number), type: 'requested', amount }])
    },
    async nameKey(number, key) {
      const named = sha256(Uint8Array.of(key))
      simulated.deposit([{ account: account(number), type: 'named', key: named }])
      return named
    },
    async begin(genesis) {
      simulated.start(genesis)
      return NETWORK
    },
    async cancel(epoch) {
      simulated.cancel(epoch)
    },
    async vote(name, value) {
      simulated.setParameters({ [name]: value })
    },
    pass,
    async setDown(down) {
      first.setDown(down)
      second.setDown(down)
    },
    async close() {
      simulated.stop()
    },
  }
}

function votingSecret(number: number): Uint8Array {
  // Below the group's order.
  return sha256(Uint8Array.of(number)).with(0, 0)
}

function registration(number: number) {
  const secret = votingSecret(number)
  return {
    operator: account(3),
    payout: account(3),
    identity: ed25519.publicKey(secret),
    voting: bls.publicKey(secret),
    cell: 0n,
    region: 0,
    subBand: 0,
    gain: 0,
    kinds: 0,
    nonceEnd: new Uint8Array(32),
    bond: 1_000n * TOKEN,
    exitAt: 0,
  }
}

describe('simulated chain', () => {
  for (const { title, run } of chainCases(open)) it(title, run)

  it('never changes what a view has seen of a block', async () => {
    const clock = new VirtualClock({ start: START })
    const simulated = chain(clock)
    const view = simulated.port(account(1))
    await view.start(new AbortController().signal)
    const head = view.head()
    assert.ok(head !== undefined)
    simulated.register([registration(0)])
    assert.deepEqual(view.registryAt(head.number), [])
    assert.equal(view.head()?.number, head.number + 1n)
    assert.equal(view.registryAt(head.number + 1n).length, 1)
    simulated.stop()
  })
})
