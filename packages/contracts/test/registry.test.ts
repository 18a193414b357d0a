import { strict as assert } from 'node:assert'
import {
  anvilTransport,
  cairnTokenAbi,
  keyWords,
  nodeRegistryAbi,
  permitArguments,
  possessionRoot,
  registerArguments,
  registrationNetwork,
  registrationRoot,
  TESTNET_PARAMETERS,
} from '@cairn/contracts'
import { bls, ed25519, sha256 } from '@cairn/protocol'
import { cellToParent } from 'h3-js'
import {
  bytesToHex,
  createWalletClient,
  encodeFunctionData,
  type Hex,
  hexToBytes,
  parseEther,
  parseEventLogs,
} from 'viem'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { foundry } from 'viem/chains'
import { nodeSecrets, refusalOf, registrationOf, worldForEach } from './world.ts'

type Arguments = ReturnType<typeof registerArguments>

/** By name, or as the registry passes on the token's own. */
const ALLOWANCE = /ERC20InsufficientAllowance|0xfb8f41b2/

describe('NodeRegistry', () => {
  const world = worldForEach()

  const registry = () => ({ address: world.contracts.registry, abi: nodeRegistryAbi }) as const
  const register = async (args: Arguments, operator = 0) =>
    world.mined(
      await world
        .operator(operator)
        .writeContract({ ...registry(), functionName: 'register', args }),
    )
  const refusal = (args: Arguments, operator = 0) =>
    refusalOf(
      world.client.simulateContract({
        ...registry(),
        functionName: 'register',
        args,
        account: world.operator(operator).account,
      }),
    )
  const act = (functionName: 'requestExit' | 'withdraw', index: number, operator = 0) =>
    ({
      call: {
        ...registry(),
        functionName,
        args: [index],
        account: world.operator(operator).account,
        // More than an estimate at the time of the last block, whose entry of votes would do.
        gas: 300_000n,
      },
    }) as const
  const withKey = (args: Arguments, voting: Arguments[0]['voting']): Arguments => [
    { ...args[0], voting },
    args[1],
    args[2],
  ]

  it('publishes everything a follower needs, and takes the bond', async () => {
    const registration = registrationOf(world, 0)
    const receipt = await register(registerArguments(registration))
    const [log] = parseEventLogs({
      abi: nodeRegistryAbi,
      eventName: 'Registered',
      logs: receipt.logs,
    })
    assert.ok(log !== undefined)
    const { args } = log
    assert.equal(args.index, 0)
    assert.equal(args.operator, world.operator(0).account.address)
    assert.equal(args.voting, bytesToHex(registration.voting))
    assert.equal(args.identitySignature.join('').replaceAll('0x', '').length, 128)
    const { payout, identity, cell, region, subBand, gain, kinds, nonceEnd, bond } =
      args.registration
    assert.deepEqual(
      { cell, region, subBand, gain, kinds, bond },
      { cell: 0x8c2a100d2c8a1ffn, region: 3, subBand: 1, gain: -12, kinds: 6, bond: 10n ** 21n },
    )
    assert.equal(payout, world.operator(0).account.address)
    assert.equal(identity, bytesToHex(registration.identity))
    assert.equal(nonceEnd, bytesToHex(registration.nonceEnd))
    const bonded = await world.client.readContract({
      ...registry(),
      functionName: 'bonded',
      args: [world.operator(0).account.address],
    })
    assert.equal(bonded, 10n ** 21n)
  })

  it('carries an identity signature that holds for the statement and no other', async () => {
    const registration = registrationOf(world, 0)
    const statement = {
      chainId: BigInt(world.anvil.chainId),
      registry: hexToBytes(world.contracts.registry),
      operator: registration.payout,
      identity: registration.identity,
      voting: registration.voting,
    }
    const { identity, identitySignature } = registration
    assert.ok(ed25519.verify(registrationRoot(statement), identity, identitySignature))
    assert.ok(!ed25519.verify(possessionRoot(statement), identity, identitySignature))
    const network = await world.client.readContract({
      ...registry(),
      functionName: 'registrationNetwork',
    })
    assert.equal(network, bytesToHex(registrationNetwork(statement)))
  })

  it('gives indices in order of registration, to nodes of any operators', async () => {
    for (const [number, operator] of [0, 1, 0].entries()) {
      const change = { operator: world.operator(operator).account.address }
      const receipt = await register(
        registerArguments(registrationOf(world, number, change)),
        operator,
      )
      const [log] = parseEventLogs({
        abi: nodeRegistryAbi,
        eventName: 'Registered',
        logs: receipt.logs,
      })
      assert.equal(log?.args.index, number)
    }
  })

  it('refuses a possession of another operator, chain or key', async () => {
    const other = registrationOf(world, 0, { operator: world.operator(1).account.address })
    assert.equal(await refusal(registerArguments(other)), 'BadPossession')
    const elsewhere = registrationOf(world, 0, { chainId: 1n })
    assert.equal(await refusal(registerArguments(elsewhere)), 'BadPossession')
    const right = registrationOf(world, 0)
    const stolen = { ...right, voting: registrationOf(world, 1).voting }
    assert.equal(await refusal(registerArguments(stolen)), 'BadPossession')
    const swapped = { ...right, identity: registrationOf(world, 1).identity }
    assert.equal(await refusal(registerArguments(swapped)), 'BadPossession')
  })

  it('refuses a vote or an identity statement in the place of a possession', async () => {
    const right = registrationOf(world, 0)
    const statement = {
      chainId: BigInt(world.anvil.chainId),
      registry: hexToBytes(world.contracts.registry),
      operator: right.payout,
      identity: right.identity,
      voting: right.voting,
    }
    const possession = bls.sign(registrationRoot(statement), nodeSecrets(0).voting)
    assert.equal(await refusal(registerArguments({ ...right, possession })), 'BadPossession')
  })

  it('refuses the key that is infinity, also with the signature that is', async () => {
    const args = registerArguments(registrationOf(world, 0))
    const zero: Hex = `0x${'00'.repeat(32)}`
    const nowhere = withKey(args, [zero, zero, zero, zero])
    assert.equal(await refusal(nowhere), 'Infinity')
    const none = args[1].map(() => zero) as unknown as Arguments[1]
    assert.equal(await refusal([nowhere[0], none, nowhere[2]]), 'Infinity')
    assert.equal(await refusal([args[0], none, args[2]]), 'BadPossession')
  })

  it('refuses a key of the curve that is outside the group', async () => {
    const args = registerArguments(registrationOf(world, 0))
    // (0, 2) is on y^2 = x^3 + 4 and has order 3.
    const outside = new Uint8Array(128)
    outside[127] = 2
    assert.equal(await refusal(withKey(args, keyWords(outside))), 'InvalidPoint')
  })

  it('refuses a key that is on no curve, or not reduced', async () => {
    const args = registerArguments(registrationOf(world, 0))
    const [xHigh, xLow, yHigh, yLow] = args[0].voting
    const shifted = `0x${(BigInt(yLow) ^ 1n).toString(16).padStart(64, '0')}` as Hex
    assert.equal(await refusal(withKey(args, [xHigh, xLow, yHigh, shifted])), 'InvalidPoint')
    const order =
      0x1a0111ea397fe69a4b1ba7b6434bacd764774b84f38512bf6730d2a0f6b0f6241eabfffeb153ffffb9feffffffffaaabn
    const x = (BigInt(`${xHigh}${xLow.slice(2)}`) + order).toString(16).padStart(128, '0')
    const above = withKey(args, [`0x${x.slice(0, 64)}`, `0x${x.slice(64)}`, yHigh, yLow])
    assert.equal(await refusal(above), 'InvalidPoint')
  })

  it('refuses a voting key that was ever used, also after its node has left', async () => {
    await register(registerArguments(registrationOf(world, 0)))
    const other = registrationOf(world, 0, { operator: world.operator(1).account.address })
    assert.equal(await refusal(registerArguments(other), 1), 'KeyUsed')
    await world.mined(await world.operator(0).writeContract(act('requestExit', 0).call))
    await world.client.increaseTime({ seconds: Number(TESTNET_PARAMETERS.exitDelay) })
    await world.mined(await world.operator(0).writeContract(act('withdraw', 0).call))
    assert.equal(await refusal(registerArguments(other), 1), 'KeyUsed')
  })

  it('refuses an identity that its operator used, and lets nobody take that of another', async () => {
    // The identity of node 0 with the voting key of node 9.
    const mixed = (operator: Hex): Arguments => {
      const { identity } = registrationOf(world, 0)
      const voting = bls.publicKey(nodeSecrets(9).voting)
      const statement = {
        chainId: BigInt(world.anvil.chainId),
        registry: hexToBytes(world.contracts.registry),
        operator: hexToBytes(operator),
        identity,
        voting,
      }
      const possession = bls.sign(possessionRoot(statement), nodeSecrets(9).voting)
      return registerArguments({ ...registrationOf(world, 0), voting, possession })
    }
    await register(mixed(world.operator(1).account.address), 1)
    await register(registerArguments(registrationOf(world, 0)))
    assert.equal(await refusal(mixed(world.operator(0).account.address)), 'KeyUsed')
  })

  it('asks for the bond of a node and of an operator', async () => {
    const low = registrationOf(world, 0, { bond: parseEther('99') })
    assert.equal(await refusal(registerArguments(low)), 'NodeBondTooLow')
    const first = registrationOf(world, 0, { bond: parseEther('999') })
    assert.equal(await refusal(registerArguments(first)), 'OperatorBondTooLow')
    await register(registerArguments(registrationOf(world, 0)))
    await register(registerArguments(registrationOf(world, 1, { bond: parseEther('100') })))
  })

  it('refuses a bond that the operator does not have', async () => {
    const rich = registrationOf(world, 0, { bond: parseEther('100001') })
    assert.match(await refusal(registerArguments(rich)), /ERC20InsufficientBalance|0xe450d38c/)
  })

  it('refuses no payout account, no identity, and what is no H3 cell of its resolutions', async () => {
    const args = registerArguments(registrationOf(world, 0))
    const zero: Hex = `0x${'00'.repeat(20)}`
    assert.equal(await refusal([{ ...args[0], payout: zero }, args[1], args[2]]), 'ZeroPayout')
    const identity: Hex = `0x${'00'.repeat(32)}`
    assert.equal(await refusal([{ ...args[0], identity }, args[1], args[2]]), 'ZeroIdentity')
    for (const cell of [1n, 0x8b2a100d2c8afffn, 2n ** 63n + 0x8c2a100d2c8a1ffn]) {
      assert.equal(await refusal([{ ...args[0], cell }, args[1], args[2]]), 'BadCell')
    }
    for (const cell of [0n, 0x8a2a100d2c8ffffn]) {
      const id = await world.client.snapshot()
      await register([{ ...args[0], cell }, args[1], args[2]])
      await world.client.revert({ id })
    }
  })

  describe('exit', () => {
    it('returns the bond after the delay, once, to the operator', async () => {
      await register(registerArguments(registrationOf(world, 0)))
      const simulate = (what: 'requestExit' | 'withdraw', operator = 0) =>
        refusalOf(world.client.simulateContract(act(what, 0, operator).call))
      assert.equal(await simulate('withdraw'), 'ExitNotDue')
      assert.equal(await simulate('requestExit', 1), 'NotOperator')
      const receipt = await world.mined(
        await world.operator(0).writeContract(act('requestExit', 0).call),
      )
      const { timestamp } = await world.client.getBlock({ blockNumber: receipt.blockNumber })
      const [log] = parseEventLogs({
        abi: nodeRegistryAbi,
        eventName: 'ExitRequested',
        logs: receipt.logs,
      })
      assert.deepEqual(log?.args, { index: 0, exitAt: timestamp })
      assert.equal(await simulate('requestExit'), 'ExitAlreadyRequested')
      assert.equal(await simulate('withdraw'), 'ExitNotDue')
      await world.client.increaseTime({ seconds: Number(TESTNET_PARAMETERS.exitDelay) })
      await world.client.mine({ blocks: 1 })
      assert.equal(await simulate('withdraw', 1), 'NotOperator')
      await world.mined(await world.operator(0).writeContract(act('withdraw', 0).call))
      assert.equal(await simulate('withdraw'), 'AlreadyWithdrawn')
    })

    it('counts its own events', async () => {
      const { client, operator } = world
      const count = () => client.readContract({ ...registry(), functionName: 'logCount' })
      const emitted = async () => {
        const { address } = registry()
        return (await client.getLogs({ address, fromBlock: 0n })).length
      }
      const does = async (what: 'requestExit' | 'withdraw', index: number) =>
        world.mined(await operator(0).writeContract(act(what, index).call))
      assert.equal(await count(), 0)
      for (const i of [0, 1]) await register(registerArguments(registrationOf(world, i)))
      assert.equal(await count(), 2)
      await does('requestExit', 1)
      assert.equal(await count(), 3)
      await client.increaseTime({ seconds: Number(TESTNET_PARAMETERS.exitDelay) })
      await does('withdraw', 1)
      assert.equal(await count(), 4)
      assert.equal(await emitted(), 4)
    })

    it('leaves no operator with less than the minimum', async () => {
      await register(registerArguments(registrationOf(world, 0)))
      await register(registerArguments(registrationOf(world, 1, { bond: parseEther('100') })))
      const refused = await refusalOf(world.client.simulateContract(act('requestExit', 0).call))
      assert.equal(refused, 'OperatorBondTooLow')
      await world.mined(await world.operator(0).writeContract(act('requestExit', 1).call))
      await world.mined(await world.operator(0).writeContract(act('requestExit', 0).call))
    })
  })

  describe('changes', () => {
    const CELL = 0x8c2a100d2c8a3ffn
    const place = (account: number, cell = CELL) =>
      ({
        ...registry(),
        functionName: 'changePlace',
        args: [0, cell, 4, 2, 30],
        account: world.operator(account).account,
      }) as const
    const bondMore = (index: number) =>
      ({
        ...registry(),
        functionName: 'addBond',
        args: [index, parseEther('7')],
        account: world.operator(5).account,
      }) as const

    it('a place for a fee that is burned', async () => {
      await register(registerArguments(registrationOf(world, 0)))
      const token = { address: world.contracts.token, abi: cairnTokenAbi } as const
      const supply = () => world.client.readContract({ ...token, functionName: 'totalSupply' })
      const before = await supply()
      const receipt = await world.mined(await world.operator(0).writeContract(place(0)))
      assert.equal(before - (await supply()), parseEther('10'))
      const [log] = parseEventLogs({
        abi: nodeRegistryAbi,
        eventName: 'PlaceChanged',
        logs: receipt.logs,
      })
      assert.deepEqual(log?.args, { index: 0, cell: CELL, region: 4, subBand: 2, gain: 30 })
      const parent = await world.client.readContract({
        ...registry(),
        functionName: 'parentOf',
        args: [0, 5n],
      })
      assert.equal(parent.toString(16), cellToParent(CELL.toString(16), 5))
    })

    it('a place of its operator alone, to a cell, and of no node that leaves', async () => {
      await register(registerArguments(registrationOf(world, 0)))
      assert.equal(await refusalOf(world.client.simulateContract(place(1))), 'NotOperator')
      assert.equal(await refusalOf(world.client.simulateContract(place(0, 1n))), 'BadCell')
      await world.mined(await world.operator(0).writeContract(act('requestExit', 0).call))
      assert.equal(await refusalOf(world.client.simulateContract(place(0))), 'Leaving')
      assert.equal(await refusalOf(world.client.simulateContract(bondMore(0))), 'Leaving')
    })

    it('a bond, which anybody may add to', async () => {
      await register(registerArguments(registrationOf(world, 0)))
      assert.equal(await refusalOf(world.client.simulateContract(bondMore(1))), 'NoNode')
      const { blockNumber } = await world.mined(await world.operator(5).writeContract(bondMore(0)))
      const bondAt = (block: bigint) =>
        world.client.readContract({ ...registry(), functionName: 'bondAt', args: [0, block] })
      assert.equal(await bondAt(blockNumber), parseEther('1007'))
      assert.equal(await bondAt(blockNumber - 1n), parseEther('1000'))
      assert.equal(await bondAt(0n), 0n)
    })
  })

  describe('an offer', () => {
    const STRANGER: Hex = `0x${'77'.repeat(20)}`
    const change = (
      functionName: 'changePayout' | 'changeKinds',
      args: readonly [number, Hex] | readonly [number, number],
      account = 0,
    ) => ({ ...registry(), functionName, args, account: world.operator(account).account }) as const
    const refused = (...args: Parameters<typeof change>) =>
      refusalOf(world.client.simulateContract(change(...args) as never))
    const does = async (...args: Parameters<typeof change>) =>
      world.mined(await world.operator(0).writeContract(change(...args) as never))

    it('is changed by its operator alone, and says so', async () => {
      await register(registerArguments(registrationOf(world, 0)))
      assert.equal(await refused('changePayout', [0, STRANGER], 1), 'NotOperator')
      assert.equal(await refused('changeKinds', [0, 2], 1), 'NotOperator')
      assert.equal(await refused('changePayout', [1, STRANGER]), 'NotOperator')
      const { logs } = await does('changePayout', [0, STRANGER])
      const [payout] = parseEventLogs({ abi: nodeRegistryAbi, eventName: 'PayoutChanged', logs })
      assert.deepEqual(payout?.args, { index: 0, payout: STRANGER })
      const receipt = await does('changeKinds', [0, 2])
      const [kinds] = parseEventLogs({
        abi: nodeRegistryAbi,
        eventName: 'KindsChanged',
        logs: receipt.logs,
      })
      assert.deepEqual(kinds?.args, { index: 0, kinds: 2 })
      const [node] = await world.client.readContract({
        ...registry(),
        functionName: 'page',
        args: [0, 1n],
      })
      assert.deepEqual([node?.payout, node?.kinds], [STRANGER, 2])
      const count = await world.client.readContract({ ...registry(), functionName: 'logCount' })
      assert.equal(count, 3)
    })

    it('pays somebody, and of a node that leaves only the payout account changes', async () => {
      await register(registerArguments(registrationOf(world, 0)))
      assert.equal(await refused('changePayout', [0, `0x${'00'.repeat(20)}`]), 'ZeroPayout')
      await world.mined(await world.operator(0).writeContract(act('requestExit', 0).call))
      assert.equal(await refused('changeKinds', [0, 2]), 'Leaving')
      await does('changePayout', [0, STRANGER])
    })
  })

  describe('one transaction', () => {
    const BOND = parseEther('1000')
    const HOUR = 3_600n

    /** An operator who has tokens and ether, and has approved nothing. */
    const newcomer = async () => {
      const account = privateKeyToAccount(generatePrivateKey())
      await world.client.setBalance({ address: account.address, value: parseEther('1') })
      await world.mined(
        await world.deployer.writeContract({
          address: world.contracts.token,
          abi: cairnTokenAbi,
          functionName: 'transfer',
          args: [account.address, 2n * BOND],
        }),
      )
      const wallet = createWalletClient({
        account,
        chain: foundry,
        transport: anvilTransport(world.anvil.rpcUrl),
      })
      const { timestamp } = await world.client.getBlock()
      const init = { contracts: world.contracts, chainId: world.anvil.chainId, account }
      const permit = (amount: bigint, deadline = timestamp + HOUR) =>
        permitArguments({ ...init, nonce: 0n, amount, deadline })
      return { account, wallet, permit }
    }
    const inOne = (...data: Hex[]) =>
      ({ ...registry(), functionName: 'multicall', args: [data] }) as const
    const permitting = (args: Awaited<ReturnType<typeof permitArguments>>) =>
      encodeFunctionData({ abi: nodeRegistryAbi, functionName: 'permit', args })
    const registering = (number: number, operator: Hex) =>
      encodeFunctionData({
        abi: nodeRegistryAbi,
        functionName: 'register',
        args: registerArguments(registrationOf(world, number, { operator })),
      })
    const tokenOf = (functionName: 'balanceOf' | 'nonces', owner: Hex) =>
      world.client.readContract({
        address: world.contracts.token,
        abi: cairnTokenAbi,
        functionName,
        args: [owner],
      })

    it('permits the bonds of two nodes and registers both', async () => {
      const { account, wallet, permit } = await newcomer()
      const data = [
        permitting(await permit(2n * BOND)),
        registering(0, account.address),
        registering(1, account.address),
      ]
      await world.mined(await wallet.writeContract(inOne(...data)))
      const nodes = await world.client.readContract({
        ...registry(),
        functionName: 'page',
        args: [0, 2n],
      })
      assert.deepEqual(
        nodes.map(({ operator, bond }) => [operator, bond]),
        [0, 1].map(() => [account.address, BOND]),
      )
      assert.equal(await tokenOf('balanceOf', account.address), 0n)
    })

    it('still succeeds when a stranger hands the permit in first', async () => {
      const { account, wallet, permit } = await newcomer()
      const args = await permit(BOND)
      const { v, r, s } = { v: args[2], r: args[3], s: args[4] }
      await world.mined(
        await world.operator(5).writeContract({
          address: world.contracts.token,
          abi: cairnTokenAbi,
          functionName: 'permit',
          args: [account.address, world.contracts.registry, BOND, args[1], v, r, s],
        }),
      )
      assert.equal(await tokenOf('nonces', account.address), 1n)
      const data = [permitting(args), registering(0, account.address)]
      await world.mined(await wallet.writeContract(inOne(...data)))
    })

    it('takes nobody’s tokens by a permit that is late, too low or another’s', async () => {
      const { account, wallet, permit } = await newcomer()
      const refusedWith = async (args: Awaited<ReturnType<typeof permit>>) =>
        refusalOf(
          world.client.simulateContract({
            ...inOne(permitting(args), registering(0, account.address)),
            account: wallet.account,
          }),
        )
      assert.match(await refusedWith(await permit(BOND, 1n)), ALLOWANCE)
      assert.match(await refusedWith(await permit(BOND - 1n)), ALLOWANCE)
      const other = await newcomer()
      assert.match(await refusedWith(await other.permit(BOND)), ALLOWANCE)
      // What its owner signed lets no stranger bond with it.
      const stolen = await permit(BOND)
      const thief = world.operator(5).account
      const before = await tokenOf('balanceOf', account.address)
      await world.mined(
        await world
          .operator(5)
          .writeContract(inOne(permitting(stolen), registering(3, thief.address))),
      )
      assert.equal(await tokenOf('balanceOf', account.address), before)
    })

    it('is undone whole when one of its parts is refused', async () => {
      const { account, wallet, permit } = await newcomer()
      const data = [
        permitting(await permit(2n * BOND)),
        registering(0, account.address),
        registering(0, account.address),
      ]
      const refused = await refusalOf(
        world.client.simulateContract({ ...inOne(...data), account: wallet.account }),
      )
      assert.equal(refused, 'KeyUsed')
      const count = await world.client.readContract({ ...registry(), functionName: 'count' })
      assert.equal(count, 0)
    })

    it('gives no part of it another’s rights', async () => {
      await register(registerArguments(registrationOf(world, 0)))
      const data = encodeFunctionData({
        abi: nodeRegistryAbi,
        functionName: 'requestExit',
        args: [0],
      })
      const refused = await refusalOf(
        world.client.simulateContract({ ...inOne(data), account: world.operator(1).account }),
      )
      assert.equal(refused, 'NotOperator')
      const slash = encodeFunctionData({
        abi: nodeRegistryAbi,
        functionName: 'slash',
        args: [0, 1n, world.operator(1).account.address, 1n],
      })
      const slashed = await refusalOf(
        world.client.simulateContract({ ...inOne(slash), account: world.operator(1).account }),
      )
      assert.equal(slashed, 'NotSlasher')
    })
  })

  it('gives out its nodes by pages', async () => {
    for (let i = 0; i < 3; i++) await register(registerArguments(registrationOf(world, i)))
    const page = (from: number, length: bigint) =>
      world.client.readContract({ ...registry(), functionName: 'page', args: [from, length] })
    const nodes = await page(1, 256n)
    assert.deepEqual(
      nodes.map(({ cell, kinds, bond }) => ({ cell, kinds, bond })),
      [1, 2].map(() => ({ cell: 0x8c2a100d2c8a1ffn, kinds: 6, bond: 10n ** 21n })),
    )
    assert.equal((await page(0, 2n)).length, 2)
    assert.deepEqual(await page(3, 10n), [])
    assert.deepEqual(await page(4_000_000_000, 10n), [])
    assert.equal(await refusalOf(page(0, 257n)), 'LongPage')
  })

  it('registers 64 nodes of 64 operators in one block', async () => {
    const { client } = world
    await client.setAutomine(false)
    try {
      const sends = world.operators.map((wallet, number) => {
        const change = { operator: wallet.account.address }
        const args = registerArguments(registrationOf(world, number, change))
        return wallet.writeContract({
          ...registry(),
          functionName: 'register',
          args,
          gas: 500_000n,
        })
      })
      const hashes = await Promise.all(sends)
      await client.mine({ blocks: 1 })
      const receipts = await Promise.all(hashes.map(hash => world.mined(hash)))
      assert.equal(new Set(receipts.map(({ blockNumber }) => blockNumber)).size, 1)
    } finally {
      await client.setAutomine(true)
    }
    const count = await client.readContract({ ...registry(), functionName: 'count' })
    assert.equal(count, 64)
  })

  it('hashes the statement as its JavaScript twin does', async () => {
    for (let i = 0; i < 8; i++) {
      const operator = sha256(Uint8Array.of(i)).slice(12)
      const { identity, voting } = registrationOf(world, i)
      const root = await world.client.readContract({
        ...registry(),
        functionName: 'possessionRoot',
        args: [bytesToHex(identity), bytesToHex(voting), bytesToHex(operator)],
      })
      const chainId = BigInt(world.anvil.chainId)
      const statement = {
        chainId,
        registry: hexToBytes(world.contracts.registry),
        identity,
        voting,
        operator,
      }
      assert.equal(root, bytesToHex(possessionRoot(statement)))
    }
  })
})
