import { strict as assert } from 'node:assert'
import { CairnError, Deal, knownDeal, type Obligations, TESTNET_PROFILE } from '@cairn/protocol'
import fc from 'fast-check'
import {
  type Health,
  type HealthFacts,
  type HealthMemory,
  healthOf,
  persistent,
  readiness,
  rootCauses,
  type VolumeFacts,
} from '../src/health.ts'
import type { EndingDeal, Outlook } from '../src/kinds/storage/outlook.ts'
import type { LackCode } from '../src/radio/outlook.ts'

const VOLUME: VolumeFacts = {
  location: '/mnt/a',
  state: 'present',
  used: 1,
  quota: 100,
  pieces: 1,
  damaged: [],
}

const WELL: HealthFacts = {
  chain: { healthy: true, ageMs: 1_000 },
  clockOffsetMs: 20,
  skewMs: 250,
  peers: 7,
  registered: true,
  bonded: true,
  baseKnown: true,
  epoch: 40,
  slot: 5,
  radios: [{ name: 'able-able-able', online: true, lacks: [] }],
  volumes: [VOLUME],
}

function shown(change: Partial<HealthFacts>): string[] {
  return rootCauses(healthOf({ ...WELL, ...change })).map(({ code }) => code)
}

describe('health', () => {
  it('is ready without reasons when all is well', () => {
    assert.deepEqual(readiness(healthOf(WELL)), { ready: true, reasons: [] })
  })

  it('is of use after a penalty, and says what for and where to look', () => {
    const penalty = { epoch: 7, node: 3, offence: 'vote', amount: 5n }
    const { ready, reasons } = readiness(healthOf({ ...WELL, penalty }))
    assert.equal(ready, true)
    const [reason] = reasons
    assert.equal(reason?.text, 'Bond of node 3 is forfeit for two votes in epoch 7')
    assert.match(reason?.next ?? '', /cairn penalties show 7 3/)
  })

  it('is of use where no committee signs, and says since when, what comes next and what to do', () => {
    const wait = { epoch: 7, since: 1_000, due: 2_000, own: 1, came: 0 }
    const window = { end: 3_000, isOver: false, nodes: 4 }
    const texts = [
      wait,
      { ...wait, window },
      { ...wait, window, came: 1 },
      { ...wait, window: { ...window, isOver: true }, came: 1 },
      { ...wait, formed: { nodes: 4, chosen: false, isOwn: true } },
      { ...wait, formed: { nodes: 4, chosen: true, isOwn: false } },
    ].map(wait => {
      const { ready, reasons } = readiness(healthOf({ ...WELL, wait }))
      assert.equal(ready, true)
      assert.deepEqual(
        reasons.map(({ code, severity }) => [code, severity]),
        [['committee', 'warning']],
      )
      return `${reasons[0]?.text}: ${reasons[0]?.next}`
    })
    const expected = [
      /^Epoch 7 waits .* since 1970-01-01T00:16:40Z: nodes may check in from 1970-01-01T00:33:20Z on: .*ether/,
      /4 nodes have checked in, this node not among them; others may until 1970-01-01T00:50:00Z: .*ether/,
      /4 nodes have checked in, this node among them; .*votes by itself/,
      /4 nodes checked in until 1970-01-01T00:50:00Z, this node among them: .*more than half/,
      /4 nodes that checked in sign it now; .* it is one of them/,
      /4 nodes that the council chose sign it now; .*nothing to do/,
    ]
    for (const [i, text] of texts.entries()) assert.match(text, expected[i] as RegExp)
    assert.deepEqual(shown({ wait, chain: { healthy: false } }), ['chain'])
  })

  it('is of use while it is not in the committee, and says why and how long', () => {
    const text = (why: 'idle' | 'absent') => {
      const leftOut = { node: 3, why, until: 48 }
      const { ready, reasons } = readiness(healthOf({ ...WELL, leftOut }))
      assert.equal(ready, true)
      assert.deepEqual(reasons[0]?.facts, leftOut)
      return reasons[0]?.text
    }
    const start = 'Node 3 is not in the committee before epoch 48'
    assert.equal(text('idle'), `${start}: it had been silent when it was drawn`)
    assert.equal(text('absent'), `${start}: its votes had been missing when it was drawn`)
  })

  it('is of no use on a chain with other parameters, and says which', () => {
    const otherParameters = new CairnError('otherParameters', 'feeBurn began as 2', {
      facts: { name: 'feeBurn' },
      next: 'get the manifest again',
    })
    const { ready, reasons } = readiness(healthOf({ ...WELL, otherParameters, baseKnown: false }))
    assert.equal(ready, false)
    assert.deepEqual(reasons, [
      {
        code: 'parameters',
        severity: 'critical',
        text: 'feeBurn began as 2',
        facts: { name: 'feeBurn' },
        next: 'get the manifest again',
      },
    ])
  })

  it('shows the cause and hides its symptoms', () => {
    const chain = { healthy: false }
    assert.deepEqual(shown({ chain, baseKnown: false, registered: false, bonded: false }), [
      'chain',
    ])
    assert.deepEqual(shown({ registered: false, bonded: false }), ['registered'])
    const { clockOffsetMs: _, ...untimed } = WELL
    assert.deepEqual(
      rootCauses(healthOf({ ...untimed, peers: 0 })).map(({ code }) => code),
      ['peers'],
    )
  })

  it('tells endpoints that contradict each other from ones that do not answer', () => {
    const text = (divided: boolean) =>
      readiness(healthOf({ ...WELL, chain: { healthy: false, divided } })).reasons[0]?.text
    assert.match(text(true) ?? '', /contradict/)
    assert.match(text(false) ?? '', /No chain RPC answers/)
    const chain = { healthy: false, trouble: 'http://a is of chain 2, expected one of chain 1' }
    const [finding] = readiness(healthOf({ ...WELL, chain })).reasons
    assert.equal(finding?.text, `No chain RPC is of use: ${chain.trouble}`)
  })

  describe('of the account that pays for gas', () => {
    const account = {
      address: '0x52908400098527886e0f7030069857d2e4169ee7',
      balance: 100n,
      daysLeft: 30,
      budgetSpent: false,
    } as const
    const text = (change: Partial<HealthFacts['account']>) =>
      readiness(healthOf({ ...WELL, account: { ...account, ...change } }))

    it('warns a week before it is empty, and stays of use without it', () => {
      assert.deepEqual(text({}).reasons, [])
      assert.deepEqual(text({ daysLeft: 7 }).reasons, [])
      for (const [change, expected] of [
        [{ daysLeft: 6 }, 'The ether for gas lasts 6 days at the present rate'],
        [{ daysLeft: 1 }, 'The ether for gas lasts 1 day at the present rate'],
        [{ daysLeft: 0 }, 'The ether for gas lasts less than a day at the present rate'],
        [{ balance: 0n, daysLeft: 0 }, 'The account that pays for gas is empty'],
      ] as const) {
        const { ready, reasons } = text(change)
        assert.equal(ready, true)
        assert.deepEqual(
          reasons.map(({ code, text: said }) => [code, said]),
          [['gas', expected]],
        )
      }
    })

    it('says nothing of an account that was not asked for yet', () => {
      assert.deepEqual(text({ balance: undefined, daysLeft: undefined }).reasons, [])
    })

    it('says that the budget of the day keeps something back', () => {
      const [reason] = text({ budgetSpent: true }).reasons
      assert.match(reason?.next ?? '', /chain\.budgetPerDay/)
    })
  })

  it('waits for base and seed through the first slot of an epoch', () => {
    assert.deepEqual(shown({ baseKnown: false, slot: 0 }), [])
    assert.deepEqual(shown({ baseKnown: false, slot: 1 }), ['base'])
  })

  it('stays useful with a warning, and says so', () => {
    const full = (used: number) => {
      const others = { ...VOLUME, location: '/mnt/b' }
      return readiness(healthOf({ ...WELL, volumes: [others, { ...VOLUME, used }, others] }))
    }
    assert.equal(full(95).ready, true)
    const texts = (used: number) => full(used).reasons.map(({ code, text }) => [code, text])
    assert.deepEqual(texts(89), [])
    assert.deepEqual(texts(90), [['volume', 'The volume /mnt/a is 90 % full']])
    assert.deepEqual(texts(94), [['volume', 'The volume /mnt/a is 94 % full']])
    assert.deepEqual(texts(95), [
      ['volume', 'The volume /mnt/a is 95 % full and soon takes no more'],
    ])
  })

  it('is of no use while a volume is away, and says which pieces are damaged', () => {
    const away = {
      ...VOLUME,
      location: '/mnt/b',
      state: 'otherVolume',
      next: 'mount it',
      pieces: 3,
    }
    const found = readiness(healthOf({ ...WELL, volumes: [VOLUME, away] }))
    assert.equal(found.ready, false)
    assert.deepEqual(
      found.reasons.map(({ text, next }) => [text, next]),
      [['The volume /mnt/b is away (otherVolume): 3 pieces are not answered for', 'mount it']],
    )
    const damaged = { ...VOLUME, damaged: ['bafkzcib'] }
    assert.deepEqual(
      rootCauses(healthOf({ ...WELL, volumes: [damaged, damaged] })).map(({ text }) => text),
      ['2 pieces are damaged and answered as missing'],
    )
  })

  it('says what a provider owes, and until when', () => {
    const none = { withheld: 0, scoreLost: 0n, contained: 0 }
    const owing = { owed: 0, since: undefined, askedAgain: 0, until: undefined, ...none }
    const texts = (change: Partial<Obligations>) =>
      rootCauses(healthOf({ ...WELL, storage: { ...owing, ...change } })).map(({ text }) => text)
    assert.deepEqual(texts({}), [])
    assert.deepEqual(texts({ owed: 2, since: 7 }), [
      'Owes an answer for 2 leaves since epoch 7; they are asked again soon',
    ])
    assert.deepEqual(texts({ owed: 1, since: 7, askedAgain: 1, until: 34, contained: 1 }), [
      'Owes an answer for 1 leaf since epoch 7; 1 asked again in vain, deals end from epoch 34 on',
      '1 deal is contained: another wrong leaf costs bond',
    ])
    const withheld = { owed: 1, since: 7, askedAgain: 1, until: 34, withheld: 1, scoreLost: 50n }
    assert.equal(
      texts(withheld)[1],
      'Withholds leaves of 1 deal while it answers others, which costs 50 of its score per epoch',
    )
  })

  describe('of deals', () => {
    const well = { lasts: 20, ending: [], owed: 0, withheld: 0, contained: 0, failedAudits: 0 }
    const client = { deals: 2, pricePerEpoch: 200n, available: 4_000n, ...well }
    const found = (outlook: Outlook) =>
      rootCauses(healthOf({ ...WELL, deals: { outlook, profile: TESTNET_PROFILE } }))
    const renewal = { state: 'refused', reason: 'priceTooLow' } as const
    const ending = (endsIn: number): EndingDeal => {
      return { deal: knownDeal(Deal.defaultValue()), endsIn, renewal }
    }

    it('is well while deposits last and renewals have time', () => {
      const provider = { deals: 3, short: 0, shortPerEpoch: 0n }
      assert.deepEqual(found({ client: { ...client, ending: [ending(3)] }, provider }), [])
    })

    it('warns of a short deposit, with the epochs it pays for', () => {
      const [short, ...others] = found({ client: { ...client, lasts: 15 } })
      assert.deepEqual(others, [])
      assert.equal(short?.code, 'deposit')
      assert.match(short?.text ?? '', /15 more epochs/)
      assert.equal(short?.severity, 'warning')
      assert.ok(short?.next)
    })

    it('warns of a deal that is not renewed, with the reason, unless the deposit explains it', () => {
      const [late] = found({ client: { ...client, ending: [ending(1)] } })
      assert.equal(late?.code, 'renewals')
      assert.match(late?.text ?? '', /^1 deal .* in 1 epochs \(priceTooLow\)$/)
      assert.deepEqual(
        found({ client: { ...client, lasts: 1, ending: [ending(1)] } }).map(({ code }) => code),
        ['deposit'],
      )
    })

    it('warns of pieces that providers owe or did not give', () => {
      const [kept] = found({ client: { ...client, owed: 1, withheld: 1, failedAudits: 2 } })
      assert.equal(kept?.code, 'kept')
      assert.equal(
        kept?.text,
        'Of 2 deals of this node 1 owe an answer, of which 1 are withheld, 0 are contained, and 2 gave no leaf when it looked',
      )
    })

    it('warns a provider of clients whose deposits are short', () => {
      const provider = { deals: 3, short: 2, shortPerEpoch: 20n, lasts: 7 }
      const [clients] = found({ provider })
      assert.equal(clients?.code, 'clients')
      assert.match(clients?.text ?? '', /2 of 3 deals .* 7 more epochs/)
    })
  })

  it('names the direction of a wrong clock', () => {
    const text = (clockOffsetMs: number) =>
      rootCauses(healthOf({ ...WELL, clockOffsetMs }))[0]?.text
    assert.equal(text(3_000), 'The clock is 3.0 s behind the peers')
    assert.equal(text(-3_000), 'The clock is 3.0 s ahead of the peers')
  })

  it('is muted up to, and not in, the named epoch', () => {
    assert.deepEqual(shown({ mutedUntil: 41 }), ['muted'])
    assert.deepEqual(shown({ mutedUntil: 40 }), [])
    assert.deepEqual(shown({ mutedUntil: 0, epoch: -300 }), [])
  })

  it('says nothing of a radio or a volume that the node does not have', () => {
    const { radios: _, volumes: __, ...plain } = WELL
    const codes = healthOf(plain).map(({ code }) => code)
    assert.equal(codes.includes('radio') || codes.includes('volume'), false)
  })

  it('names a silent packet forwarder among several, and is of no use only without any', () => {
    const radios = (...online: boolean[]) =>
      online.map((is, place) => ({
        name: `gateway${place}`,
        eui: `00${place}`,
        online: is,
        lacks: [],
      }))
    const finding = (...online: boolean[]) =>
      healthOf({ ...WELL, radios: radios(...online) }).find(({ code }) => code === 'radio')
    assert.equal(finding(true, true)?.severity, 'ok')
    assert.equal(finding(true, false)?.severity, 'warning')
    assert.match(
      finding(true, false, false)?.text ?? '',
      /2 are not heard: gateway1 \(001\) and 1 more/,
    )
    assert.equal(finding(false, false)?.severity, 'critical')
  })

  it('says what a gateway lacks in the registry, unless the node itself is not registered', () => {
    const lacks = [
      { code: 'noForwarder', text: 'its packet forwarder has not been heard', next: 'plug it in' },
      { code: 'otherPlan', text: 'it is registered for US915', next: 'set its region' },
    ] as const
    const radios = [
      { name: 'able', online: true, lacks: [] },
      { name: 'baker', online: true, lacks },
    ]
    const [found] = rootCauses(healthOf({ ...WELL, radios }))
    assert.equal(found?.code, 'gateways')
    assert.equal(found?.text, 'The gateway baker earns nothing: it is registered for US915')
    assert.equal(found?.next, 'set its region')
    assert.deepEqual(shown({ radios, registered: false }), ['registered'])
  })

  it('gives every finding that is not well a next step, and never loses all causes', () => {
    const facts = fc.record({
      chain: fc.record({ healthy: fc.boolean() }),
      clockOffsetMs: fc.integer({ min: -10_000, max: 10_000 }),
      skewMs: fc.constant(250),
      peers: fc.nat(5),
      registered: fc.boolean(),
      bonded: fc.boolean(),
      baseKnown: fc.boolean(),
      epoch: fc.nat(50),
      slot: fc.nat(12),
      mutedUntil: fc.nat(50),
      radios: fc.array(
        fc.record({
          name: fc.string(),
          online: fc.boolean(),
          lacks: fc.array(
            fc.record({
              code: fc.constantFrom('noForwarder', 'otherPlan') as fc.Arbitrary<LackCode>,
              text: fc.string(),
              next: fc.string(),
            }),
          ),
        }),
      ),
      storage: fc.record({
        owed: fc.nat(3),
        since: fc.option(fc.nat(9), { nil: undefined }),
        askedAgain: fc.nat(3),
        until: fc.option(fc.nat(9), { nil: undefined }),
        withheld: fc.nat(2),
        scoreLost: fc.constant(10n),
        contained: fc.nat(2),
      }),
      volumes: fc.array(
        fc.record({
          location: fc.string(),
          state: fc.constantFrom('present', 'volumeMissing'),
          used: fc.nat(200),
          quota: fc.nat(200),
          pieces: fc.nat(3),
          damaged: fc.array(fc.string(), { maxLength: 2 }),
        }),
        { maxLength: 3 },
      ),
    })
    fc.assert(
      fc.property(facts, given => {
        const health = healthOf(given)
        for (const finding of health) {
          assert.equal(finding.next === undefined, finding.severity === 'ok')
        }
        const broken = health.some(({ severity }) => severity !== 'ok')
        assert.equal(rootCauses(health).length > 0, broken)
      }),
    )
  })
})

describe('persistence of findings', () => {
  const at = (online: boolean, now: number, memory: HealthMemory) =>
    persistent(healthOf({ ...WELL, radios: [{ name: 'a', online, lacks: [] }] }), memory, {
      now,
      holdMs: 1_000,
    })
  const radio = (health: readonly Health[]) => health.find(({ code }) => code === 'radio')?.severity

  it('shows the first finding at once and a change only when it lasts', () => {
    let { health, memory } = at(true, 0, new Map())
    assert.equal(radio(health), 'ok')
    ;({ health, memory } = at(false, 100, memory))
    assert.equal(radio(health), 'ok')
    ;({ health, memory } = at(true, 200, memory))
    ;({ health, memory } = at(false, 1_150, memory))
    assert.equal(radio(health), 'ok', 'a blip does not count towards the next one')
    ;({ health, memory } = at(false, 2_150, memory))
    assert.equal(radio(health), 'critical')
    ;({ health, memory } = at(true, 2_200, memory))
    assert.equal(radio(health), 'critical')
    ;({ health, memory } = at(true, 3_200, memory))
    assert.equal(radio(health), 'ok')
  })
})
