/** Anvil behind a proxy that can fail in the ways endpoints do, and views of it. */
import { strict as assert } from 'node:assert'
import { once } from 'node:events'
import { createServer, request, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import {
  type Anvil,
  anvilTransport,
  checkpointsAbi,
  type DeployParameters,
  deployFunded,
  depositKeyRoot,
  depositsAbi,
  nameKeyArguments,
  nodeRegistryAbi,
  parametersAbi,
  parameterWord,
  startAnvil,
  type TestAccount,
  testAccounts,
  testDeployer,
  testGuardian,
  testnetContracts,
} from '@cairn/contracts'
import {
  type AccountChain,
  type Chain,
  type ChainAccess,
  type ChainWorld,
  type Clock,
  type EvmChainComponents,
  type EvmChainInit,
  evmChain,
  type Log,
  type NodeFacts,
  registerNode,
  type Submission,
  signerOf,
  startNetwork,
  systemClock,
} from '@cairn/node'
import {
  bls,
  Checkpoint,
  checkpointRoot,
  committeeWord,
  ed25519,
  emptyState,
  genesisCheckpoint,
  networkId,
  sha256,
  unhex,
  voteSigningRoot,
} from '@cairn/protocol'
import {
  type Abi,
  createPublicClient,
  createWalletClient,
  encodeFunctionData,
  type Hex,
  type HttpTransport,
  type PublicClient,
  type TestActions,
  testActions,
  toHex,
} from 'viem'

/** Ms between a view's looks. */
const POLL_MS = 10
/** Epochs of 4 blocks, from a time before the chain's. */
const EPOCHS = { genesis: 1_700_000_000, seconds: 4 }

export const clock = systemClock()

export const quiet: Log = {
  error() {},
  warn() {},
  info() {},
  debug() {},
  child: () => quiet,
}

/** What an endpoint does with a request; absent: it forwards it. */
export type Fault =
  | { kind: 'down' }
  /** Takes the call and says nothing; `begins`: after the head and the first byte of the answer. */
  | { kind: 'silent'; begins: boolean }
  | { kind: 'status'; status: number }
  /** Answers calls of a method by itself, an `Error` as one, and forwards the others. */
  | { kind: 'keep'; method: string; result: unknown }
  /** Changes the result of a call; an `Error` is answered as one. */
  | { kind: 'lie'; change: (method: string, result: unknown) => unknown }
  /** Looks for logs in no more blocks than this at once. */
  | { kind: 'bounded'; blocks: number }

export interface Endpoint {
  url: string
  fault: Fault | undefined
  /** Calls that reached it. */
  calls: number
  close(): Promise<void>
}

interface RpcCall {
  id: number
  method: string
  params: unknown[]
}
interface RpcAnswer {
  id: number
  result?: unknown
  error?: { code: number; message: string }
}

/** An endpoint in front of a chain. */
export async function openEndpoint(target: string): Promise<Endpoint> {
  const server = createServer(async (incoming, outgoing) => {
    endpoint.calls++
    const { fault } = endpoint
    const chunks: Buffer[] = []
    for await (const chunk of incoming) chunks.push(chunk as Buffer)
    const body = Buffer.concat(chunks).toString()
    if (fault?.kind === 'down') {
      incoming.socket.destroy()
      return
    }
    if (fault?.kind === 'silent') {
      if (fault.begins) outgoing.writeHead(200, { 'content-type': 'application/json' }).write('[')
      return
    }
    if (fault?.kind === 'status') {
      outgoing.writeHead(fault.status).end('no')
      return
    }
    if (fault?.kind === 'keep') {
      const calls = [JSON.parse(body) as RpcCall | RpcCall[]].flat()
      if (calls.some(({ method }) => method === fault.method)) {
        const { result } = fault
        const answer =
          result instanceof Error
            ? { error: { code: -32_000, message: result.message } }
            : { result }
        const kept = calls.map(({ id }) => ({ jsonrpc: '2.0', id, ...answer }))
        outgoing.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(kept))
        return
      }
    }
    if (fault?.kind === 'bounded') {
      const calls = [JSON.parse(body) as RpcCall | RpcCall[]].flat()
      if (calls.some(call => blocksOf(call) > fault.blocks)) {
        const error = { code: -32_602, message: 'block range is too wide' }
        const refused = calls.map(({ id }) => ({ jsonrpc: '2.0', id, error }))
        const text = JSON.stringify(refused.length === 1 ? refused[0] : refused)
        outgoing.writeHead(200, { 'content-type': 'application/json' }).end(text)
        return
      }
    }
    forward(target, body, outgoing, fault?.kind === 'lie' ? fault.change : undefined)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const endpoint: Endpoint = {
    url: `http://127.0.0.1:${port}`,
    fault: undefined,
    calls: 0,
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
  return endpoint
}

/** In which a call looks for logs. */
function blocksOf({ method, params }: RpcCall): number {
  if (method !== 'eth_getLogs') return 0
  const [{ fromBlock, toBlock }] = params as [{ fromBlock: string; toBlock: string }]
  return Number(toBlock) - Number(fromBlock) + 1
}

function forward(
  target: string,
  body: string,
  outgoing: ServerResponse,
  change: ((method: string, result: unknown) => unknown) | undefined,
): void {
  const headers = { 'content-type': 'application/json' }
  const onward = request(target, { method: 'POST', headers }, async answer => {
    const chunks: Buffer[] = []
    for await (const chunk of answer) chunks.push(chunk as Buffer)
    let text = Buffer.concat(chunks).toString()
    if (change !== undefined) {
      const calls = [JSON.parse(body) as RpcCall | RpcCall[]].flat()
      const answers = JSON.parse(text) as RpcAnswer | RpcAnswer[]
      for (const one of [answers].flat()) {
        const method = calls.find(({ id }) => id === one.id)?.method ?? ''
        const result = change(method, one.result)
        if (result instanceof Error) {
          delete one.result
          one.error = { code: -32_000, message: result.message }
        } else one.result = result
      }
      text = JSON.stringify(answers)
    }
    outgoing.writeHead(200, headers).end(text)
  })
  onward.on('error', () => outgoing.destroy())
  onward.end(body)
}

export interface TestChain {
  anvil: Anvil
  endpoint: Endpoint
  client: PublicClient<HttpTransport> & TestActions
  access: ChainAccess
  operator(i: number): TestAccount
  /** A view, which `close` stops. */
  chain(change?: Partial<EvmChainInit>, components?: Partial<EvmChainComponents>): AccountChain
  /** A view that is started. */
  open(...init: Parameters<TestChain['chain']>): Promise<AccountChain>
  /** Registers the node of this number, always with the same keys. */
  register(number: number, change?: Partial<NodeFacts>): Promise<Uint8Array>
  /** Takes the node of this index, which is that of its number, out of the active set. */
  requestExit(index: number): Promise<void>
  /** Takes the bond of a node back that has left. */
  withdrawBond(index: number): Promise<void>
  addBond(index: number, amount: bigint): Promise<void>
  changePlace(index: number, cell: bigint): Promise<void>
  /** Puts down so many base units for an operator's account. */
  deposit(number: number, amount: bigint): Promise<void>
  requestWithdrawal(number: number, amount: bigint): Promise<void>
  /** An operator's account names the identity key of a node, which signs unless told otherwise. */
  nameKey(number: number, node: number, signature?: Uint8Array): Promise<Uint8Array>
  changePayout(index: number, payout: Hex): Promise<void>
  changeKinds(index: number, kinds: number): Promise<void>
  /** Sets a parameter, as who carries out what was voted. */
  vote(name: string, value: bigint): Promise<void>
  /** Calls `Parameters`, as the timelock. */
  decide(functionName: 'set' | 'add', args: readonly unknown[]): Promise<void>
  begin(genesis: Checkpoint): Promise<Uint8Array>
  /** As the guardian. */
  cancel(epoch: number, before: Checkpoint): Promise<void>
  mine(blocks?: number): Promise<void>
  close(): Promise<void>
}

export function nodeSigner(number: number) {
  const voting = sha256(Uint8Array.of(3, number))
  voting[0] = (voting[0] as number) & 0x3f
  const identity = sha256(Uint8Array.of(4, number))
  return signerOf({
    identity: { secret: identity, publicKey: ed25519.publicKey(identity) },
    voting: { secret: voting, publicKey: bls.publicKey(voting) },
  })
}

export const NODE_FACTS: NodeFacts = {
  cell: 0n,
  region: 1,
  subBand: 0,
  gain: 23,
  kinds: 2,
  nonceEnd: new Uint8Array(32),
  bond: 10n ** 21n,
}

/**
 * A chain that makes a block for each transaction and for each `mine`, with the testnet's contracts or,
 * where parameters are other, with its own for four operators.
 */
export async function openChain(parameters?: Partial<DeployParameters>): Promise<TestChain> {
  const anvil = await startAnvil({ blockTime: 0 })
  const endpoint = await openEndpoint(anvil.rpcUrl)
  const contracts =
    parameters === undefined
      ? testnetContracts()
      : await deployFunded({ rpcUrl: anvil.rpcUrl, parameters, operators: 4 })
  const { chainId } = anvil
  // A wait for a receipt leaves the number of the block then, which is not to be taken for the present.
  const client = createPublicClient({
    transport: anvilTransport(anvil.rpcUrl),
    cacheTime: 0,
  }).extend(testActions({ mode: 'anvil' }))
  const access = { chainId, rpc: [anvil.rpcUrl], contracts }
  const accounts = testAccounts(16)
  const operator = (i: number) => {
    const account = accounts[i]
    assert.ok(account !== undefined)
    return account
  }
  const { signal } = new AbortController()
  const views: AccountChain[] = []
  const chain: TestChain['chain'] = (change = {}, components = {}) => {
    const view = evmChain(
      { clock, random: length => new Uint8Array(length), log: quiet, ...components },
      {
        chainId,
        rpc: [endpoint.url],
        contracts,
        finality: 0,
        epochs: EPOCHS,
        account: unhex(operator(15).privateKey),
        pollMs: POLL_MS,
        ...change,
      },
    )
    views.push(view)
    return view
  }
  const send = async ({ account }: Pick<TestAccount, 'account'>, to: Hex, data: Hex) => {
    const wallet = createWalletClient({ account, transport: anvilTransport(anvil.rpcUrl) })
    const hash = await wallet.sendTransaction({ chain: null, to, data })
    const { status } = await client.waitForTransactionReceipt({ hash, pollingInterval: 5 })
    assert.equal(status, 'success')
  }
  const act = (
    index: number,
    functionName:
      | 'requestExit'
      | 'withdraw'
      | 'addBond'
      | 'changePlace'
      | 'changePayout'
      | 'changeKinds',
    args: readonly unknown[],
  ) => {
    const data = encodeFunctionData({ abi: nodeRegistryAbi as Abi, functionName, args })
    return send(operator(index), contracts.registry, data)
  }
  const actOnDeposits = (
    account: TestAccount,
    functionName: 'deposit' | 'requestWithdrawal' | 'nameKey',
    args: readonly unknown[],
  ) => {
    const data = encodeFunctionData({ abi: depositsAbi as Abi, functionName, args })
    return send(account, contracts.deposits, data)
  }
  const decide: TestChain['decide'] = async (functionName, args) => {
    const account = contracts.timelock
    await client.impersonateAccount({ address: account })
    await client.setBalance({ address: account, value: 10n ** 18n })
    const transport = anvilTransport(anvil.rpcUrl)
    const hash = await createWalletClient({ account, transport }).writeContract({
      address: contracts.parameters,
      abi: parametersAbi as Abi,
      functionName,
      args,
      chain: null,
      // An unlocked account's default is more than a transaction may have.
      gas: 1_000_000n,
    })
    const { status } = await client.waitForTransactionReceipt({ hash, pollingInterval: 5 })
    assert.equal(status, 'success')
  }
  return {
    anvil,
    endpoint,
    client,
    access,
    operator,
    chain,
    async open(...init) {
      const view = chain(...init)
      await view.start(signal)
      return view
    },
    async register(number, change = {}) {
      const signer = nodeSigner(number)
      await registerNode(
        { clock, log: quiet },
        {
          chain: access,
          operator: unhex(operator(number).privateKey),
          signer,
          node: { ...NODE_FACTS, ...change },
          signal,
        },
      )
      return signer.identity
    },
    requestExit: index => act(index, 'requestExit', [index]),
    withdrawBond: index => act(index, 'withdraw', [index]),
    addBond: (index, amount) => act(index, 'addBond', [index, amount]),
    changePayout: (index, payout) => act(index, 'changePayout', [index, payout]),
    changeKinds: (index, kinds) => act(index, 'changeKinds', [index, kinds]),
    changePlace: (index, cell) => act(index, 'changePlace', [index, cell, 3, 1, -5]),
    deposit: (number, amount) =>
      actOnDeposits(testDeployer(), 'deposit', [operator(number).address, amount]),
    requestWithdrawal: (number, amount) =>
      actOnDeposits(operator(number), 'requestWithdrawal', [amount]),
    async nameKey(number, node, signature) {
      const { identity: key, signIdentity } = nodeSigner(node)
      const root = depositKeyRoot({
        chainId: BigInt(chainId),
        deposits: unhex(contracts.deposits),
        account: unhex(operator(number).address),
        key,
      })
      const args = nameKeyArguments(key, signature ?? signIdentity(root))
      await actOnDeposits(operator(number), 'nameKey', args)
      return key
    },
    async begin(checkpoint) {
      const { timestamp } = await client.getBlock()
      const genesis = Number(timestamp) + 1_000
      const starter = unhex(testDeployer().privateKey)
      await startNetwork(
        { clock, log: quiet },
        { chain: access, starter, genesis, checkpoint, signal },
      )
      const id = { chainId: BigInt(chainId), checkpoints: unhex(contracts.checkpoints) }
      return networkId({ ...id, genesis: BigInt(genesis) })
    },
    decide,
    vote: (name, value) => decide('set', [parameterWord(name), value]),
    async cancel(epoch, before) {
      const args = [BigInt(epoch), toHex(Checkpoint.serialize(before))]
      const data = encodeFunctionData({ abi: checkpointsAbi as Abi, functionName: 'cancel', args })
      const wallet = createWalletClient({
        account: testGuardian().account,
        transport: anvilTransport(anvil.rpcUrl),
      })
      const hash = await wallet.sendTransaction({ chain: null, to: contracts.checkpoints, data })
      const { status } = await client.waitForTransactionReceipt({ hash, pollingInterval: 5 })
      assert.equal(status, 'success')
    },
    async mine(blocks = 1) {
      await client.mine({ blocks, interval: 1 })
    },
    async close() {
      for (const view of views) await view.stop()
      await endpoint.close()
      await anvil.stop()
    },
  }
}

export async function openChainWorld(): Promise<ChainWorld> {
  const chain = await openChain({
    activationDelay: 60n,
    fallbackAfter: 20n,
    fallbackWindow: 10n,
  })
  const account = (i: number) => unhex(chain.operator(i).privateKey)
  let nodes = 0
  return {
    chains: [chain.chain({ account: account(14) }), chain.chain({ account: account(15) })],
    register: () => chain.register(nodes++),
    signVoting: (node, message) => nodeSigner(node).signVoting(message),
    deposit: chain.deposit,
    requestWithdrawal: chain.requestWithdrawal,
    nameKey: chain.nameKey,
    vote: (name, value) => chain.vote(name, value),
    begin: genesis => chain.begin(genesis),
    cancel: (epoch, before) => chain.cancel(epoch, before),
    async pass() {
      await chain.mine()
      await clock.until(clock.now() + 2 * POLL_MS)
    },
    async setDown(down) {
      chain.endpoint.fault = down ? { kind: 'down' } : undefined
    },
    close: () => chain.close(),
  }
}

/** A clock that runs `times` as fast as the machine's. */
export function hastened(times: number): Clock {
  const start = clock.now()
  const slow = (time: number) => start + (time - start) / times
  return {
    now: () => start + (clock.now() - start) * times,
    monotonic: () => clock.monotonic() * times,
    at: (time, task) => clock.at(slow(time), task),
    until: (time, signal) => clock.until(slow(time), signal),
  }
}

/** The system's clock, which moves ahead at once when told to: what already waits goes on waiting. */
export function movable(): { clock: Clock; move(ms: number): void } {
  let ahead = 0
  return {
    clock: {
      ...clock,
      now: () => clock.now() + ahead,
      at: (time, run) => clock.at(time - ahead, run),
      until: (time, signal) => clock.until(time - ahead, signal),
    },
    move: ms => {
      ahead += ms
    },
  }
}

const SOLE_SECRET = sha256(Uint8Array.of(0)).map((byte, i) => (i === 0 ? byte & 0x3f : byte))
const SOLE_MEMBERS = [{ key: bls.publicKey(SOLE_SECRET), weight: 1 }]

/** Of a network without nodes, whose committee is one voter that `signedAlone` has the secret of. */
export function soleGenesis(): Checkpoint {
  const committee = committeeWord(SOLE_MEMBERS)
  return genesisCheckpoint({ state: emptyState([]), kinds: [], committee, rulesVersion: 1 })
}

/** The checkpoint after this one. */
export function following(parent: Checkpoint, change: Partial<Checkpoint> = {}): Checkpoint {
  const epoch = BigInt.asUintN(64, parent.epoch + 1n)
  return { ...parent, epoch, parent: checkpointRoot(parent), ...change }
}

/** What lands a checkpoint of the network that `soleGenesis` began. */
export function signedAlone(checkpoint: Checkpoint, network: Uint8Array): Submission {
  const root = checkpointRoot(checkpoint)
  const vote = voteSigningRoot({ epoch: checkpoint.epoch, round: 0n, checkpoint: root }, network)
  return {
    checkpoint: Checkpoint.serialize(checkpoint),
    round: 0,
    committee: { members: SOLE_MEMBERS, absent: [] },
    signature: bls.sign(vote, SOLE_SECRET),
  }
}

/** Resolves once the condition holds, looked at after each advance of the view. */
export async function advanced(chain: Chain, holds: () => boolean): Promise<void> {
  if (holds()) return
  await new Promise<void>(resolve => {
    const leave = chain.onAdvance(() => {
      if (!holds()) return
      leave()
      resolve()
    })
  })
}
